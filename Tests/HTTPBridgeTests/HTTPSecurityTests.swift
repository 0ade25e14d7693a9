import Foundation
import HTTPBridge
import ServiceRuntime
import Testing

private enum OpenSSL {
    static let path = "/usr/bin/openssl"
    static let isInstalled = FileManager.default.isExecutableFile(atPath: path)
}

/// Against OpenSSL's own small server, with certificates made for the test.
@Suite(.timeLimit(.minutes(1)), .enabled(if: OpenSSL.isInstalled, "there is no /usr/bin/openssl"))
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
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("streamforge-tls-\(UInt64.random(in: 0...UInt64.max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (key, certificate) = (folder.path + "/key.pem", folder.path + "/certificate.pem")
        let made = try await ChildProcess.start(
            ChildProcess.Command(
                OpenSSL.path,
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=test",
                    "-addext", "subjectAltName=\(name)",
                ], environment: [:], logFile: folder.path + "/req.log")
        ).waitForExit(timeout: .seconds(20))
        try #require(made == .code(0))
        let log = folder.path + "/server.log"
        let server = try await ChildProcess.start(
            ChildProcess.Command(
                OpenSSL.path,
                ["s_server", "-accept", "127.0.0.1:0", "-key", key, "-cert", certificate, "-www"],
                environment: [:], logFile: log))
        do {
            try await body("https://127.0.0.1:\(try await port(log))/", certificate)
        } catch {
            _ = await server.terminate(grace: .seconds(1))
            throw error
        }
        _ = await server.terminate(grace: .seconds(1))
    }

    /// The port from the server's line `ACCEPT 127.0.0.1:40123`.
    private func port(_ log: String) async throws -> Int {
        let deadline = ContinuousClock.now + .seconds(10)
        while ContinuousClock.now < deadline {
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            if let line = text.split(separator: "\n").first(where: { $0.hasPrefix("ACCEPT") }),
                let port = line.split(separator: ":").last.flatMap({ Int($0) })
            {
                return port
            }
            try await Task.sleep(for: .milliseconds(10))
        }
        throw CancellationError()
    }
}
