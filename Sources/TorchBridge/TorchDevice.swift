internal import CTorch

/// Where tensors are and where operations on them run.
package enum TorchDevice: Sendable, Hashable, CustomStringConvertible {
    case cpu
    /// By its index, from 0.
    case cuda(Int)

    /// The CUDA devices that can be used: libtorch's CUDA part is found when the program runs, not when it is
    /// built. Empty where there is none.
    package static var cudaDevices: [TorchDevice] { (0..<Int(ctorch_cuda_devices())).map { .cuda($0) } }

    /// A CUDA device if there is one, else the CPU.
    package static var best: TorchDevice { cudaDevices.first ?? .cpu }

    package var description: String {
        switch self {
        case .cpu: "cpu"
        case .cuda(let index): "cuda:\(index)"
        }
    }

    var number: Int32 {
        switch self {
        case .cpu: -1
        case .cuda(let index): Int32(index)
        }
    }

    init(number: Int32) {
        self = number < 0 ? .cpu : .cuda(Int(number))
    }
}

/// What is one for the whole process.
package enum Torch {
    /// The version that this program was built against.
    package static var version: String { String(cString: ctorch_version()) }

    /// How many threads libtorch, its BLAS and the edge loops use. Sums of matrix products may differ in the last
    /// digits between numbers of threads, so a run that must be repeatable names one.
    ///
    /// - Parameter count: at least 1; once, before anything else is done with tensors.
    package static func setThreads(_ count: Int) throws(TorchError) {
        try check("set the number of threads", ctorch_set_threads(Int32(clamping: count)))
    }

    package static var threads: Int { Int(ctorch_threads()) }

    /// Runs `body` without recording its operations for gradients.
    package static func withoutGradients<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        let before = ctorch_grad_enabled()
        ctorch_set_grad_enabled(0)
        defer { ctorch_set_grad_enabled(before) }
        return try body()
    }
}
