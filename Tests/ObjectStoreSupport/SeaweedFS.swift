internal import Foundation
internal import HTTPBridge
internal import LocalStack
package import ObjectStores
package import ServiceRuntime
internal import Workflow

/// A SeaweedFS server of a test's own, on free ports, which verifies signatures.
package struct SeaweedFS: Sendable {
    package static let accessKey = "AKIATEST"
    package static let secretKey = "a/secret+of=the-test"
    package static let bucket = "test-bucket"
    private static let administrator = "AKIAADMIN"

    /// `weed` in PATH: scripts/setup --tests installs it.
    private static let program: String? = {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").map { "\($0)/weed" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }()
    package static let isWanted = program != nil || ProcessInfo.processInfo.environment["CI"] == "true"
    package static let skipReason = "weed (SeaweedFS) is not in PATH; scripts/setup --tests installs it"
    private static let startLimit = Duration.seconds(90)

    package let endpoint: String
    private let filer: String
    private let command: ChildProcess.Command
    package let child: ChildProcess

    /// For the key of an administrator it makes a bucket that is not there, so the tests' own may do less.
    ///
    /// - Parameter folder: where it keeps everything.
    private static func start(in folder: String, volumesMax: Int = 8) async throws -> SeaweedFS {
        guard let program else { throw NotReady(description: skipReason) }
        let identities = """
            {"identities": [{"name": "test", "credentials": [{"accessKey": "\(accessKey)", "secretKey": "\(secretKey)"}],
             "actions": ["Read", "Write", "List"]},
             {"name": "admin", "credentials": [{"accessKey": "\(administrator)", "secretKey": "\(secretKey)"}],
             "actions": ["Admin", "Read", "Write", "List"]}]}
            """
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(identities.utf8).write(to: URL(filePath: "\(folder)/identities.json"))
        let ports = Set((0..<8).compactMap { _ in LoopbackPort.free() })
        guard ports.count == 8 else { return try await start(in: folder, volumesMax: volumesMax) }
        let port = Array(ports)
        let command = ChildProcess.Command(
            program,
            [
                "server", "-dir=\(folder)", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.port=\(port[0])",
                "-master.port.grpc=\(port[1])", "-volume.port=\(port[2])", "-volume.port.grpc=\(port[3])",
                "-filer", "-filer.port=\(port[4])", "-filer.port.grpc=\(port[5])", "-s3",
                "-s3.port=\(port[6])",
                "-s3.port.grpc=\(port[7])", "-s3.iam=false", "-s3.config=\(folder)/identities.json",
                "-s3.port.iceberg=0", "-s3.port.lance=0", "-master.telemetry=false",
                "-volume.max=\(volumesMax)", "-master.volumeSizeLimitMB=30",
            ], environment: ["HOME": folder, "PATH": "/usr/bin:/bin"], logFile: "\(folder)/weed.log",
            diesWithParent: true)
        let server = SeaweedFS(
            endpoint: "http://127.0.0.1:\(port[6])", filer: "http://127.0.0.1:\(port[4])", command: command,
            child: try await ChildProcess.start(command))
        try await server.waitUntilReady()
        try await server.makeBucket()
        return server
    }

    /// The same server again, with what it had on disk.
    package func restarted() async throws -> SeaweedFS {
        let server = SeaweedFS(
            endpoint: endpoint, filer: filer, command: command,
            child: try await ChildProcess.start(command))
        try await server.waitUntilReady()
        return server
    }

    package static func run(volumesMax: Int = 8, _ body: (SeaweedFS) async throws -> Void) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "weed-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await run(in: folder, volumesMax: volumesMax, body)
    }

    package static func run(in folder: String, volumesMax: Int = 8, _ body: (SeaweedFS) async throws -> Void)
        async throws
    {
        let server = try await start(in: folder, volumesMax: volumesMax)
        do {
            try await body(server)
        } catch {
            await server.child.terminate(grace: .seconds(10))
            throw error
        }
        await server.child.terminate(grace: .seconds(10))
    }

    /// The port that S3 is asked on.
    package var port: Int { endpoint.split(separator: ":").last.flatMap { Int($0) } ?? 0 }

    /// - Parameter proxy: the port of what stands between us and the server.
    package func settings(
        bucket: String = bucket, secretKey: String = secretKey, accessKey: String = accessKey,
        through proxy: Int? = nil
    ) -> S3Settings {
        var settings = S3Settings(
            endpoint: proxy.map { "http://127.0.0.1:\($0)" } ?? endpoint, bucket: bucket,
            credentials: { S3Credentials(accessKey: accessKey, secretKey: secretKey) },
            now: { Int64(Date.now.timeIntervalSince1970) })
        settings.partBytes = S3Settings.partBytesMin
        settings.retry.attemptMax = 3
        settings.retry.backoffInitial = .milliseconds(20)
        return settings
    }

    private struct NotReady: Error, CustomStringConvertible {
        var description: String
    }

    private func waitUntilReady() async throws {
        let clock = ContinuousClock()
        let end = clock.now + Self.startLimit
        while clock.now < end {
            guard child.exit == nil else { throw NotReady(description: "weed ended: see weed.log") }
            // It answers before its parts know each other: a list says that they do.
            let store = S3ObjectStore(settings(bucket: "none", accessKey: Self.administrator))
            do {
                try await store.check()
            } catch  where error.code == .noContainer {
                await store.close()
                return
            } catch {}
            await store.close()
            try await clock.sleep(for: .milliseconds(100))
        }
        throw NotReady(description: "SeaweedFS did not answer within \(Self.startLimit)")
    }

    /// A bucket is a folder of the server's own.
    private func makeBucket() async throws {
        let client = HTTPClient()
        let request = HTTPRequest(.post, "\(filer)/buckets/\(Self.bucket)/")
        let answer: HTTPResponse
        do {
            answer = try await client.execute(request)
        } catch {
            await client.close()
            throw error
        }
        await client.close()
        guard answer.status < 300 else {
            throw NotReady(description: "the bucket was answered with status \(answer.status)")
        }
    }
}
