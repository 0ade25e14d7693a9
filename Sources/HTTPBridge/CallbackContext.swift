// The one place that turns objects into the `void *` of a C callback and back.

/// A pointer for a C callback. It retains nothing: the object must outlive every callback.
func callbackContext(_ object: some AnyObject) -> UnsafeMutableRawPointer {
    Unmanaged.passUnretained(object).toOpaque()
}

/// The object behind a pointer made by ``callbackContext(_:)``.
func callbackObject<Object: AnyObject>(_ type: Object.Type, _ context: UnsafeMutableRawPointer?) -> Object {
    guard let context else { preconditionFailure("libcurl lost a callback's context") }
    return Unmanaged<Object>.fromOpaque(context).takeUnretainedValue()
}
