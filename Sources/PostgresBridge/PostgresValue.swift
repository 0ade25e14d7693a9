/// A parameter as it goes over the wire.
package enum PostgresValue: Sendable, Hashable {
    case null
    /// Text form; the server infers the type from where the parameter stands.
    case text(String)
    /// Binary form, for `bytea`.
    case bytes([UInt8])
}

/// What can be bound to a `$n` of a ``PostgresQuery``.
package protocol PostgresEncodable: Sendable {
    var postgresValue: PostgresValue { get }
}

/// What a column of a ``PostgresRow`` can be read as.
package protocol PostgresDecodable: Sendable {
    /// - Parameter text: the column in PostgreSQL's text form; nil when it is null.
    /// - Returns: nil when the text is not of this type.
    static func decodePostgres(_ text: UnsafeBufferPointer<UInt8>?) -> Self?
}

/// JSON text, for `json` and `jsonb`.
package struct PostgresJSON: Sendable, Hashable {
    package var bytes: [UInt8]

    package init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    package init(_ text: String) {
        bytes = Array(text.utf8)
    }
}

extension PostgresValue: PostgresEncodable {
    package var postgresValue: PostgresValue { self }
}

extension String: PostgresEncodable, PostgresDecodable {
    package var postgresValue: PostgresValue { .text(self) }
    package static func decodePostgres(_ text: UnsafeBufferPointer<UInt8>?) -> String? {
        text.map { String(decoding: $0, as: UTF8.self) }
    }
}

extension PostgresJSON: PostgresEncodable, PostgresDecodable {
    package var postgresValue: PostgresValue { .text(String(decoding: bytes, as: UTF8.self)) }
    package static func decodePostgres(_ text: UnsafeBufferPointer<UInt8>?) -> PostgresJSON? {
        text.map { PostgresJSON(Array($0)) }
    }
}

extension Bool: PostgresEncodable, PostgresDecodable {
    package var postgresValue: PostgresValue { .text(self ? "true" : "false") }
    package static func decodePostgres(_ text: UnsafeBufferPointer<UInt8>?) -> Bool? {
        guard let text, text.count == 1 else { return nil }
        switch text[0] {
        case UInt8(ascii: "t"): return true
        case UInt8(ascii: "f"): return false
        default: return nil
        }
    }
}

extension Double: PostgresEncodable, PostgresDecodable {
    /// PostgreSQL reads Swift's `inf`, `-inf` and `nan` as its own.
    package var postgresValue: PostgresValue { .text("\(self)") }
    package static func decodePostgres(_ text: UnsafeBufferPointer<UInt8>?) -> Double? {
        text.flatMap { Double(String(decoding: $0, as: UTF8.self)) }
    }
}

extension FixedWidthInteger where Self: Sendable {
    package var postgresValue: PostgresValue { .text(String(self)) }
    package static func decodePostgres(_ text: UnsafeBufferPointer<UInt8>?) -> Self? {
        text.flatMap { Self(String(decoding: $0, as: UTF8.self)) }
    }
}

extension Int: PostgresEncodable, PostgresDecodable {}
extension Int64: PostgresEncodable, PostgresDecodable {}
extension Int32: PostgresEncodable, PostgresDecodable {}
extension Int16: PostgresEncodable, PostgresDecodable {}

extension Optional: PostgresEncodable where Wrapped: PostgresEncodable {
    package var postgresValue: PostgresValue { self?.postgresValue ?? .null }
}

extension Optional: PostgresDecodable where Wrapped: PostgresDecodable {
    package static func decodePostgres(_ text: UnsafeBufferPointer<UInt8>?) -> Wrapped?? {
        guard let text else { return .some(nil) }
        // A text that cannot be read is an error, not a null.
        return Wrapped.decodePostgres(text).map { .some($0) }
    }
}
