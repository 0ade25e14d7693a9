import Foundation

/// A JSON value as text, taken apart without being turned into numbers and back.
///
/// Members and elements are slices of the same bytes. It is checked only as far as needed to find where
/// values end: what comes out of a store was valid when it went in.
struct JSONText {
    let bytes: ArraySlice<UInt8>

    init?(_ bytes: [UInt8]) {
        var scanner = JSONScanner(bytes[...])
        guard let value = scanner.value(), scanner.isAtEnd else { return nil }
        self = value
    }

    fileprivate init(slice: ArraySlice<UInt8>) {
        bytes = slice
    }

    /// The members of an object in their order; nil for anything else.
    var members: [(name: String, value: JSONText)]? {
        var scanner = JSONScanner(bytes)
        guard scanner.take("{") else { return nil }
        var members: [(name: String, value: JSONText)] = []
        if scanner.take("}") { return members }
        while true {
            guard let name = scanner.value()?.text, scanner.take(":"), let value = scanner.value() else {
                return nil
            }
            members.append((name, value))
            if scanner.take("}") { return members }
            guard scanner.take(",") else { return nil }
        }
    }

    /// The elements of an array; nil for anything else.
    var elements: [JSONText]? {
        var scanner = JSONScanner(bytes)
        guard scanner.take("[") else { return nil }
        var elements: [JSONText] = []
        if scanner.take("]") { return elements }
        while true {
            guard let value = scanner.value() else { return nil }
            elements.append(value)
            if scanner.take("]") { return elements }
            guard scanner.take(",") else { return nil }
        }
    }

    /// The characters of a string; nil for anything else.
    var text: String? {
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") else {
            return nil
        }
        let content = bytes.dropFirst().dropLast()
        guard content.contains(UInt8(ascii: "\\")) else { return String(decoding: content, as: UTF8.self) }
        return try? JSONDecoder().decode(String.self, from: Data(bytes))
    }

    var isNull: Bool { bytes.elementsEqual("null".utf8) }

    /// A string's characters, or the text of a number or boolean as it stands; nil for null and the rest.
    var scalar: String? {
        switch bytes.first {
        case UInt8(ascii: "\""): text
        case UInt8(ascii: "{"), UInt8(ascii: "["), nil: nil
        default: isNull ? nil : String(decoding: bytes, as: UTF8.self)
        }
    }
}

private struct JSONScanner {
    private let bytes: ArraySlice<UInt8>
    private var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    var isAtEnd: Bool {
        bytes[position...].allSatisfy(Self.isBlank)
    }

    /// Steps over one punctuation character, if it is next.
    mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard position < bytes.endIndex, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    /// Steps over one value of any kind.
    mutating func value() -> JSONText? {
        skipBlanks()
        guard position < bytes.endIndex else { return nil }
        let start = position
        switch bytes[position] {
        case UInt8(ascii: "\""):
            guard skipString() else { return nil }
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard skipContainer() else { return nil }
        default:
            while position < bytes.endIndex, !Self.isDelimiter(bytes[position]) { position += 1 }
        }
        return position > start ? JSONText(slice: bytes[start..<position]) : nil
    }

    private mutating func skipBlanks() {
        while position < bytes.endIndex, Self.isBlank(bytes[position]) { position += 1 }
    }

    private mutating func skipString() -> Bool {
        position += 1
        while position < bytes.endIndex {
            switch bytes[position] {
            case UInt8(ascii: "\\"): position += 2
            case UInt8(ascii: "\""):
                position += 1
                return true
            default: position += 1
            }
        }
        return false
    }

    private mutating func skipContainer() -> Bool {
        var depth = 0
        while position < bytes.endIndex {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                guard skipString() else { return false }
                continue
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"): depth -= 1
            default: break
            }
            position += 1
            if depth == 0 { return true }
        }
        return false
    }

    private static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }

    private static func isDelimiter(_ byte: UInt8) -> Bool {
        isBlank(byte) || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]") || byte == UInt8(ascii: "}")
            || byte == UInt8(ascii: ":")
    }
}
