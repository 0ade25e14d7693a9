import Foundation
import HTTPBridge
import ServiceRuntime
import Testing

/// Certificates given by value, against OpenSSL's own small server.
@Suite(.timeLimit(.minutes(1)))
struct ClientCertificateTests {
    @Test func `shows its certificate to a server that demands one`() async throws {
        try await withDemandingServer { url, files in
            var configuration = HTTPClient.Configuration()
            configuration.caPEM = try bytes(files.certificate)
            configuration.identity = TLSIdentity(
                certificatePEM: try bytes(files.certificate), keyPEM: try bytes(files.key))
            configuration.allowsHTTP2 = false
            try await withClient(configuration) { client in
                let response = try await client.execute(HTTPRequest(.get, url))
                #expect(response.status == 200)
                #expect(String(decoding: response.body, as: UTF8.self).contains("Client certificate"))
            }
        }
    }

    @Test func `a server that demands a certificate refuses who has none`() async throws {
        try await withDemandingServer { url, files in
            var configuration = HTTPClient.Configuration()
            configuration.caPEM = try bytes(files.certificate)
            try await withClient(configuration) { client in
                _ = await #expect(throws: HTTPError.self) {
                    try await client.execute(HTTPRequest(.get, url))
                }
            }
        }
    }

    @Test func `authorities that are no PEM are tlsFailed`() async throws {
        try await withDemandingServer { url, _ in
            var configuration = HTTPClient.Configuration()
            configuration.caPEM = Array("nothing of the kind".utf8)
            try await withClient(configuration) { client in
                let error = await #expect(throws: HTTPError.self) {
                    try await client.execute(HTTPRequest(.get, url))
                }
                #expect(error?.code == .tlsFailed)
            }
        }
    }

    private func bytes(_ path: String) throws -> [UInt8] {
        Array(try Data(contentsOf: URL(filePath: path)))
    }

    /// `openssl s_server` that asks for a certificate which its own authority, the same file, has signed.
    private func withDemandingServer(
        _ body: (_ url: String, _ files: CertificateFiles) async throws -> Void
    ) async throws {
        try await withCertificate { files in
            let log = files.folder + "/server.log"
            let server = try await ChildProcess.start(
                ChildProcess.Command(
                    OpenSSL.path,
                    [
                        "s_server", "-accept", "127.0.0.1:0", "-key", files.key, "-cert", files.certificate,
                        "-Verify", "1", "-verify_return_error", "-CAfile", files.certificate, "-www",
                    ], environment: [:], logFile: log))
            let outcome: Result<Void, any Error>
            do {
                let port = try await waitForPort(log) { line in
                    line.hasPrefix("ACCEPT") ? line.split(separator: ":").last.flatMap { Int($0) } : nil
                }
                try await body("https://127.0.0.1:\(port)/", files)
                outcome = .success(())
            } catch {
                outcome = .failure(error)
            }
            _ = await server.terminate(grace: .seconds(1))
            try outcome.get()
        }
    }
}
