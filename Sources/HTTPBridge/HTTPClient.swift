/// An HTTP client over libcurl: connections are kept alive and shared, HTTP/2 is used over TLS where the
/// server offers it. Redirects are not followed; any status is an answer.
///
/// One thread of its own runs all transfers, so no caller's thread ever blocks. Proxies are taken from the
/// usual environment variables, except for loopback addresses.
///
/// A request that finds its kept-alive connection dead before the first byte of the answer is sent again by
/// libcurl on a new one: requests should be repeatable.
package final class HTTPClient: Sendable {
    package struct Configuration: Sendable {
        /// Transfers at the same time; more wait in line.
        package var transfersMax = 64
        /// Requests that may wait in line; one more throws `overloaded`.
        package var waitersMax = 1_024
        /// The longest wait in line; then `overloaded`. It does not count towards a request's own time-outs.
        package var waitMax = Duration.seconds(30)
        /// PEM file with the certificate authorities to trust; nil: the system's.
        package var caFile: String?
        /// The same as ``caFile``, by value; it wins.
        package var caPEM: [UInt8]?
        /// Shown to servers that ask for one.
        package var identity: TLSIdentity?
        /// Off, each request has a connection of its own while it lasts: a time-out then closes the connection,
        /// where with HTTP/2 later requests would go on over one that may be dead.
        package var allowsHTTP2 = true
        package var userAgent = "streamforge"

        package init(caFile: String? = nil) {
            self.caFile = caFile
        }
    }

    /// Default limit of an answer's body: 16 MiB.
    package static let bodyBytesMax = 16 << 20
    /// Default bound on what a streamed body holds in memory: 1 MiB.
    package static let bufferBytesMax = 1 << 20

    private let loop: TransferLoop

    package init(_ configuration: Configuration = Configuration()) {
        loop = TransferLoop(configuration)
        loop.launch()
    }

    deinit { loop.stop() }

    /// Sends a request and collects the whole answer.
    ///
    /// Cancelling the task ends the transfer and closes its connection before this throws.
    ///
    /// - Parameter bodyBytesMax: longest body taken, in bytes.
    /// - Throws: ``HTTPError``.
    package func execute(
        _ request: HTTPRequest, bodyBytesMax: Int = HTTPClient.bodyBytesMax
    ) async throws(HTTPError) -> HTTPResponse {
        let sink = CollectingSink(bodyBytesMax: bodyBytesMax)
        let id = loop.makeID()
        loop.start(id, request, sink)
        let outcome = await withTaskCancellationHandler {
            await sink.outcome.value()
        } onCancel: {
            loop.cancel(id)
        }
        return try outcome.get()
    }

    /// Sends a request and hands over the head and then the body in chunks while it arrives.
    ///
    /// At most `bufferBytesMax` bytes (and what libcurl holds, under 100 KB) wait for the reader; then the
    /// server is held back. What `body` does not read is dropped and the connection closed.
    ///
    /// - Throws: ``HTTPError``, or what `body` throws.
    package func stream<Value>(
        _ request: HTTPRequest, bufferBytesMax: Int = HTTPClient.bufferBytesMax,
        isolation: isolated (any Actor)? = #isolation,
        body: (HTTPHead, HTTPBody) async throws -> Value
    ) async throws -> Value {
        let id = loop.makeID()
        let sink = StreamingSink(bufferBytesMax: bufferBytesMax) { [loop] in loop.resume(id) }
        loop.start(id, request, sink)
        defer { loop.cancel(id) }
        return try await withTaskCancellationHandler {
            let head = try await sink.head.value().get()
            return try await body(head, HTTPBody(sink: sink))
        } onCancel: {
            loop.cancel(id)
        }
    }

    /// Ends all transfers with `closed`, closes the connections and waits for the thread to end.
    package func close() async {
        loop.stop()
        await loop.ended.value()
    }
}

/// The body of a streamed answer; can be read once.
package struct HTTPBody: AsyncSequence, Sendable {
    package typealias Element = [UInt8]
    package typealias Failure = HTTPError

    let sink: StreamingSink

    package struct AsyncIterator: AsyncIteratorProtocol {
        let sink: StreamingSink

        /// The bytes that arrived since the last call, never empty; nil at the end.
        package func next(isolation actor: isolated (any Actor)?) async throws(HTTPError) -> [UInt8]? {
            try await sink.next().get()
        }
    }

    package func makeAsyncIterator() -> AsyncIterator { AsyncIterator(sink: sink) }
}
