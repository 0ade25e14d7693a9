import HTTPBridge
import Workflow

/// An answer that says no, or none.
struct S3Failure: Error, Sendable, Equatable {
    /// S3's own word, e.g. `NoSuchKey`; nil when there was no such answer.
    var word: String?
    /// 0 without an answer.
    var status: Int
    var error: ObjectStoreError
    /// Whether the same request is sent again at once, not by a later attempt of the step.
    var isRetriable: Bool

    /// Error bodies are a few hundred bytes; so much of the server's message is passed on.
    private static let messageCountMax = 300
    private static let transientWords: Set<String> = [
        "InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", "OperationAborted", "Throttling",
        "TooManyRequests", "BadDigest", "XAmzContentSHA256Mismatch",
    ]
    private static let fullWords: Set<String> = [
        "XMinioStorageFull", "InsufficientStorage", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded",
    ]
    private static let refusedWords: Set<String> = [
        "InvalidAccessKeyId", "SignatureDoesNotMatch", "AccessDenied", "AuthorizationHeaderMalformed",
        "InvalidTokenId", "ExpiredToken",
    ]

    init(_ response: HTTPResponse, _ call: S3Call, bucket: String) {
        let body = S3XML.parse(response.body)
        let element = body?.name == "Error" ? body : nil
        word = element?.first("Code")
        status = response.status
        let message = element?.first("Message").map { ": \($0.prefix(Self.messageCountMax))" } ?? ""
        let told = "status \(response.status)\(word.map { " \($0.prefix(80))" } ?? "")\(message)"
        let verdict = Self.verdict(status: response.status, word: word ?? "")
        isRetriable = verdict.again
        let detail: String =
            switch verdict.code {
            case .refused where word == "RequestTimeTooSkewed":
                "\(told); this machine's clock and the server's are too far apart"
            case .refused:
                "\(told); the server does not know S3_ACCESS_KEY, S3_SECRET_KEY is wrong, or the key may not do this"
            case .noContainer: "there is no bucket \(bucket) (S3_BUCKET); \(told)"
            case .full: "the server has no room left; \(told)"
            case .invalid where response.status == 301 || response.status == 307:
                "\(told); S3_ENDPOINT or S3_REGION names another place than the bucket's"
            default: told
            }
        error = ObjectStoreError(verdict.code, operation: call.operation, detail: detail)
    }

    init(_ failure: HTTPError, _ call: S3Call) {
        word = nil
        status = 0
        isRetriable = failure.isRetriable
        let code: ObjectStoreError.Code = failure.code == .invalidRequest ? .invalid : .unavailable
        error = ObjectStoreError(code, operation: call.operation, detail: failure.description)
    }

    private static func verdict(status: Int, word: String) -> (code: ObjectStoreError.Code, again: Bool) {
        if word == "NoSuchBucket" { return (.noContainer, false) }
        if status == 507 || fullWords.contains(word) { return (.full, false) }
        if transientWords.contains(word) || status == 429 || status >= 500 { return (.unavailable, true) }
        if status == 401 || status == 403 || refusedWords.contains(word) { return (.refused, false) }
        if status == 404 { return (.notFound, false) }
        if status == 412 || status == 416 { return (.corrupt, false) }
        return (.invalid, false)
    }
}
