internal import CTorch

/// A tensor of libtorch. One thread uses it: what autograd records is tied to the thread that calculates.
package final class Tensor {
    let handle: OpaquePointer

    init(taking handle: OpaquePointer) {
        self.handle = handle
    }

    deinit { ctorch_tensor_free(handle) }

    /// Copies values in row-major order.
    ///
    /// - Parameter shape: its product is the number of values; empty for a single one.
    package convenience init<Value: TensorValue>(
        _ values: [Value], shape: [Int], device: TorchDevice = .cpu
    ) throws(TorchError) {
        let count = shape.reduce(1, *)
        guard shape.allSatisfy({ $0 >= 0 }), count == values.count else {
            throw TorchError(
                operation: "make a tensor",
                detail: "\(values.count) values are no \(shape), which has \(count)")
        }
        var handle: OpaquePointer?
        let answer = values.withUnsafeBufferPointer { values in
            shape.map(Int64.init).withUnsafeBufferPointer { sizes in
                ctorch_tensor_new(
                    values.baseAddress, ctorch_type(UInt32(Value.tensorType.rawValue)), sizes.baseAddress,
                    Int32(shape.count), device.number, &handle)
            }
        }
        try check("make a tensor", answer)
        guard let handle else { throw TorchError(operation: "make a tensor", detail: "libtorch gave none") }
        self.init(taking: handle)
    }

    package static func zeros<Value: TensorValue>(
        _ shape: [Int], of type: Value.Type, device: TorchDevice = .cpu
    ) throws(TorchError) -> Tensor {
        try Tensor([Value](repeating: 0, count: shape.reduce(1, *)), shape: shape, device: device)
    }

    package var shape: [Int] {
        (0..<ctorch_tensor_dimensions(handle)).map { Int(ctorch_tensor_size(handle, $0)) }
    }

    package var device: TorchDevice { TorchDevice(number: ctorch_tensor_device(handle)) }

    /// nil for a type that no Swift value has here.
    package var type: TensorType? { TensorType(rawValue: ctorch_tensor_type(handle)) }

    /// Copies the values out, in row-major order.
    ///
    /// - Throws: when they are not of that type.
    package func values<Value: TensorValue>(_: Value.Type = Value.self) throws(TorchError) -> [Value] {
        guard type == Value.tensorType else {
            throw TorchError(
                operation: "read a tensor",
                detail: "its values are \(type.map { "\($0)" } ?? "of another type"), not \(Value.tensorType)"
            )
        }
        let count = shape.reduce(1, *)
        var answer: Int32 = 0
        let values = [Value](unsafeUninitializedCapacity: count) { buffer, filled in
            answer = ctorch_tensor_read(handle, buffer.baseAddress, Int64(count * MemoryLayout<Value>.stride))
            filled = answer == 0 ? count : 0
        }
        try check("read a tensor", answer)
        return values
    }

    /// The value of a tensor that has exactly one.
    package func value<Value: TensorValue>(_: Value.Type = Value.self) throws(TorchError) -> Value {
        let values = try values(Value.self)
        guard values.count == 1, let value = values.first else {
            throw TorchError(operation: "read a value", detail: "the tensor has \(values.count) of them")
        }
        return value
    }

    /// Overwrites the values with those of a tensor of the same shape; autograd does not see it.
    package func assign(_ values: Tensor) throws(TorchError) {
        try check("assign to a tensor", ctorch_tensor_assign(handle, values.handle))
    }
}

/// Autograd.
extension Tensor {
    /// Makes ``backward()`` calculate a gradient for this tensor, which must not come out of an operation.
    package func requireGradient() throws(TorchError) {
        try check("require a gradient", ctorch_require_grad(handle))
    }

    /// nil before the first ``backward()``, and where the result does not depend on this tensor.
    package var gradient: Tensor? {
        get throws(TorchError) {
            var gradient: OpaquePointer?
            try check("read a gradient", ctorch_grad(handle, &gradient))
            return gradient.map(Tensor.init(taking:))
        }
    }

    package func clearGradient() throws(TorchError) {
        try check("clear a gradient", ctorch_clear_grad(handle))
    }

    /// Adds the gradients of this tensor, which has one element, to all that require them.
    package func backward() throws(TorchError) {
        try check("calculate gradients", ctorch_backward(handle))
    }
}

/// What a tensor's values are.
package enum TensorType: Int32, Sendable {
    case float32 = 0
    case float64 = 1
    case int64 = 2
}

package protocol TensorValue: Sendable, Equatable, ExpressibleByIntegerLiteral {
    static var tensorType: TensorType { get }
}

extension Float: TensorValue {
    package static var tensorType: TensorType { .float32 }
}

extension Double: TensorValue {
    package static var tensorType: TensorType { .float64 }
}

extension Int64: TensorValue {
    package static var tensorType: TensorType { .int64 }
}
