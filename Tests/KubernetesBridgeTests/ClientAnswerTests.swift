import HTTPBridge
import KubernetesBridge
import Synchronization
import TestSupport
import Testing

/// How the client takes answers that a healthy server does not give.
@Suite(.timeLimit(.minutes(1)))
struct ClientAnswerTests {
    private static let job =
        #"{"kind":"Job","metadata":{"name":"a","namespace":"stf","uid":"1","resourceVersion":"5"}}"#

    private func status(_ reason: String, _ code: Int, _ more: String = "") -> String {
        #"{"kind":"Status","status":"Failure","message":"said","reason":"\#(reason)","code":\#(code)\#(more)}"#
    }

    private func withClient(
        _ scripts: [PlayedServer.Script], requestTimeout: Duration = .seconds(20),
        _ body: (KubernetesClient, PlayedServer) async throws -> Void
    ) async throws {
        let server = PlayedServer(scripts)
        var limits = KubernetesClient.Limits()
        limits.requestTimeout = requestTimeout
        limits.tryTimeout = min(.seconds(2), requestTimeout)
        let client = KubernetesClient(
            KubernetesConfiguration(
                server: server.url, certificateAuthorities: nil, credential: .token("t0ken"), namespace: "stf"
            ),
            limits: limits)
        try await body(client, server)
        await client.close()
        server.stop()
    }

    @Test(arguments: [
        ("AlreadyExists", 409, KubernetesError.Code.alreadyExists), ("Conflict", 409, .conflict),
        ("NotFound", 404, .notFound), ("Forbidden", 403, .forbidden), ("Unauthorized", 401, .unauthorized),
        ("Invalid", 422, .invalid), ("BadRequest", 400, .invalid), ("Expired", 410, .expired),
        ("Gone", 410, .expired),
    ])
    func `a refusal has its code and the server's words, and is not asked again`(
        reason: String, number: Int, code: KubernetesError.Code
    ) async throws {
        let answer = status(reason, number)
        try await withClient([{ $0.answer(number, answer) }]) { client, server in
            let error = await #expect(throws: KubernetesError.self) {
                _ = try await client.get(.jobs, name: "a")
            }
            #expect(error?.code == code)
            #expect(error?.detail == "said")
            #expect(error?.operation == "get jobs/a")
            #expect(server.requests == ["GET /apis/batch/v1/namespaces/stf/jobs/a HTTP/1.1"])
        }
    }

    @Test(arguments: [
        (#"admission webhook "p.example" denied the request: no"#, KubernetesError.Code.forbidden),
        ("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", .forbidden),
        ("the body cannot be read", .invalid),
    ])
    func `what a policy denies without a number is no wrong object`(
        message: String, code: KubernetesError.Code
    ) async throws {
        let quoted = message.replacing("\"", with: "\\\"")
        let answer = #"{"kind":"Status","message":"\#(quoted)","code":400}"#
        try await withClient([{ $0.answer(400, answer) }]) { client, _ in
            let error = await #expect(throws: KubernetesError.self) {
                _ = try await client.get(.jobs, name: "a")
            }
            #expect(error?.code == code)
            #expect(error?.detail == message)
        }
    }

    @Test func `a busy server is left alone as long as it asks, then asked again`() async throws {
        let busy = status("TooManyRequests", 429)
        let started = ContinuousClock.now
        let scripts: [PlayedServer.Script] = [
            { $0.answer(429, busy, headers: ["Retry-After: 1"]) }, { $0.answer(200, Self.job) },
        ]
        try await withClient(scripts) { client, server in
            let job = try await client.get(.jobs, name: "a")
            #expect(job.metadata.uid == "1")
            #expect(server.requests.count == 2)
            #expect(ContinuousClock.now - started >= .seconds(1))
        }
    }

    @Test func `a pause longer than a request has is not waited for`() async throws {
        let busy = status("TooManyRequests", 429)
        let started = ContinuousClock.now
        try await withClient([{ $0.answer(429, busy, headers: ["Retry-After: 3600"]) }]) { client, server in
            for _ in 0..<2 {
                let error = await #expect(throws: KubernetesError.self) {
                    _ = try await client.within(.seconds(5)).get(.jobs, name: "a")
                }
                #expect(error?.code == .tooManyRequests)
            }
            // The second was not even sent: the server is left alone.
            #expect(server.requests.count == 1)
            #expect(ContinuousClock.now - started < .seconds(5))
        }
    }

    @Test func `a client within a time gives up by then`() async throws {
        try await withClient([{ $0.awaitClose() }]) { client, _ in
            let started = ContinuousClock.now
            let error = await #expect(throws: KubernetesError.self) {
                _ = try await client.within(.milliseconds(300)).get(.jobs, name: "a")
            }
            #expect(error?.code == .timeout)
            #expect(ContinuousClock.now - started < .seconds(2))
        }
    }

    @Test func `a log that broke off is told as far as it came`() async throws {
        let scripts: [PlayedServer.Script] = [
            { $0.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\none\ntwo\n") },
            { $0.answer(200, "one\n") }, { $0.answer(503, "no kubelet") },
        ]
        try await withClient(scripts) { client, _ in
            let broken = try await client.logTail(pod: "p", container: "worker", bytesMax: 1 << 20)
            #expect(String(decoding: broken.bytes, as: UTF8.self) == "one\ntwo\n")
            #expect(broken.failure?.isRetriable == true)
            let whole = try await client.logTail(pod: "p", container: "worker", bytesMax: 1 << 20)
            #expect(whole.bytes == Array("one\n".utf8) && whole.failure == nil)
            await #expect(throws: KubernetesError.self) {
                _ = try await client.logTail(pod: "p", container: "worker", bytesMax: 1 << 20)
            }
        }
    }

    @Test func `trouble of the server's is waited for, until the request's time is over`() async throws {
        let scripts: [PlayedServer.Script] = [
            { $0.answer(503, "upstream gone") }, { _ in }, { $0.answer(200, Self.job) },
        ]
        try await withClient(scripts) { client, server in
            _ = try await client.get(.jobs, name: "a")
            #expect(server.requests.count == 3)
        }
        try await withClient([{ $0.answer(503, "upstream gone") }], requestTimeout: .milliseconds(500)) {
            client, _ in
            let error = await #expect(throws: KubernetesError.self) {
                _ = try await client.get(.jobs, name: "a")
            }
            #expect(error?.code == .unavailable)
            #expect(error?.detail == "upstream gone")
            #expect(error?.isRetriable == true)
        }
    }

    @Test func `a server that does not answer is a timeout`() async throws {
        try await withClient([{ $0.awaitClose() }], requestTimeout: .seconds(1)) { client, _ in
            let error = await #expect(throws: KubernetesError.self) {
                _ = try await client.get(.jobs, name: "a")
            }
            #expect(error?.code == .timeout)
        }
    }

    @Test func `nobody listening is unavailable`() async throws {
        let port = ClosedPort()
        var limits = KubernetesClient.Limits()
        limits.requestTimeout = .milliseconds(300)
        let client = KubernetesClient(
            KubernetesConfiguration(
                server: "http://127.0.0.1:\(port.number)", certificateAuthorities: nil, credential: .none,
                namespace: "stf"), limits: limits)
        let error = await #expect(throws: KubernetesError.self) {
            _ = try await client.get(.jobs, name: "a")
        }
        #expect(error?.code == .unavailable)
        await client.close()
    }

    @Test func `a delete names the uid and what becomes of the pods`() async throws {
        let body = Mutex("")
        let scripts: [PlayedServer.Script] = [
            { connection in
                var bytes = [UInt8](repeating: 0, count: 4_096)
                let count = recvBytes(connection.descriptor, &bytes)
                body.withLock { $0 = String(decoding: bytes[..<count], as: UTF8.self) }
                connection.answer(200, Self.job)
            }
        ]
        try await withClient(scripts) { client, server in
            try await client.delete(.jobs, name: "a", uid: "u-1", .foreground)
            let sent = body.withLock { $0 }
            #expect(sent.contains(#""uid":"u-1""#))
            #expect(sent.contains(#""propagationPolicy":"Foreground""#))
            #expect(server.requestHeads.first?.contains("Authorization: Bearer t0ken") == true)
        }
    }

    @Test func `a list is read page by page, and begins anew when it expires under way`() async throws {
        @Sendable func page(_ name: String, next: String) -> String {
            #"{"metadata":{"resourceVersion":"9","continue":"\#(next)"},"items":[{"metadata":{"name":"\#(name)","uid":"\#(name)"}}]}"#
        }
        let gone = status("Expired", 410)
        let scripts: [PlayedServer.Script] = [
            { $0.answer(200, page("a", next: "p2")) }, { $0.answer(410, gone) },
            { $0.answer(200, page("a", next: "p2")) }, { $0.answer(200, page("b", next: "")) },
        ]
        try await withClient(scripts) { client, server in
            let list = try await client.list(.jobs, LabelSelector(["app": "x", "queue_id": "q"]))
            #expect(list.items.map(\.metadata.name) == ["a", "b"])
            #expect(list.resourceVersion == "9")
            #expect(server.requests[0].contains("limit=250&labelSelector=app%3Dx%2Cqueue_id%3Dq"))
            #expect(server.requests[3].contains("continue=p2"))
        }
    }

    @Test func `an answer that is no JSON is malformed`() async throws {
        let scripts: [PlayedServer.Script] = [{ $0.answer(200, "<html>") }]
        try await withClient(scripts, requestTimeout: .milliseconds(300)) { client, _ in
            let error = await #expect(throws: KubernetesError.self) {
                _ = try await client.get(.jobs, name: "a")
            }
            #expect(error?.code == .malformed)
        }
    }
}
