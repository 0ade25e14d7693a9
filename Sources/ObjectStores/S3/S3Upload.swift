import Crypto
import Foundation
import HTTPBridge
import MarketData
import Workflow

/// Stores one object in parts: begun, sent part by part, completed; given up when anything fails in between.
struct S3Upload: Sendable {
    /// S3's own limit.
    private static let partsMax: Int64 = 10_000

    let connection: S3Connection
    let key: ObjectKey
    let content: ObjectContent

    /// A part that the server has.
    private struct Part {
        /// As the server calls it.
        var tag: String
        var md5: Data
    }

    private var operation: String { "put \(key)" }
    private var uploads: S3Uploads { S3Uploads(connection: connection) }

    /// - Throws: ``S3Failure``; nothing of the object is visible then, and its parts are gone unless the
    ///   server could not be reached for that either.
    func run() async throws(S3Failure) {
        let id = try await begin()
        do throws(S3Failure) {
            try await complete(id, try await sendParts(id))
        } catch {
            // Also when this task was cancelled, and so by another one: its own requests would end at once.
            await Task { [uploads, key] in try? await uploads.abort(key, id) }.value
            guard error.word == "NoSuchUpload" else { throw error }
            var discarded = error
            discarded.error = ObjectStoreError(
                .superseded, operation: operation, detail: "another attempt discarded what was written")
            throw discarded
        }
    }

    private func begin() async throws(S3Failure) -> String {
        var call = S3Call(.post, key, operation: operation)
        call.query = [("uploads", "")]
        call.headers = [("content-type", content.mediaType)]
        call.body = []
        let answer = S3XML.parse(try await connection.send(call).body)
        guard let id = answer?.first("UploadId"), !id.isEmpty else {
            throw .malformed(call, "the answer names no upload")
        }
        return id
    }

    /// - Returns: the parts, in order.
    private func sendParts(_ id: String) async throws(S3Failure) -> [Part] {
        let partBytes = max(
            Int64(connection.settings.partBytes), (content.byteCount + Self.partsMax - 1) / Self.partsMax)
        var parts: [Part] = []
        var start: Int64 = 0
        while start < content.byteCount {
            var call = S3Call(.put, key, operation: "\(operation), part \(parts.count + 1)")
            call.query = [("partNumber", "\(parts.count + 1)"), ("uploadId", id)]
            let end = min(start + partBytes, content.byteCount)
            let bytes = try await content.bytes(start..<end, call)
            let answer = try await connection.send(call.with(bytes))
            guard let tag = answer.headers["ETag"] else { throw .malformed(call, "the answer has no ETag") }
            parts.append(Part(tag: tag, md5: Data(Insecure.MD5.hash(data: bytes))))
            start = end
        }
        return parts
    }

    private func complete(_ id: String, _ parts: [Part]) async throws(S3Failure) {
        var call = S3Call(.post, key, operation: "\(operation), complete it")
        call.query = [("uploadId", id)]
        let list = parts.enumerated().map { index, part in
            "<Part><PartNumber>\(index + 1)</PartNumber><ETag>\(S3XML.escaped(part.tag))</ETag></Part>"
        }
        let text =
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            + "\(list.joined())</CompleteMultipartUpload>"
        call.headers = [("content-type", "application/xml")]
        do throws(S3Failure) {
            _ = try await connection.send(call.with(Array(text.utf8)))
        } catch {
            // The answer to an earlier try may have been lost: then the upload is no more, and the object is
            // there.
            guard error.word == "NoSuchUpload", try await isThere(parts) else { throw error }
        }
    }

    /// Whether the object of that key is the one made of these parts, not an older one of the same length.
    private func isThere(_ parts: [Part]) async throws(S3Failure) -> Bool {
        let call = S3Call(.head, key, operation: "\(operation), look at it")
        do throws(S3Failure) {
            let head = try await connection.send(call).headers
            guard head["Content-Length"] == "\(content.byteCount)", let tag = head["ETag"] else {
                return false
            }
            return Self.tag(of: parts).map { tag == $0 } ?? tag.contains("-")
        } catch {
            guard error.status == 404 else { throw error }
            return false
        }
    }

    /// The tag of an object made of parts: the MD5 of their MD5s and their count.
    ///
    /// - Returns: nil where tags are something else, as for encrypted parts.
    private static func tag(of parts: [Part]) -> String? {
        guard parts.allSatisfy({ $0.tag == "\"\($0.md5.hexText)\"" }) else { return nil }
        let digest = Insecure.MD5.hash(data: parts.reduce(into: Data()) { $0 += $1.md5 })
        return "\"\(digest.hexText)-\(parts.count)\""
    }
}

/// Uploads in parts that were begun and neither completed nor given up.
struct S3Uploads: Sendable {
    /// Pages of 1,000: more than that is left for the next time.
    private static let pagesMax = 100

    let connection: S3Connection

    func abort(_ key: ObjectKey, _ id: String) async throws(S3Failure) {
        var call = S3Call(.delete, key, operation: "give up the upload of \(key)")
        call.query = [("uploadId", id)]
        do throws(S3Failure) {
            _ = try await connection.send(call)
        } catch {
            guard error.status == 404 else { throw error }
        }
    }

    func abortAll(under prefix: ObjectPrefix) async throws(S3Failure) {
        var marker: (key: String, id: String)?
        for _ in 0..<Self.pagesMax {
            var call = S3Call(.get, operation: "list uploads under \(prefix)")
            call.query = [("uploads", ""), ("prefix", prefix.rawValue)]
            if let marker { call.query += [("key-marker", marker.key), ("upload-id-marker", marker.id)] }
            let list = S3XML.parse(try await connection.send(call).body)
            guard let list, list.name == "ListMultipartUploadsResult" else {
                throw .malformed(call, "the answer is no list of uploads")
            }
            for upload in list.all("Upload") {
                guard let id = upload.first("UploadId"), let name = upload.first("Key"),
                    let key = ObjectKey(name), prefix.contains(key)
                else { continue }
                try await abort(key, id)
            }
            guard list.first("IsTruncated") == "true", let key = list.first("NextKeyMarker"),
                let id = list.first("NextUploadIdMarker")
            else { return }
            marker = (key, id)
        }
    }
}
