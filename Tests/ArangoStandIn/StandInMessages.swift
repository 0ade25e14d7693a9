/// A request as the stand-in sees it: database and path apart, both decoded.
struct StandInRequest: Sendable {
    var method: String
    var database: String
    /// E.g. `["_api", "document", "products", "1"]`.
    var path: [String]
    var query: [String: String]
    /// Names in lower case.
    var headers: [String: String]
    var body: [UInt8]

    func flag(_ name: String) -> Bool { query[name] == "true" || query[name] == "1" }
    var json: JSON? { JSON(parsing: body) }
}

/// An answer of the stand-in.
struct StandInReply: Sendable {
    var status: Int
    var headers: [String: String] = [:]
    /// nil for an answer without a body.
    var body: JSON?

    init(_ status: Int, _ body: JSON?, headers: [String: String] = [:]) {
        self.status = status
        self.body = body
        self.headers = headers
    }

    /// A management answer: `error` and `code` beside the members.
    static func management(_ status: Int, _ members: JSON = [:]) -> StandInReply {
        StandInReply(status, members.merging(["error": false, "code": .int(Int64(status))]))
    }
}

/// An error answer in the shape every endpoint shares.
struct StandInError: Error {
    var status: Int
    var number: Int
    var message: String
    var extra: [String: JSON] = [:]
    var headers: [String: String] = [:]

    var reply: StandInReply {
        let members: JSON = [
            "error": true, "code": .int(Int64(status)), "errorNum": .int(Int64(number)),
            "errorMessage": .string(message),
        ]
        return StandInReply(status, members.merging(extra), headers: headers)
    }

    var item: JSON {
        ["error": true, "errorNum": .int(Int64(number)), "errorMessage": .string(message)]
    }

    static func collectionNotFound(_ name: String) -> StandInError {
        StandInError(status: 404, number: 1_203, message: "collection or view not found: \(name)")
    }
    static func badRequest(_ message: String) -> StandInError {
        StandInError(status: 400, number: 400, message: message)
    }
    static let documentNotFound = StandInError(status: 404, number: 1_202, message: "document not found")
    static let illegalKey = StandInError(status: 400, number: 1_221, message: "illegal document key")
    static let uniqueViolated = StandInError(
        status: 409, number: 1_210, message: "unique constraint violated")
    static let writeConflict = StandInError(status: 409, number: 1_200, message: "write-write conflict")
    static let unknownPath = StandInError(status: 404, number: 404, message: "unknown path")
    static let notAuthorized = StandInError(
        status: 401, number: 11, message: "not authorized to execute this request")
    static let unavailable = StandInError(status: 503, number: 503, message: "service unavailable")
}
