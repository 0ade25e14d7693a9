import Crypto
import Foundation
import HTTPBridge
import MarketData
import Workflow

/// A request to the bucket; all of ours are harmless to repeat.
struct S3Call: Sendable {
    var method: HTTPRequest.Method
    /// nil: the bucket itself.
    var key: ObjectKey?
    var query: [(name: String, value: String)] = []
    /// Names in lower case; all are signed.
    var headers: [(name: String, value: String)] = []
    var body: [UInt8]?
    /// For errors, e.g. `put models/a/model.json`.
    var operation: String

    init(_ method: HTTPRequest.Method, _ key: ObjectKey? = nil, operation: String) {
        self.method = method
        self.key = key
        self.operation = operation
    }
}

/// Sends calls to one bucket, signs them and repeats those that may succeed later.
struct S3Connection: Sendable {
    /// The longest answer that is collected: a list of 1,000 keys is under 1 MiB.
    private static let answerBytesMax = 4 << 20
    /// Of an error's body.
    private static let errorBytesMax = 64 << 10

    let settings: S3Settings
    private let client: HTTPClient

    init(_ settings: S3Settings) {
        self.settings = settings
        client = HTTPClient(HTTPClient.Configuration(caFile: settings.caFile))
    }

    /// - Throws: ``S3Failure`` when it still fails after the last try.
    func send(_ call: S3Call) async throws(S3Failure) -> HTTPResponse {
        var attempt = 1
        while true {
            let failure: S3Failure
            do throws(S3Failure) { return try await sendOnce(call) } catch { failure = error }
            try await pause(after: attempt, failure)
            attempt += 1
        }
    }

    /// Waits before the next try; throws the failure when there is none.
    func pause(after attempt: Int, _ failure: S3Failure) async throws(S3Failure) {
        guard failure.isRetriable, attempt < settings.retry.attemptMax, !Task.isCancelled else {
            throw failure
        }
        // Cancelled while waiting: the next try would throw it; this one's error says more.
        guard (try? await Task.sleep(for: settings.retry.pause(after: attempt))) != nil else { throw failure }
    }

    func sendOnce(_ call: S3Call) async throws(S3Failure) -> HTTPResponse {
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try await client.execute(request(call), bodyBytesMax: Self.answerBytesMax)
        } catch { throw S3Failure(error, call) }
        guard (200...299).contains(response.status) else {
            throw S3Failure(response, call, bucket: settings.bucket)
        }
        // An upload in parts is completed with 200 before the server knows whether it can.
        guard S3XML.parse(response.body)?.name != "Error" else {
            var failed = response
            failed.status = 500
            throw S3Failure(failed, call, bucket: settings.bucket)
        }
        return response
    }

    /// One try whose answer is read while it comes.
    ///
    /// - Throws: ``S3Failure``, or what `body` throws.
    func stream<Value>(
        _ call: S3Call, body: (HTTPHead, HTTPBody) async throws -> Value
    ) async throws -> Value {
        do {
            return try await client.stream(request(call)) { head, bytes in
                guard (200...299).contains(head.status) else {
                    var collected: [UInt8] = []
                    for try await piece in bytes {
                        collected += piece
                        if collected.count >= Self.errorBytesMax { break }
                    }
                    let response = HTTPResponse(status: head.status, headers: head.headers, body: collected)
                    throw S3Failure(response, call, bucket: settings.bucket)
                }
                return try await body(head, bytes)
            }
        } catch let error as HTTPError {
            throw S3Failure(error, call)
        }
    }

    func close() async { await client.close() }

    private func request(_ call: S3Call) -> HTTPRequest {
        let path = "\(settings.pathPrefix)/\(settings.bucket)\(call.key.map { "/\($0.rawValue)" } ?? "")"
        let encodedPath = SigV4.percentEncoded(path, keepsSlash: true)
        let time = SigV4.time(settings.now())
        let payloadHash = SHA256.hash(data: call.body ?? []).hexText
        let added = [
            (name: "host", value: settings.host), (name: "x-amz-content-sha256", value: payloadHash),
            (name: "x-amz-date", value: time),
        ]
        let signed = SigV4.Request(
            method: call.method.rawValue, path: encodedPath, query: call.query, headers: call.headers + added,
            payloadHash: payloadHash)
        let signer = SigV4(credentials: settings.credentials(), region: settings.region)
        var headers = HTTPHeaders()
        // curl writes Host itself, just so.
        for header in signed.headers where header.name != "host" {
            headers.append(name: header.name, value: header.value)
        }
        headers.append(name: "Authorization", value: signer.authorization(signed, time: time))
        let query = SigV4.queryText(call.query)
        return HTTPRequest(
            call.method, settings.origin + encodedPath + (query.isEmpty ? "" : "?" + query), headers: headers,
            body: call.body, timeouts: settings.timeouts)
    }
}
