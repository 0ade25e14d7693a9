/// The only place where a Swift object is lent to C as a `void *`.
///
/// An owner that lends keeps the lent reference until ``CallbackContext/release(_:)``; C may call back until
/// then.
enum CallbackContext {
    static func retain<Object: AnyObject>(_ object: Object) -> UnsafeMutableRawPointer {
        Unmanaged.passRetained(object).toOpaque()
    }

    static func borrow<Object: AnyObject>(_ context: UnsafeMutableRawPointer, as type: Object.Type) -> Object
    {
        Unmanaged<Object>.fromOpaque(context).takeUnretainedValue()
    }

    /// Takes the lent reference back: for C functions that call back exactly once.
    static func take<Object: AnyObject>(_ context: UnsafeMutableRawPointer, as type: Object.Type) -> Object {
        Unmanaged<Object>.fromOpaque(context).takeRetainedValue()
    }

    static func release<Object: AnyObject>(_ context: UnsafeMutableRawPointer, as type: Object.Type) {
        Unmanaged<Object>.fromOpaque(context).release()
    }
}
