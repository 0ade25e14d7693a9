import Foundation
import HTTPBridge
import ServiceRuntime
import Testing

/// Against hypercorn, a server that speaks HTTP/2 over TLS.
@Suite(.timeLimit(.minutes(1)))
struct HTTP2Tests {
    @Test func `speaks HTTP/2 with a server that offers it, many requests on one connection`() async throws {
        try await withServer(protocols: "h2,http/1.1") { url, client in
            let answers = try await answers(8, url, client)
            #expect(answers.allSatisfy { $0.hasPrefix("2 ") })
            #expect(Set(answers.map { $0.split(separator: " ")[1] }).count == 1, "\(answers)")
        }
    }

    @Test func `falls back to HTTP/1.1, where requests at one time need a connection each`() async throws {
        try await withServer(protocols: "http/1.1") { url, client in
            let answers = try await answers(4, url, client)
            #expect(answers.allSatisfy { $0.hasPrefix("1.1 ") })
            #expect(Set(answers.map { $0.split(separator: " ")[1] }).count > 1, "\(answers)")
        }
    }

    @Test func `sends a large body over HTTP/2 as a whole`() async throws {
        try await withServer(protocols: "h2") { url, client in
            var request = HTTPRequest(.post, url)
            request.body = [UInt8](repeating: 0x61, count: 3_000_000)
            let answer = try await client.execute(request)
            let parts = String(decoding: answer.body, as: UTF8.self).split(separator: " ")
            #expect(parts.first == "2" && parts.last == "3000000")
        }
    }

    /// The first request alone: afterwards the client knows what the server speaks.
    private func answers(_ count: Int, _ url: String, _ client: HTTPClient) async throws -> [String] {
        _ = try await client.execute(HTTPRequest(.get, url))
        return try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<count {
                group.addTask {
                    String(decoding: try await client.execute(HTTPRequest(.get, url)).body, as: UTF8.self)
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
    }

    private func withServer(
        protocols: String, _ body: (_ url: String, HTTPClient) async throws -> Void
    ) async throws {
        let program = try #require(Bundle.module.path(forResource: "http2_server", ofType: "py"))
        try await withCertificate { files in
            let log = files.folder + "/server.log"
            let server = try await ChildProcess.start(
                ChildProcess.Command(
                    try #require(python, "STREAMFORGE_TEST_PYTHON is not set; scripts/test sets it"),
                    [program, files.key, files.certificate, protocols],
                    environment: [:], logFile: log))
            do {
                let port = try await waitForPort(log) { Int($0) }
                try await withClient(HTTPClient.Configuration(caFile: files.certificate)) { client in
                    try await body("https://127.0.0.1:\(port)/", client)
                }
            } catch {
                _ = await server.terminate(grace: .seconds(1))
                throw error
            }
            _ = await server.terminate(grace: .seconds(1))
        }
    }
}

private let python = ProcessInfo.processInfo.environment["STREAMFORGE_TEST_PYTHON"]
