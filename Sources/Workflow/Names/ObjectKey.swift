/// The name of an object: parts of letters, digits and `-_.=+@`, with `/` between, at most 512 bytes, a part at most 128.
///
/// A part may not begin with a dot: such names belong to a folder's own files, and there is no way out of it.
/// So a key is also a path, and needs no escaping in XML.
package struct ObjectKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    static let bytesMax = 512
    static let partBytesMax = 128
    package let rawValue: String

    package init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard text.utf8.count <= Self.bytesMax, parts.allSatisfy(Self.isPart) else { return nil }
        rawValue = text
    }

    private static func isPart(_ part: Substring.UTF8View) -> Bool {
        guard let first = part.first, first != UInt8(ascii: ".") else { return false }
        return part.count <= partBytesMax && part.allSatisfy(isLegal)
    }

    static func isLegal(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-_.=+@".utf8.contains(byte)
        }
    }

    package var description: String { rawValue }

    package static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        left.rawValue.utf8.lexicographicallyPrecedes(right.rawValue.utf8)
    }
}

/// A folder of objects: keys that begin with its parts. Empty for all.
package struct ObjectPrefix: Sendable, Hashable, CustomStringConvertible {
    package static let all = ObjectPrefix(unchecked: "")
    /// Without a slash at the end.
    package let path: String

    /// - Parameter path: legal as a key, e.g. `models/btc`.
    package init?(_ path: String) {
        guard let key = ObjectKey(path) else { return nil }
        self.path = key.rawValue
    }

    private init(unchecked path: String) { self.path = path }

    /// What the keys begin with.
    package var rawValue: String { path.isEmpty ? "" : path + "/" }

    package func contains(_ key: ObjectKey) -> Bool { key.rawValue.utf8.starts(with: rawValue.utf8) }

    /// nil when the name is not legal or too long.
    package func key(_ name: String) -> ObjectKey? { ObjectKey(rawValue + name) }

    package func folder(_ name: String) -> ObjectPrefix? { ObjectPrefix(rawValue + name) }

    package var description: String { rawValue }
}
