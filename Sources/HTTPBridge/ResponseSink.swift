import Synchronization

/// Takes an answer apart from libcurl's thread: the head once, the body in pieces, the end exactly once.
protocol ResponseSink: AnyObject, Sendable {
    func receive(_ head: HTTPHead)
    func receive(_ bytes: UnsafeRawBufferPointer) -> SinkVerdict
    func end(_ outcome: Result<Void, HTTPError>)
}

enum SinkVerdict {
    case taken
    /// Nothing was taken; the same bytes come again after a resume.
    case full
    /// The body is longer than allowed: end the transfer.
    case tooLarge
}

/// Collects a whole answer.
final class CollectingSink: ResponseSink {
    private struct State {
        var head = HTTPHead(status: 0, headers: [:])
        var body: [UInt8] = []
    }

    let outcome = OneShot<Result<HTTPResponse, HTTPError>>()
    private let bodyBytesMax: Int
    private let state = Mutex(State())

    init(bodyBytesMax: Int) {
        self.bodyBytesMax = bodyBytesMax
    }

    func receive(_ head: HTTPHead) {
        state.withLock { $0.head = head }
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> SinkVerdict {
        state.withLock { state in
            guard state.body.count + bytes.count <= bodyBytesMax else { return .tooLarge }
            if state.body.isEmpty, let length = state.head.headers["content-length"].flatMap({ Int($0) }) {
                // One allocation for the usual answer; a false length costs at most the limit.
                state.body.reserveCapacity(min(max(length, bytes.count), bodyBytesMax))
            }
            state.body.append(contentsOf: bytes)
            return .taken
        }
    }

    func end(_ outcome: Result<Void, HTTPError>) {
        let response = state.withLock { state -> HTTPResponse in
            defer { state.body = [] }
            return HTTPResponse(status: state.head.status, headers: state.head.headers, body: state.body)
        }
        self.outcome.fulfil(outcome.map { response })
    }
}

/// Hands an answer to a reader at the reader's speed.
final class StreamingSink: ResponseSink {
    private typealias Waiter = CheckedContinuation<Result<[UInt8]?, HTTPError>, Never>

    private struct State {
        var buffer: [UInt8] = []
        var outcome: Result<Void, HTTPError>?
        var waiter: Waiter?
        var isPaused = false
    }

    let head = OneShot<Result<HTTPHead, HTTPError>>()
    private let bufferBytesMax: Int
    private let resume: @Sendable () -> Void
    private let state = Mutex(State())

    /// - Parameter resume: asks the thread to deliver again after ``SinkVerdict/full``.
    init(bufferBytesMax: Int, resume: @escaping @Sendable () -> Void) {
        self.bufferBytesMax = bufferBytesMax
        self.resume = resume
    }

    func receive(_ head: HTTPHead) {
        self.head.fulfil(.success(head))
    }

    func receive(_ bytes: UnsafeRawBufferPointer) -> SinkVerdict {
        let (waiter, verdict) = state.withLock { state -> (Waiter?, SinkVerdict) in
            if let waiter = state.waiter {
                state.waiter = nil
                return (waiter, .taken)
            }
            // An empty buffer takes a piece of any size, or a small bound would stop the transfer for good.
            guard state.buffer.isEmpty || state.buffer.count + bytes.count <= bufferBytesMax else {
                state.isPaused = true
                return (nil, .full)
            }
            state.buffer.append(contentsOf: bytes)
            return (nil, .taken)
        }
        waiter?.resume(returning: .success([UInt8](bytes)))
        return verdict
    }

    func end(_ outcome: Result<Void, HTTPError>) {
        let waiter = state.withLock { state -> Waiter? in
            defer { state.waiter = nil }
            state.outcome = outcome
            return state.waiter
        }
        waiter?.resume(returning: outcome.map { nil })
        if case .failure(let error) = outcome { head.fulfil(.failure(error)) }
    }

    /// The bytes that arrived since the last call; nil at the end. For one reader.
    func next() async -> Result<[UInt8]?, HTTPError> {
        await withCheckedContinuation { continuation in
            let (result, mustResume) = state.withLock { state -> (Result<[UInt8]?, HTTPError>?, Bool) in
                if case .failure(let error) = state.outcome, error.code == .cancelled {
                    return (.failure(error), false)
                }
                if !state.buffer.isEmpty {
                    let mustResume = state.isPaused
                    state.isPaused = false
                    var chunk: [UInt8] = []
                    swap(&chunk, &state.buffer)
                    return (.success(chunk), mustResume)
                }
                if let outcome = state.outcome { return (outcome.map { nil }, false) }
                precondition(state.waiter == nil, "a streamed body has one reader")
                state.waiter = continuation
                return (nil, false)
            }
            if mustResume { resume() }
            if let result { continuation.resume(returning: result) }
        }
    }
}
