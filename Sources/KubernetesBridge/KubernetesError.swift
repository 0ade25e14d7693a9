import FoundationEssentials
import HTTPBridge

/// Why the API server did not do what was asked.
package struct KubernetesError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// An object of that name exists.
        case alreadyExists
        /// The object is not the one that was meant: another uid or version.
        case conflict
        case notFound
        /// The account may not do this, a policy is against it, or a quota is used up.
        case forbidden
        /// Token or certificate are not accepted.
        case unauthorized
        /// The server understood and refuses what is in the object.
        case invalid
        /// The version or the page that was asked for is gone: list anew.
        case expired
        /// The server has too much to do.
        case tooManyRequests
        /// No answer in time. What was asked may have been done.
        case timeout
        /// The server cannot be reached, or is in trouble itself.
        case unavailable
        /// What came is no answer of an API server, or is larger than allowed.
        case malformed
        /// No connection that can be trusted: a certificate is unknown, expired or for another name.
        case tlsFailed
        /// The configuration cannot be used: a file, a certificate, a kubeconfig.
        case configuration
        /// The calling task was cancelled.
        case cancelled
    }

    package var code: Code
    /// What we were doing, e.g. `create jobs/job-dummy-1`.
    package var operation: String
    /// The server's own words.
    package var detail: String
    /// How long the server wants to be left alone.
    package var retryAfter: Duration?

    package init(_ code: Code, operation: String, detail: String, retryAfter: Duration? = nil) {
        self.code = code
        self.operation = operation
        self.detail = detail
        self.retryAfter = retryAfter
    }

    /// Whether the same request may succeed later.
    package var isRetriable: Bool {
        switch code {
        case .tooManyRequests, .timeout, .unavailable, .malformed: true
        case .alreadyExists, .conflict, .notFound, .forbidden, .unauthorized, .invalid, .expired,
            .tlsFailed, .configuration, .cancelled:
            false
        }
    }

    /// How long to leave the server alone, at the most ``pauseMax`` whatever it asks for.
    package var pause: Duration { min(retryAfter ?? .zero, Self.pauseMax) }

    /// A server that names a time-out in hours is wrong, or another program that answers in its place.
    package static let pauseMax = Duration.seconds(60)

    package var description: String { "\(operation): \(code.rawValue): \(detail)" }
}

extension KubernetesError {
    private static let detailCharactersMax = 500

    /// What an answer other than a success means.
    init(status: Int, headers: HTTPHeaders, body: [UInt8], operation: String) {
        let told = try? JSONDecoder().decode(StatusObject.self, from: Data(body))
        self.init(told, code: told?.code ?? status, operation: operation)
        if told == nil {
            detail = String(decoding: body.prefix(Self.detailCharactersMax), as: UTF8.self)
            if detail.isEmpty { detail = "it answered \(status)" }
        }
        if let seconds = headers["Retry-After"].flatMap({ Int64($0) }), seconds >= 0 {
            retryAfter = .seconds(seconds)
        }
    }

    /// What a `Status` object means, as an answer or as a watch's ERROR event.
    init(_ told: StatusObject?, code number: Int, operation: String) {
        var code = Self.code(reason: told?.reason ?? "", number)
        // A policy without a number of its own for its no: it may change, and the object is not wrong. The words are
        // the API server's, of a webhook (400) and of a ValidatingAdmissionPolicy (422).
        if code == .invalid, let message = told?.message,
            message.contains("admission webhook") && message.contains("denied the request")
                || message.contains("ValidatingAdmissionPolicy") && message.contains("denied request")
        {
            code = .forbidden
        }
        self.init(
            code, operation: operation,
            detail: String((told?.message ?? "it answered \(number)").prefix(Self.detailCharactersMax)),
            retryAfter: told?.details?.retryAfterSeconds.map { .seconds($0) })
    }

    init(_ error: HTTPError, operation: String) {
        let code: Code =
            switch error.code {
            case .timeout, .overloaded: .timeout
            case .connectFailed, .nameNotResolved, .connectionBroken: .unavailable
            case .malformedResponse, .bodyTooLarge: .malformed
            case .tlsFailed: .tlsFailed
            case .invalidRequest: .configuration
            case .cancelled, .closed: .cancelled
            }
        self.init(code, operation: operation, detail: error.description)
    }

    /// The reason says more than the number: 409 is `AlreadyExists` or `Conflict`.
    private static func code(reason: String, _ number: Int) -> Code {
        switch (reason, number) {
        case ("AlreadyExists", _): .alreadyExists
        case ("Conflict", _), (_, 409): .conflict
        case ("Expired", _), ("Gone", _), (_, 410): .expired
        case ("ServerTimeout", _), ("Timeout", _), (_, 408), (_, 504): .timeout
        case (_, 401): .unauthorized
        case (_, 403): .forbidden
        case (_, 404): .notFound
        case (_, 429): .tooManyRequests
        case (_, 500...599): .unavailable
        case (_, 400...499): .invalid
        default: .malformed
        }
    }
}

/// The API server's `Status`: how it tells errors.
struct StatusObject: Decodable, Sendable {
    struct Details: Decodable, Sendable {
        var retryAfterSeconds: Int64?
    }

    var reason: String?
    var message: String?
    var code: Int?
    var details: Details?

    private enum CodingKeys: String, CodingKey { case kind, reason, message, code, details }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        guard try container.decode(String.self, forKey: .kind) == "Status" else {
            throw DecodingError.dataCorruptedError(
                forKey: .kind, in: container, debugDescription: "is no Status")
        }
        reason = try container.decodeIfPresent(String.self, forKey: .reason)
        message = try container.decodeIfPresent(String.self, forKey: .message)
        code = try container.decodeIfPresent(Int.self, forKey: .code)
        details = try container.decodeIfPresent(Details.self, forKey: .details)
    }
}
