/// A five-character error code of PostgreSQL (appendix A of its manual).
package struct SQLState: Sendable, Hashable, CustomStringConvertible {
    package let rawValue: String

    package init(_ rawValue: String) {
        self.rawValue = rawValue
    }

    /// The first two characters: `22` data, `23` integrity, `40` rollback, `53` resources, `57` operator.
    package var classCode: String { String(rawValue.prefix(2)) }
    package var description: String { rawValue }

    package static let connectionException = SQLState("08000")
    package static let featureNotSupported = SQLState("0A000")
    package static let invalidTextRepresentation = SQLState("22P02")
    package static let untranslatableCharacter = SQLState("22P05")
    package static let notNullViolation = SQLState("23502")
    package static let foreignKeyViolation = SQLState("23503")
    package static let uniqueViolation = SQLState("23505")
    package static let checkViolation = SQLState("23514")
    package static let failedTransaction = SQLState("25P02")
    package static let idleInTransactionTimeout = SQLState("25P03")
    package static let invalidStatementName = SQLState("26000")
    package static let invalidAuthorization = SQLState("28000")
    package static let invalidPassword = SQLState("28P01")
    package static let unknownDatabase = SQLState("3D000")
    package static let unknownSchema = SQLState("3F000")
    package static let serializationFailure = SQLState("40001")
    package static let deadlock = SQLState("40P01")
    package static let insufficientPrivilege = SQLState("42501")
    package static let syntaxError = SQLState("42601")
    package static let undefinedColumn = SQLState("42703")
    package static let undefinedTable = SQLState("42P01")
    package static let duplicateTable = SQLState("42P07")
    package static let diskFull = SQLState("53100")
    package static let tooManyConnections = SQLState("53300")
    package static let lockNotAvailable = SQLState("55P03")
    package static let queryCancelled = SQLState("57014")
    package static let adminShutdown = SQLState("57P01")
    package static let crashShutdown = SQLState("57P02")
    package static let cannotConnectNow = SQLState("57P03")
}
