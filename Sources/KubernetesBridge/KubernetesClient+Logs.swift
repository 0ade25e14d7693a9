import HTTPBridge

/// Keeps the last bytes of what flows by.
package struct ByteTail: Sendable {
    package let bytesMax: Int
    private var kept: [UInt8] = []
    private var isCut = false

    package init(bytesMax: Int) {
        self.bytesMax = bytesMax
    }

    package var isEmpty: Bool { kept.isEmpty }

    package mutating func append(_ bytes: some Collection<UInt8>) {
        kept += bytes
        // Seldom, so that each byte is moved about once.
        if kept.count > 2 * bytesMax { cut() }
    }

    /// At most `bytesMax` bytes; where something was dropped they begin with a whole line, if they hold one.
    package var bytes: [UInt8] {
        var copy = self
        copy.cut()
        guard copy.isCut, let lineEnd = copy.kept.firstIndex(of: UInt8(ascii: "\n")),
            lineEnd + 1 < copy.kept.count
        else { return copy.kept }
        return Array(copy.kept[(lineEnd + 1)...])
    }

    private mutating func cut() {
        guard kept.count > bytesMax else { return }
        kept.removeFirst(kept.count - bytesMax)
        isCut = true
    }
}

/// The end of a container's log, as far as it could be read.
package struct LogTail: Sendable {
    package var bytes: [UInt8]
    /// What broke it off; nil: nothing is missing.
    package var failure: KubernetesError?
}

extension KubernetesClient {
    /// The log's last lines asked for at the most: 1 MiB of lines of at least 52 bytes.
    static let tailLinesMax = 20_000
    /// More of a log is not read, so that a flood ends.
    static let logBytesMax = 256 << 20

    /// The end of a container's log; empty while there is none. What came before it broke off is told too.
    ///
    /// - Throws: ``KubernetesError`` when nothing came: `notFound` without the pod, `invalid` before its container
    ///   was started.
    package func logTail(
        pod: String, container: String, bytesMax: Int
    ) async throws(KubernetesError) -> LogTail {
        var call = logCall(pod, container)
        call.query.append(("tailLines", String(Self.tailLinesMax)))
        var tail = ByteTail(bytesMax: bytesMax)
        do throws(KubernetesError) {
            try await readLog(call) { tail.append($0) }
        } catch  where !tail.isEmpty {
            return LogTail(bytes: tail.bytes, failure: error)
        }
        return LogTail(bytes: tail.bytes)
    }

    /// Hands over a container's log from its beginning and as it grows, until the container ends.
    ///
    /// - Throws: ``KubernetesError``, or what `body` throws.
    package func followLog(
        pod: String, container: String, isolation: isolated (any Actor)? = #isolation,
        _ body: ([UInt8]) async throws -> Void
    ) async throws {
        var call = logCall(pod, container)
        call.query.append(("follow", "true"))
        try await waitForTurn(call, waitMax: limits.requestTimeout)
        let request = try self.request(call, HTTPTimeouts(connect: .seconds(5), whole: nil, idle: nil))
        let operation = call.operation
        do {
            try await http.stream(request) { head, chunks in
                guard Self.isLog(head) else { throw await Self.refusal(head, chunks, operation) }
                for try await chunk in chunks { try await body(chunk) }
            }
        } catch let error as HTTPError {
            throw KubernetesError(error, operation: operation)
        }
    }

    private func logCall(_ pod: String, _ container: String) -> Call {
        var call = Call(verb: "log", resource: "pods", name: pod, path: path(.pods, pod, "log"))
        call.query = [("container", container)]
        call.purpose = .log
        return call
    }

    private func readLog(_ call: Call, _ take: ([UInt8]) -> Void) async throws(KubernetesError) {
        let deadline = ContinuousClock.now + limits.requestTimeout
        try await waitForTurn(call, waitMax: limits.requestTimeout)
        let whole = max(deadline - .now, .milliseconds(1))
        let request = try self.request(
            call, HTTPTimeouts(connect: min(.seconds(5), whole), whole: whole, idle: nil))
        let started = ContinuousClock.now
        let operation = call.operation
        do {
            try await http.stream(request) { head, chunks in
                note(call, status: head.status, since: started)
                guard Self.isLog(head) else { throw await Self.refusal(head, chunks, operation) }
                var count = 0
                for try await chunk in chunks {
                    take(chunk)
                    count += chunk.count
                    if count > Self.logBytesMax { return }
                }
            }
        } catch let error as HTTPError {
            throw KubernetesError(error, operation: operation)
        } catch let error as KubernetesError {
            throw error
        } catch {
            throw KubernetesError(.malformed, operation: operation, detail: "\(error)")
        }
    }

    /// 204: the pod has no node yet, and so no log.
    private static func isLog(_ head: HTTPHead) -> Bool { head.status == 200 || head.status == 204 }

    /// Reads the `Status` of an answer that was to be a stream.
    static func refusal(_ head: HTTPHead, _ chunks: HTTPBody, _ operation: String) async -> KubernetesError {
        var body: [UInt8] = []
        do {
            for try await chunk in chunks {
                body += chunk
                if body.count > 65_536 { break }
            }
        } catch {
            // What came of it has to do.
        }
        return KubernetesError(status: head.status, headers: head.headers, body: body, operation: operation)
    }
}
