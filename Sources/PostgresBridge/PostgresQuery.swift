/// A statement with its parameters.
///
/// An interpolated value becomes a parameter, never a part of the text:
/// `"SELECT state FROM queues WHERE queue_id = \(id) AND attempt > \(attempt)"`. The server infers each
/// parameter's type; where it cannot, write a cast: `\(ids)::text[]`.
package struct PostgresQuery: Sendable, Hashable, ExpressibleByStringInterpolation {
    package var sql: String
    package var parameters: [PostgresValue]

    /// - Parameters:
    ///   - sql: one statement; parameters are `$1`, `$2` …
    ///   - parameters: at most 65,535.
    package init(_ sql: String, _ parameters: [any PostgresEncodable] = []) {
        self.sql = sql
        self.parameters = parameters.map(\.postgresValue)
    }

    package init(stringLiteral value: String) {
        self.init(value)
    }

    package init(stringInterpolation: StringInterpolation) {
        sql = stringInterpolation.sql
        parameters = stringInterpolation.parameters
    }

    package struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var sql = ""
        fileprivate var parameters: [PostgresValue] = []

        package init(literalCapacity: Int, interpolationCount: Int) {
            sql.reserveCapacity(literalCapacity + interpolationCount * 3)
            parameters.reserveCapacity(interpolationCount)
        }

        package mutating func appendLiteral(_ literal: String) {
            sql += literal
        }

        package mutating func appendInterpolation<Value: PostgresEncodable>(_ value: Value?) {
            parameters.append(value.postgresValue)
            sql += "$\(parameters.count)"
        }

        /// Puts in the name of a table or column, quoted.
        package mutating func appendInterpolation(identifier name: String) {
            sql += quotedIdentifier(name)
        }

        /// Puts in SQL text as it is: for constants of the program, never for input.
        package mutating func appendInterpolation(raw text: String) {
            sql += text
        }
    }

    /// What errors say about the statement: its beginning, and nothing of a statement that may hold a
    /// password in its text.
    var operation: String { Self.operation(of: sql) }

    static func operation(of sql: String) -> String {
        let words = sql.prefix(400).split(whereSeparator: \.isWhitespace)
        if sql.lowercased().contains("password") { return words.prefix(2).joined(separator: " ") + " …" }
        let text = words.joined(separator: " ")
        return text.count > 80 ? text.prefix(80) + "…" : text
    }

    /// Only these are worth keeping prepared; the others run once or have nothing to plan.
    var isWorthPreparing: Bool {
        let word = sql.drop(while: \.isWhitespace).prefix(while: \.isLetter).uppercased()
        return ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"].contains(word)
    }
}

/// A table's or column's name in double quotes, as it stands.
package func quotedIdentifier(_ name: String) -> String {
    "\"\(name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\""))\""
}
