import HTTPBridge
import ServiceRuntime
import Workflow

/// Gets files of the archive and checks them against the checksums beside them. Files cost no request weight.
struct ArchiveFetcher: Sendable {
    let feed: BinanceFeed

    private enum Outcome {
        case file(ArchiveSpool)
        case missing
        /// Worth another try, not before that time is over where the server named one.
        case again(ArchiveFault, notBefore: Duration?)
    }

    /// A checksum file is under 200 bytes.
    private static let checksumBytesMax = 4_096
    private static let checksumDigits = 64

    /// - Returns: the file, its checksum found right; nil when the archive has none.
    /// - Throws: ``ArchiveFault``; `CancellationError`.
    func fetch(_ file: ArchiveFile) async throws -> ArchiveSpool? {
        let policy = feed.configuration.retry
        let began = feed.clock.now()
        var attempt = 1
        while true {
            switch try await ask(file) {
            case .file(let spool):
                feed.observe(.fileRead(byteCount: await spool.byteCount, duration: feed.clock.now() - began))
                return spool
            case .missing: return nil
            case .again(let fault, let notBefore):
                let backoff = policy.backoff(afterAttempt: attempt, jitter: feed.jitter.next())
                let wait = max(backoff, notBefore ?? .zero)
                let isTooLong =
                    feed.clock.now() - began + wait > policy.totalMax || wait > policy.retryAfterMax
                guard attempt < feed.configuration.archiveAttemptsMax, !isTooLong else { throw fault }
                feed.observe(.retried(attempt: attempt, reason: "\(fault.path): \(fault.detail)", wait: wait))
                try await feed.clock.sleep(wait)
                attempt += 1
            }
        }
    }

    private func ask(_ file: ArchiveFile) async throws -> Outcome {
        do {
            let checksum = try await feed.http.execute(
                request(file.checksumPath), bodyBytesMax: Self.checksumBytesMax)
            if checksum.status == 404 { return .missing }
            guard checksum.status == 200 else {
                return again(HTTPHead(status: checksum.status, headers: checksum.headers), file)
            }
            guard let expected = Self.digest(inChecksum: checksum.body) else {
                return .again(
                    ArchiveFault(.corrupt, file, "its checksum file holds no SHA-256"), notBefore: nil)
            }
            return try await feed.http.stream(request(file.path)) { head, body in
                if head.status == 404 { return .missing }
                guard head.status == 200 else { return again(head, file) }
                let spool = try await receive(body, of: file, length: head.headers["Content-Length"])
                // It may have been replaced between the two answers: then the next try fits.
                guard await spool.checksum == expected else {
                    return .again(
                        ArchiveFault(.corrupt, file, "it does not fit its checksum"), notBefore: nil)
                }
                return .file(spool)
            }
        } catch let error as HTTPError {
            if error.code == .cancelled || Task.isCancelled { throw CancellationError() }
            let fault = ArchiveFault(.unavailable, file, error.description)
            guard error.isRetriable else { throw fault }
            return .again(fault, notBefore: nil)
        } catch let error as SpoolError {
            throw ArchiveFault(error, file)
        }
    }

    private func receive(
        _ body: HTTPBody, of file: ArchiveFile, length: String?
    ) async throws -> ArchiveSpool {
        let bytesMax = feed.configuration.archiveBytesMax
        let tooLarge = ArchiveFault(
            .tooLarge, file, "it is longer than \(bytesMax) bytes (EXCHANGE_ARCHIVE_BYTES_MAX)")
        if let length = length.flatMap({ Int($0) }), length > bytesMax { throw tooLarge }
        let spool = try ArchiveSpool(folder: feed.configuration.archiveFolder)
        var byteCount = 0
        for try await bytes in body {
            byteCount += bytes.count
            guard byteCount <= bytesMax else { throw tooLarge }
            try await spool.append(bytes)
        }
        return spool
    }

    private func again(_ head: HTTPHead, _ file: ArchiveFile) -> Outcome {
        let fault = ArchiveFault(.unavailable, file, "status \(head.status)")
        let seconds = head.headers["Retry-After"].flatMap { Int64($0) }
        return .again(fault, notBefore: seconds.map { .seconds(max(0, min($0, AnswerHead.retryAfterMax))) })
    }

    private func request(_ path: String) -> HTTPRequest {
        let configuration = feed.configuration
        return HTTPRequest(
            .get, configuration.archiveURL + path, headers: ["User-Agent": configuration.userAgent],
            timeouts: configuration.archiveTimeouts)
    }

    /// - Parameter text: `<64 hexadecimal digits>  <name>`.
    static func digest(inChecksum text: [UInt8]) -> String? {
        let digits = text.prefix { $0 > 0x20 }
        let text = String(decoding: digits, as: UTF8.self).lowercased()
        return digits.count == checksumDigits && text.allSatisfy(\.isHexDigit) ? text : nil
    }
}
