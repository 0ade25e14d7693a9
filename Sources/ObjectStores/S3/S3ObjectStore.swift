import Crypto
import Foundation
import HTTPBridge
import Workflow

/// Objects in a bucket of an S3 server (Amazon S3 API reference, version 2006-03-01): AWS, MinIO, SeaweedFS.
///
/// An S3 server shows an object when all of it is there, one put in parts when it is completed. Every body
/// goes with its SHA-256 (signed) and its MD5, which the server checks.
package struct S3ObjectStore: ObjectStore {
    private let connection: S3Connection
    private var settings: S3Settings { connection.settings }

    package init(_ settings: S3Settings) {
        connection = S3Connection(settings)
    }

    @discardableResult
    package func put(_ key: ObjectKey, _ content: ObjectContent) async throws(ObjectStoreError) -> ObjectInfo
    {
        let operation = "put \(key)"
        do throws(S3Failure) {
            if content.byteCount <= Int64(settings.partBytes) {
                var call = S3Call(.put, key, operation: operation)
                let bytes = try await content.bytes(0..<content.byteCount, call)
                call.headers = [("content-type", content.mediaType)]
                _ = try await connection.send(call.with(bytes))
            } else {
                try await S3Upload(connection: connection, key: key, content: content).run()
            }
            return ObjectInfo(key: key, byteCount: content.byteCount)
        } catch {
            // SeaweedFS answers so where the bucket is not there and the key may not make one.
            if error.word == "AccessDenied" { try await check() }
            throw error.error
        }
    }

    package func get(
        _ key: ObjectKey, range: Range<Int64>?, body: @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        do {
            try await S3Download(connection: connection, key: key, range: range).run(body)
        } catch let failure as S3Failure {
            throw failure.error
        }
    }

    package func info(_ key: ObjectKey) async throws(ObjectStoreError) -> ObjectInfo? {
        let call = S3Call(.head, key, operation: "look at \(key)")
        do throws(S3Failure) {
            let length = try await connection.send(call).headers["Content-Length"].flatMap { Int64($0) }
            guard let length else {
                throw S3Failure.malformed(call, "the answer has no Content-Length")
            }
            return ObjectInfo(key: key, byteCount: length)
        } catch {
            guard error.status == 404 else { throw error.error }
            // An answer without a body does not say whether the bucket is there.
            try await check()
            return nil
        }
    }

    package func list(
        _ prefix: ObjectPrefix, body: @Sendable ([ObjectInfo]) async throws -> Void
    ) async throws {
        var next: String?
        repeat {
            let (infos, token) = try await page(prefix, after: next)
            if !infos.isEmpty { try await body(infos) }
            next = token
        } while next != nil
    }

    private func page(
        _ prefix: ObjectPrefix, after token: String?
    ) async throws(ObjectStoreError) -> ([ObjectInfo], next: String?) {
        var call = S3Call(.get, operation: "list \(prefix)")
        call.query = [("list-type", "2"), ("prefix", prefix.rawValue)]
        if let token { call.query.append(("continuation-token", token)) }
        do throws(S3Failure) {
            guard let list = S3XML.parse(try await connection.send(call).body),
                list.name == "ListBucketResult"
            else { throw S3Failure.malformed(call, "the answer is no list") }
            // Others may keep objects with other names in the bucket: they are none of ours.
            let infos = list.all("Contents").compactMap { element -> ObjectInfo? in
                guard let key = element.first("Key").flatMap({ ObjectKey($0) }),
                    let byteCount = element.first("Size").flatMap({ Int64($0) })
                else { return nil }
                return ObjectInfo(key: key, byteCount: byteCount)
            }
            let next = list.first("IsTruncated") == "true" ? list.first("NextContinuationToken") : nil
            // A server that always says there is more would be asked for ever.
            guard next == nil || next != token else {
                throw S3Failure.malformed(call, "the list does not go on")
            }
            return (infos, next)
        } catch { throw error.error }
    }

    package func delete(_ key: ObjectKey) async throws(ObjectStoreError) {
        do throws(S3Failure) {
            _ = try await connection.send(S3Call(.delete, key, operation: "delete \(key)"))
        } catch {
            guard error.error.code == .notFound else { throw error.error }
        }
    }

    package func discardUnfinished(under prefix: ObjectPrefix) async throws(ObjectStoreError) {
        do throws(S3Failure) {
            try await S3Uploads(connection: connection).abortAll(under: prefix)
        } catch { throw error.error }
    }

    package func check() async throws(ObjectStoreError) {
        // A list, not HEAD: its error has a body, and so says whether key, secret or bucket is wrong.
        var call = S3Call(.get, operation: "look at the bucket \(settings.bucket)")
        call.query = [("list-type", "2"), ("max-keys", "1")]
        do throws(S3Failure) {
            _ = try await connection.send(call)
        } catch { throw error.error }
    }

    package func close() async { await connection.close() }
}

extension S3Call {
    /// With a body and the MD5 that the server checks it by.
    func with(_ bytes: [UInt8]) -> S3Call {
        var call = self
        call.body = bytes
        call.headers.append(("content-md5", Data(Insecure.MD5.hash(data: bytes)).base64EncodedString()))
        return call
    }
}

extension S3Failure {
    /// An answer that is none.
    static func malformed(_ call: S3Call, _ detail: String) -> S3Failure {
        S3Failure(HTTPError(.malformedResponse, operation: call.operation, detail: detail), call)
    }

    /// What was to be stored cannot be read.
    static func unreadable(_ call: S3Call, _ detail: String) -> S3Failure {
        S3Failure(HTTPError(.invalidRequest, operation: call.operation, detail: detail), call)
    }
}

extension ObjectContent {
    func bytes(_ range: Range<Int64>, _ call: S3Call) async throws(S3Failure) -> [UInt8] {
        let bytes: [UInt8]
        do { bytes = try await read(range) } catch {
            throw S3Failure.unreadable(call, "its content cannot be read: \(error)")
        }
        guard bytes.count == range.count else {
            throw S3Failure.unreadable(
                call, "its content has \(bytes.count) bytes at \(range), not \(range.count)")
        }
        return bytes
    }
}
