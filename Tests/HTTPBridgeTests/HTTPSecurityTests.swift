import Foundation
import HTTPBridge
import ServiceRuntime
import Testing

/// Against OpenSSL's own small server, with certificates made for the test.
@Suite(.timeLimit(.minutes(1)))
struct HTTPSecurityTests {
    @Test func `trusts a server whose authority is in the CA file`() async throws {
        try await withTLSServer { url, certificate in
            try await withClient(HTTPClient.Configuration(caFile: certificate)) { client in
                let response = try await client.execute(HTTPRequest(.get, url))
                #expect(response.status == 200)
                #expect(String(decoding: response.body, as: UTF8.self).contains("Protocol"))
            }
        }
    }

    @Test func `refuses a server nobody vouches for`() async throws {
        try await withTLSServer { url, _ in
            try await withClient { client in
                let error = await #expect(throws: HTTPError.self) {
                    try await client.execute(HTTPRequest(.get, url))
                }
                #expect(error?.code == .tlsFailed)
                #expect(error?.isRetriable == false)
            }
        }
    }

    @Test func `refuses a certificate for another name`() async throws {
        try await withTLSServer(name: "DNS:elsewhere.example") { url, certificate in
            try await withClient(HTTPClient.Configuration(caFile: certificate)) { client in
                let error = await #expect(throws: HTTPError.self) {
                    try await client.execute(HTTPRequest(.get, url))
                }
                #expect(error?.code == .tlsFailed)
            }
        }
    }

    @Test func `a CA file that is missing is tlsFailed`() async throws {
        try await withTLSServer { url, _ in
            try await withClient(HTTPClient.Configuration(caFile: "/nonexistent/ca.pem")) { client in
                let error = await #expect(throws: HTTPError.self) {
                    try await client.execute(HTTPRequest(.get, url))
                }
                #expect(error?.code == .tlsFailed)
            }
        }
    }

    /// Runs `openssl s_server` with a fresh self-signed certificate for `name`.
    private func withTLSServer(
        name: String = "IP:127.0.0.1", _ body: (_ url: String, _ certificate: String) async throws -> Void
    ) async throws {
        try await withCertificate(name: name) { files in
            let log = files.folder + "/server.log"
            let server = try await ChildProcess.start(
                ChildProcess.Command(
                    OpenSSL.path,
                    [
                        "s_server", "-accept", "127.0.0.1:0", "-key", files.key, "-cert", files.certificate,
                        "-www",
                    ], environment: [:], logFile: log))
            do {
                let port = try await waitForPort(log) { line in
                    line.hasPrefix("ACCEPT") ? line.split(separator: ":").last.flatMap { Int($0) } : nil
                }
                try await body("https://127.0.0.1:\(port)/", files.certificate)
            } catch {
                _ = await server.terminate(grace: .seconds(1))
                throw error
            }
            _ = await server.terminate(grace: .seconds(1))
        }
    }
}
