/// Why a request was refused: the body of a 4xx answer (design "REST").
package struct RequestError: Error, Sendable, Hashable, Codable, CustomStringConvertible {
    package enum Code: String, Sendable, Hashable, Codable {
        case invalidJSON = "invalid_json"
        case unknownField = "unknown_field"
        case missingField = "missing_field"
        case invalidValue = "invalid_value"
        case cycle
        case notFound = "not_found"
        case conflict
        case idempotencyMismatch = "idempotency_mismatch"
        case tooLarge = "too_large"
        case rateLimited = "rate_limited"
        case unavailable
    }

    package var code: Code
    package var message: String
    /// Where in the request, e.g. `steps[1].input`.
    package var field: String?
    /// What was there, shortened.
    package var value: String?
    /// What would be right.
    package var hint: String?

    package init(
        _ code: Code, _ message: String, field: String? = nil, value: String? = nil, hint: String? = nil
    ) {
        self.code = code
        self.message = message
        self.field = field
        self.value = value
        self.hint = hint
    }

    package var description: String {
        ([code.rawValue, message] + [field.map { "field \($0)" }, hint].compactMap { $0 }).joined(
            separator: ": ")
    }
}
