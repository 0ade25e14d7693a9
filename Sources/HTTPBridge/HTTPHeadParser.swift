/// Collects an answer's header lines as libcurl hands them over, one complete line a call.
///
/// Interim answers (1xx) are dropped; lines after the head (trailers) are ignored.
struct HTTPHeadParser {
    enum Step: Equatable {
        case more
        case complete(HTTPHead)
    }

    private(set) var bytesSeen = 0
    private var status = 0
    private var headers = HTTPHeaders()
    private(set) var isComplete = false

    mutating func consume(_ line: UnsafeRawBufferPointer) -> Step {
        bytesSeen += line.count
        let text = line.trimmed
        guard !isComplete else { return .more }
        if text.starts(with: "HTTP/".utf8) {
            headers = HTTPHeaders()
            status = Self.status(text)
        } else if text.isEmpty {
            guard status >= 200 else { return .more }
            isComplete = true
            return .complete(HTTPHead(status: status, headers: headers))
        } else if let colon = text.firstIndex(of: UInt8(ascii: ":")) {
            headers.append(
                name: String(decoding: text[..<colon], as: UTF8.self),
                value: String(
                    decoding: UnsafeRawBufferPointer(rebasing: text[(colon + 1)...]).trimmed, as: UTF8.self))
        }
        return .more
    }

    /// The number after the first space of `HTTP/1.1 200 OK` or `HTTP/2 200`; 0 when there is none.
    private static func status(_ line: Slice<UnsafeRawBufferPointer>) -> Int {
        guard let space = line.firstIndex(of: UInt8(ascii: " ")) else { return 0 }
        return Int(String(decoding: line[(space + 1)...].prefix(3), as: UTF8.self)) ?? 0
    }
}

extension UnsafeRawBufferPointer {
    /// Without spaces, tabs and line ends on either side.
    fileprivate var trimmed: Slice<UnsafeRawBufferPointer> {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        guard let first = firstIndex(where: { !isBlank($0) }), let last = lastIndex(where: { !isBlank($0) })
        else { return self[0..<0] }
        return self[first...last]
    }
}
