/// Why a request got no complete answer.
package struct HTTPError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// Connecting, the whole request, or a silence took longer than allowed.
        case timeout
        /// Nobody listens there, or the network does not reach it.
        case connectFailed
        case nameNotResolved
        /// The certificate or the handshake was refused.
        case tlsFailed
        /// The connection ended before the answer did, so the body is partial or missing. The server may
        /// have done what was asked.
        case connectionBroken
        /// The answer is not HTTP, or its content coding is broken.
        case malformedResponse
        /// The body is longer than the caller allowed.
        case bodyTooLarge
        /// The calling task was cancelled; the connection is closed.
        case cancelled
        /// The URL or a header is not legal; nothing was sent.
        case invalidRequest
        /// Too many requests wait already, or this one waited too long for its turn; nothing was sent.
        case overloaded
        /// The client was closed.
        case closed
    }

    package var code: Code
    /// Method and URL without query, fragment and user, e.g. `GET https://host:8529/_api/version`.
    package var operation: String
    /// libcurl's own words, or what was wrong with the request.
    package var detail: String

    package init(_ code: Code, operation: String, detail: String) {
        self.code = code
        self.operation = operation
        self.detail = detail
    }

    /// Whether the same request may succeed later. The server may have carried it out all the same.
    package var isRetriable: Bool {
        switch code {
        case .timeout, .connectFailed, .nameNotResolved, .connectionBroken, .malformedResponse, .overloaded:
            true
        case .tlsFailed, .bodyTooLarge, .cancelled, .invalidRequest, .closed: false
        }
    }

    package var description: String { "\(operation): \(code.rawValue): \(detail)" }
}
