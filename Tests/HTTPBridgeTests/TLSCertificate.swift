import Foundation
import ServiceRuntime
import Testing

enum OpenSSL {
    static let path = "/usr/bin/openssl"
}

/// A key and a certificate that it signed itself, in a folder of the test's own.
struct CertificateFiles: Sendable {
    var folder: String
    var key: String { "\(folder)/key.pem" }
    var certificate: String { "\(folder)/certificate.pem" }
}

/// - Parameter name: the subject's alternative name, e.g. `DNS:elsewhere.example`.
func withCertificate(
    name: String = "IP:127.0.0.1", _ body: (CertificateFiles) async throws -> Void
) async throws {
    let folder = FileManager.default.temporaryDirectory
        .appendingPathComponent("streamforge-tls-\(UInt64.random(in: 0...UInt64.max))")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let files = CertificateFiles(folder: folder.path)
    let made = try await ChildProcess.start(
        ChildProcess.Command(
            OpenSSL.path,
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", files.key, "-out", files.certificate, "-days", "2", "-subj", "/CN=test",
                "-addext", "subjectAltName=\(name)",
            ], environment: [:], logFile: "\(files.folder)/req.log")
    ).waitForExit(timeout: .seconds(20))
    try #require(made == .code(0))
    try await body(files)
}

/// Waits until a line of a server's log tells its port.
func waitForPort(_ log: String, in line: (Substring) -> Int?) async throws -> Int {
    let deadline = ContinuousClock.now + .seconds(20)
    while ContinuousClock.now < deadline {
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        if let port = text.split(separator: "\n").lazy.compactMap(line).first { return port }
        try await Task.sleep(for: .milliseconds(10))
    }
    throw CancellationError()
}
