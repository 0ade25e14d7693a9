import Crypto
import Hummingbird
import Logging
import MarketData
import Synchronization
import Testing
import ZlibBridge

@testable import BinanceFeed

/// A server of files that a test decides about. What it was not given is answered 404.
final class FakeArchive: Sendable {
    private struct State {
        var files: [String: [UInt8]] = [:]
        var counts: [String: Int] = [:]
    }

    private let state = Mutex(State())

    /// Serves while `body` runs, on a free loopback port.
    static func run(
        _ body: @escaping @Sendable (_ url: String, FakeArchive) async throws -> Void
    ) async throws {
        let archive = FakeArchive()
        let (ports, continuation) = AsyncStream.makeStream(of: Int.self)
        var logger = Logger(label: "fake-archive")
        logger.logLevel = .critical
        let responder = CallbackResponder<BasicRequestContext> { request, _ in
            guard let bytes = archive.answer(request.uri.path) else { return Response(status: .notFound) }
            return Response(status: .ok, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
        }
        let application = Application(
            responder: responder, configuration: .init(address: .hostname("127.0.0.1", port: 0)),
            onServerRunning: { channel in
                continuation.yield(channel.localAddress?.port ?? 0)
                continuation.finish()
            }, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await application.run() }
            for await port in ports { try await body("http://127.0.0.1:\(port)", archive) }
            group.cancelAll()
        }
    }

    private func answer(_ path: String) -> [UInt8]? {
        state.withLock { state in
            state.counts[path, default: 0] += 1
            return state.files[path]
        }
    }

    /// How often a file was asked for.
    func count(_ file: ArchiveFile) -> Int { state.withLock { $0.counts[file.path] ?? 0 } }

    /// - Parameter checksum: of the bytes that the checksum is made of; nil for those that are served.
    func put(_ file: ArchiveFile, _ zipped: [UInt8], checksumOf other: [UInt8]? = nil) {
        let text =
            "\(SHA256.hash(data: other ?? zipped).hexText)  \(file.path.split(separator: "/").last ?? "")\n"
        state.withLock { state in
            state.files[file.path] = zipped
            state.files[file.checksumPath] = Array(text.utf8)
        }
    }

    func putChecksum(_ file: ArchiveFile, _ text: [UInt8]) {
        state.withLock { $0.files[file.checksumPath] = text }
    }

    func drop(_ file: ArchiveFile) {
        state.withLock { state in
            state.files[file.path] = nil
            state.files[file.checksumPath] = nil
        }
    }

    /// Puts a file of the replay exchange here, its lines changed.
    func copy(
        _ file: ArchiveFile, from fixture: FeedFixture, _ change: (inout [Substring]) -> Void = { _ in }
    ) async throws {
        let stream = try ZipStream(try await fixture.zipped(file))
        var bytes: [UInt8] = []
        while let piece = try stream.next() { bytes += piece }
        var lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        change(&lines)
        put(file, ZipWriter.archive("lines.csv", Array((lines.joined(separator: "\n") + "\n").utf8)))
    }
}
