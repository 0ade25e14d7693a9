import HTTPBridge
import Workflow

/// Reads one object; a connection that is cut in the middle is taken up again behind the last byte.
struct S3Download: Sendable {
    let connection: S3Connection
    let key: ObjectKey
    let range: Range<Int64>?

    private struct State {
        /// Of the object's bytes.
        var next: Int64
        /// Where it ends; known from the first answer.
        var end: Int64?
        /// What the first answer was of.
        var tag: String?
        var attempt = 1
    }

    /// - Throws: ``S3Failure``, or what `body` throws.
    func run(_ body: @Sendable ([UInt8]) async throws -> Void) async throws {
        if let range, range.isEmpty { return }
        var state = State(next: range?.lowerBound ?? 0, end: range?.upperBound)
        while state.end == nil || state.next < state.end ?? 0 {
            let before = state.next
            do {
                try await read(&state, body)
                return
            } catch let failure as S3Failure {
                // Progress proves that the server is there.
                if state.next > before { state.attempt = 1 }
                try await connection.pause(after: state.attempt, failure)
                state.attempt += 1
            }
        }
    }

    private func read(_ state: inout State, _ body: ([UInt8]) async throws -> Void) async throws {
        var call = S3Call(.get, key, operation: "get \(key)")
        if state.next > 0 || range != nil {
            call.headers.append(("range", "bytes=\(state.next)-\(state.end.map { "\($0 - 1)" } ?? "")"))
        }
        // Another object of that name would be glued to the beginning of this one.
        if let tag = state.tag { call.headers.append(("if-match", tag)) }
        var (next, end, tag) = (state.next, state.end, state.tag)
        defer { (state.next, state.end, state.tag) = (next, end, tag) }
        try await connection.stream(call) { head, bytes in
            guard let length = head.headers["Content-Length"].flatMap({ Int64($0) }) else {
                throw S3Failure.malformed(call, "the answer has no Content-Length")
            }
            guard head.status == 206 || next == 0, end == nil || length == (end ?? 0) - next else {
                throw S3Failure.corrupt(
                    call, "\(length) bytes came, \((end ?? length) - next) were asked for")
            }
            end = next + length
            tag = head.headers["ETag"]
            for try await piece in bytes {
                next += Int64(piece.count)
                try await body(piece)
            }
            guard next == end else { throw S3Failure.malformed(call, "the answer ended early") }
        }
    }
}

extension S3Failure {
    static func corrupt(_ call: S3Call, _ detail: String) -> S3Failure {
        var failure = S3Failure(HTTPError(.bodyTooLarge, operation: call.operation, detail: detail), call)
        failure.error = ObjectStoreError(.corrupt, operation: call.operation, detail: detail)
        return failure
    }
}
