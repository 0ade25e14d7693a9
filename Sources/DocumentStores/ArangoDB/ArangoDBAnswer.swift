import Foundation
import HTTPBridge
import Workflow

/// What the server said, with the error number every ArangoDB error body carries.
struct ArangoDBAnswer: Sendable {
    /// Error numbers of server 3.12 that we decide by; the names are the server's own.
    enum ErrorNumber {
        static let forbidden = 11
        static let lockTimeout = 18
        static let locked = 28
        static let deadlock = 29
        static let readOnly = 1_004
        static let conflict = 1_200
        static let documentNotFound = 1_202
        static let collectionNotFound = 1_203
        static let duplicateName = 1_207
        static let uniqueConstraintViolated = 1_210
        static let databaseNotFound = 1_228
        static let graphDuplicate = 1_925
        static let queueTimeViolated = 21_004
        /// Time-out, shard gone, backend unavailable, leadership challenge, not leader.
        static let cluster = [1_457, 1_464, 1_478, 1_495, 1_496]
    }

    private struct Failure: Decodable {
        var errorNum: Int?
        var errorMessage: String?
    }

    var response: HTTPResponse
    /// nil for a success, and for an error without a readable body.
    var errorNumber: Int?
    var errorMessage: String?

    init(_ response: HTTPResponse) {
        self.response = response
        guard response.status >= 400 else { return }
        let failure = try? JSONDecoder().decode(Failure.self, from: Data(response.body))
        errorNumber = failure?.errorNum
        errorMessage = failure?.errorMessage
    }

    var isSuccess: Bool { (200...299).contains(response.status) }

    /// Whether the same request may succeed later. Holds for requests that are harmless to repeat.
    var isRetriable: Bool {
        switch (response.status, errorNumber) {
        case (503, _), (429, _): true
        // A failed write concern is 403 or 503, as the server was started.
        case (403, ErrorNumber.readOnly): true
        case (409, ErrorNumber.conflict): true
        case (412, ErrorNumber.queueTimeViolated): true
        case (_, .some(let number)):
            [ErrorNumber.lockTimeout, ErrorNumber.locked, ErrorNumber.deadlock].contains(number)
                || ErrorNumber.cluster.contains(number)
        // A gateway in between, not ArangoDB.
        case (502, nil), (504, nil): true
        default: false
        }
    }

    func error(_ operation: String) -> StoreError {
        let number = errorNumber.map { ", error \($0)" } ?? ""
        let detail = "HTTP \(response.status)\(number): \(errorMessage ?? "no message")"
        return StoreError(code, operation: operation, detail: detail)
    }

    func decode<Value: Decodable>(_ type: Value.Type, _ operation: String) throws(StoreError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(response.body))
        } catch {
            throw StoreError(.corrupt, operation: operation, detail: "the answer cannot be read: \(error)")
        }
    }

    private var code: StoreError.Code {
        if isRetriable || response.status >= 500 { return .unavailable }
        switch (response.status, errorNumber) {
        case (401, _), (403, _): return .denied
        case (_, ErrorNumber.collectionNotFound), (_, ErrorNumber.databaseNotFound),
            (_, ErrorNumber.documentNotFound):
            return .notFound
        case (409, _), (412, _): return .conflict
        case (400...499, _): return .invalid
        default: return .corrupt
        }
    }
}

extension StoreError {
    init(_ error: HTTPError, operation: String) {
        let code: Code =
            switch error.code {
            case .bodyTooLarge, .malformedResponse: .corrupt
            case .tlsFailed, .invalidRequest: .invalid
            default: .unavailable
            }
        self.init(code, operation: operation, detail: error.description)
    }
}
