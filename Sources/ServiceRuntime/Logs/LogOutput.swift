import Glibc
import Synchronization

/// Where log lines go: each line in one write, never mixed with another.
package final class LogOutput: Sendable {
    private let destination: @Sendable ([UInt8]) -> Void
    private let turn = Mutex(())

    /// - Parameter destination: gets one whole line with its line feed; calls never overlap.
    package init(_ destination: @escaping @Sendable ([UInt8]) -> Void) {
        self.destination = destination
    }

    package static let standardError = LogOutput { writeAll($0, to: 2) }
    package static let standardOutput = LogOutput { writeAll($0, to: 1) }

    package func write(_ line: [UInt8]) {
        turn.withLock { _ in destination(line) }
    }

    /// A line that cannot be written (a closed pipe, a full disk) is lost: there is nowhere to say so.
    private static func writeAll(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            guard written > 0 else { return }
            rest = rest.dropFirst(written)
        }
    }
}

/// JSON as it is written, without a tree in between.
package struct JSONText: Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {
        bytes.reserveCapacity(256)
    }

    /// Text that is JSON already.
    package mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    /// A JSON string, escaped as RFC 8259 section 7 asks.
    package mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""): raw("\\\"")
            case UInt8(ascii: "\\"): raw("\\\\")
            case 0x0a: raw("\\n")
            case 0x0d: raw("\\r")
            case 0x09: raw("\\t")
            case 0..<0x20, 0x7f: raw(byte < 16 ? "\\u000\(hex(byte))" : "\\u00\(hex(byte))")
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private func hex(_ byte: UInt8) -> String { String(byte, radix: 16) }
}
