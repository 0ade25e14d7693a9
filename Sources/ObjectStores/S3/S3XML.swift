/// Reads the few shapes of XML that S3 answers with: elements and text, no attributes that matter.
///
/// Bounded by the answer's own limit; nesting is followed no deeper than 16.
struct S3XML: Sendable {
    /// An element: its own text, or its children.
    struct Element: Sendable, Equatable {
        var name: String
        var text = ""
        var children: [Element] = []

        func first(_ name: String) -> String? { children.first { $0.name == name }?.text }
        func all(_ name: String) -> [Element] { children.filter { $0.name == name } }
    }

    private static let depthMax = 16

    private let bytes: [UInt8]
    private var position = 0

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The outermost element; nil for anything that is not well formed enough to be understood.
    static func parse(_ bytes: [UInt8]) -> Element? {
        var reader = S3XML(bytes)
        while let tag = reader.nextTag() {
            // Declarations and comments come before the first element.
            if tag.text.hasPrefix("?") || tag.text.hasPrefix("!") { continue }
            return tag.text.hasPrefix("/") ? nil : reader.element(tag.text, depth: 0)
        }
        return nil
    }

    private mutating func element(_ tag: String, depth: Int) -> Element? {
        var element = Element(name: Self.name(tag))
        guard depth < Self.depthMax, !element.name.isEmpty else { return nil }
        if tag.hasSuffix("/") { return element }
        while let next = nextTag() {
            if next.text == "/" + element.name {
                if element.children.isEmpty { element.text = Self.unescaped(next.before) }
                return element
            }
            if next.text.hasPrefix("/") { return nil }
            if next.text.hasPrefix("!") || next.text.hasPrefix("?") { continue }
            guard let child = self.element(next.text, depth: depth + 1) else { return nil }
            element.children.append(child)
        }
        return nil
    }

    /// The text up to the next tag, and what stands between its brackets.
    private mutating func nextTag() -> (before: String, text: String)? {
        guard let open = bytes[position...].firstIndex(of: UInt8(ascii: "<")),
            let close = bytes[open...].firstIndex(of: UInt8(ascii: ">"))
        else { return nil }
        defer { position = close + 1 }
        return (
            String(decoding: bytes[position..<open], as: UTF8.self),
            String(decoding: bytes[(open + 1)..<close], as: UTF8.self)
        )
    }

    private static func name(_ tag: String) -> String {
        String(tag.prefix { !$0.isWhitespace && $0 != "/" })
    }

    /// The five named entities and numbers.
    static func unescaped(_ text: String) -> String {
        guard text.contains("&") else { return text }
        let named = ["lt": "<", "gt": ">", "amp": "&", "quot": "\"", "apos": "'"]
        var result = ""
        var rest = text[...]
        while let start = rest.firstIndex(of: "&") {
            result += rest[..<start]
            guard let end = rest[start...].firstIndex(of: ";") else {
                rest = rest[start...]
                break
            }
            let entity = String(rest[rest.index(after: start)..<end])
            result += named[entity] ?? scalar(entity) ?? "&\(entity);"
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }

    private static func scalar(_ entity: String) -> String? {
        guard entity.hasPrefix("#") else { return nil }
        let digits = entity.dropFirst()
        let number = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
        return number.flatMap(Unicode.Scalar.init).map { String(Character($0)) }
    }

    /// For texts of ours in a request.
    static func escaped(_ text: String) -> String {
        text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
    }
}
