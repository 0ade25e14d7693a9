/// Reads JSON text strictly by RFC 8259 and shows the members of one object, without making values of them.
///
/// Every position is checked against the end of the bytes; nesting is bounded by ``depthMax``.
struct JSONScanner {
    /// Deeper documents are refused; ArangoDB's own bound is about 200.
    static let depthMax = 64

    enum Kind: Sendable, Hashable {
        case string, number, boolean, null, object, array
    }

    /// One value: for strings the characters between the quotes, else the whole text.
    struct Value: Sendable, Hashable {
        var kind: Kind
        var range: Range<Int>
    }

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    /// Reads the whole text as one object and gives its members in their order.
    ///
    /// - Returns: false when it is anything else, or goes on after the object.
    mutating func readObject(_ member: (_ name: Range<Int>, _ value: Value) -> Void) -> Bool {
        skipBlanks()
        guard take("{"), members(depth: 1, member) else { return false }
        skipBlanks()
        return position == bytes.count
    }

    private mutating func members(depth: Int, _ member: (Range<Int>, Value) -> Void) -> Bool {
        guard depth <= Self.depthMax else { return false }
        skipBlanks()
        if take("}") { return true }
        while true {
            skipBlanks()
            guard take("\""), let name = stringRest() else { return false }
            skipBlanks()
            guard take(":"), let value = value(depth: depth) else { return false }
            member(name, value)
            skipBlanks()
            if take("}") { return true }
            guard take(",") else { return false }
        }
    }

    private mutating func elements(depth: Int) -> Bool {
        guard depth <= Self.depthMax else { return false }
        skipBlanks()
        if take("]") { return true }
        while true {
            guard value(depth: depth) != nil else { return false }
            skipBlanks()
            if take("]") { return true }
            guard take(",") else { return false }
        }
    }

    private mutating func value(depth: Int) -> Value? {
        skipBlanks()
        guard position < bytes.count else { return nil }
        let start = position
        switch bytes[position] {
        case UInt8(ascii: "\""):
            position += 1
            return stringRest().map { Value(kind: .string, range: $0) }
        case UInt8(ascii: "{"):
            position += 1
            guard members(depth: depth + 1, { _, _ in }) else { return nil }
            return Value(kind: .object, range: start..<position)
        case UInt8(ascii: "["):
            position += 1
            guard elements(depth: depth + 1) else { return nil }
            return Value(kind: .array, range: start..<position)
        case UInt8(ascii: "t"):
            return take(word: "true") ? Value(kind: .boolean, range: start..<position) : nil
        case UInt8(ascii: "f"):
            return take(word: "false") ? Value(kind: .boolean, range: start..<position) : nil
        case UInt8(ascii: "n"): return take(word: "null") ? Value(kind: .null, range: start..<position) : nil
        default: return number() ? Value(kind: .number, range: start..<position) : nil
        }
    }

    /// A string after its first quote; gives the characters without the quotes.
    private mutating func stringRest() -> Range<Int>? {
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\""):
                position += 1
                return start..<(position - 1)
            case UInt8(ascii: "\\"):
                position += 1
                guard escape() else { return nil }
            case 0..<0x20: return nil
            default: position += 1
            }
        }
        return nil
    }

    private mutating func escape() -> Bool {
        guard position < bytes.count else { return false }
        let byte = bytes[position]
        position += 1
        guard byte == UInt8(ascii: "u") else { return "\"\\/bfnrt".utf8.contains(byte) }
        for _ in 0..<4 {
            guard position < bytes.count, Self.isHex(bytes[position]) else { return false }
            position += 1
        }
        return true
    }

    private mutating func number() -> Bool {
        _ = take("-")
        if !take("0") { guard digits() else { return false } }
        if take(".") { guard digits() else { return false } }
        if take("e") || take("E") {
            if !take("+") { _ = take("-") }
            guard digits() else { return false }
        }
        return true
    }

    private mutating func digits() -> Bool {
        let start = position
        while position < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[position]) {
            position += 1
        }
        return position > start
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func take(word: StaticString) -> Bool {
        let length = word.utf8CodeUnitCount
        guard bytes.count - position >= length else { return false }
        for index in 0..<length where bytes[position + index] != word.utf8Start[index] { return false }
        position += length
        return true
    }

    private mutating func skipBlanks() {
        while position < bytes.count {
            switch bytes[position] {
            case 0x20, 0x09, 0x0A, 0x0D: position += 1
            default: return
            }
        }
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
            UInt8(ascii: "A")...UInt8(ascii: "F"):
            true
        default: false
        }
    }
}
