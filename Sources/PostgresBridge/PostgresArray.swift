/// What may stand in an array that is bound or read: `[String]` and the integers are PostgreSQL arrays,
/// `[UInt8]` is `bytea`.
package protocol PostgresArrayElement: Sendable {
    static func encodeArray(_ elements: [Self]) -> PostgresValue
    static func decodeArray(_ text: UnsafeBufferPointer<UInt8>) -> [Self]?
}

extension Array: PostgresEncodable where Element: PostgresArrayElement {
    package var postgresValue: PostgresValue { Element.encodeArray(self) }
}

extension Array: PostgresDecodable where Element: PostgresArrayElement {
    package static func decodePostgres(_ text: UnsafeBufferPointer<UInt8>?) -> [Element]? {
        text.flatMap { Element.decodeArray($0) }
    }
}

extension UInt8: PostgresArrayElement {
    package static func encodeArray(_ elements: [UInt8]) -> PostgresValue { .bytes(elements) }

    /// Reads the hex form of `bytea`: `\x` and two digits a byte.
    package static func decodeArray(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.count >= 2, text.count % 2 == 0, text[0] == UInt8(ascii: "\\"),
            text[1] == UInt8(ascii: "x")
        else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 2 - 1)
        for index in stride(from: 2, to: text.count, by: 2) {
            guard let high = hexDigit(text[index]), let low = hexDigit(text[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

extension String: PostgresArrayElement {
    /// Every element is quoted: then commas, braces, spaces and the word NULL need no care.
    package static func encodeArray(_ elements: [String]) -> PostgresValue {
        let quoted = elements.map { element in
            var text = "\""
            for character in element.unicodeScalars {
                if character == "\"" || character == "\\" { text.unicodeScalars.append("\\") }
                text.unicodeScalars.append(character)
            }
            return text + "\""
        }
        return .text("{\(quoted.joined(separator: ","))}")
    }

    package static func decodeArray(_ text: UnsafeBufferPointer<UInt8>) -> [String]? {
        ArrayLiteral.elements(text)
    }
}

extension FixedWidthInteger where Self: Sendable {
    package static func encodeArray(_ elements: [Self]) -> PostgresValue {
        .text("{\(elements.map { String($0) }.joined(separator: ","))}")
    }

    package static func decodeArray(_ text: UnsafeBufferPointer<UInt8>) -> [Self]? {
        guard let elements = ArrayLiteral.elements(text) else { return nil }
        let numbers = elements.compactMap { Self($0) }
        return numbers.count == elements.count ? numbers : nil
    }
}

extension Int: PostgresArrayElement {}
extension Int64: PostgresArrayElement {}
extension Int32: PostgresArrayElement {}

/// The text form of a one-dimensional array, `{a,"b c"}` (manual, section 8.15.6).
enum ArrayLiteral {
    /// nil when the text is no such array or holds a null or a nested array.
    static func elements(_ text: UnsafeBufferPointer<UInt8>) -> [String]? {
        guard text.count >= 2, text.first == UInt8(ascii: "{"), text.last == UInt8(ascii: "}") else {
            return nil
        }
        if text.count == 2 { return [] }
        var elements: [String] = []
        var element: [UInt8] = []
        var isQuoted = false
        var wasQuoted = false
        var index = 1
        while index < text.count {
            let byte = text[index]
            switch byte {
            case UInt8(ascii: "\\"):
                index += 1
                element.append(text[index])
            case UInt8(ascii: "\""):
                isQuoted.toggle()
                wasQuoted = true
            case UInt8(ascii: "{") where !isQuoted: return nil
            case UInt8(ascii: ",") where !isQuoted, UInt8(ascii: "}") where !isQuoted:
                let value = String(decoding: element, as: UTF8.self)
                if !wasQuoted && value == "NULL" { return nil }
                elements.append(value)
                element.removeAll(keepingCapacity: true)
                wasQuoted = false
            default: element.append(byte)
            }
            index += 1
        }
        return isQuoted ? nil : elements
    }
}
