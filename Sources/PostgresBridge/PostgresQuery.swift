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
        // On bytes: this is done for every statement, whether it fails or not.
        var sql = sql
        return sql.withUTF8 { bytes in
            if mayHoldPassword(bytes) {
                let words = String(decoding: bytes.prefix(400), as: UTF8.self).split(
                    whereSeparator: \.isWhitespace)
                return words.prefix(2).joined(separator: " ") + " …"
            }
            var text: [UInt8] = []
            for word in bytes.prefix(400).split(whereSeparator: { $0 == 0x20 || (0x09...0x0D).contains($0) })
            {
                if !text.isEmpty { text.append(0x20) }
                text += word
                if text.count > operationBytesMax { break }
            }
            guard text.count > operationBytesMax else { return String(decoding: text, as: UTF8.self) }
            // Not in the middle of a character.
            let end = text.prefix(operationBytesMax + 1).lastIndex { $0 & 0xC0 != 0x80 } ?? 0
            return String(decoding: text[..<end], as: UTF8.self) + "…"
        }
    }

    private static let operationBytesMax = 80
    private static let secretWord = Array("password".utf8)

    private static func mayHoldPassword(_ bytes: UnsafeBufferPointer<UInt8>) -> Bool {
        let word = secretWord
        guard bytes.count >= word.count else { return false }
        return (0...(bytes.count - word.count)).contains { start in
            bytes[start] | 0x20 == word[0] && word.indices.allSatisfy { bytes[start + $0] | 0x20 == word[$0] }
        }
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
