/// A request as its bytes.
struct HTTPText: Equatable {
    let bytes: [UInt8]

    static func get(_ path: String) -> HTTPText {
        HTTPText(bytes: Array("GET \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".utf8))
    }

    static func post(_ path: String, body: String) -> HTTPText {
        let head = "POST \(path) HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        return HTTPText(bytes: Array("\(head)Content-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8))
    }
}

struct HTTPAnswer: Equatable {
    var status: Int
    var body: [UInt8]

    var excerpt: String { "answer \(status): \(String(decoding: body.prefix(300), as: UTF8.self))" }
}

/// Cuts the bytes of a keep-alive connection into answers. Only bodies with a Content-Length are understood.
struct AnswerReader {
    static let bytesMax = 64 << 20

    private var bytes: [UInt8] = []
    private var head: (status: Int, end: Int, bodyCount: Int)?

    mutating func append(_ new: some Sequence<UInt8>) { bytes.append(contentsOf: new) }

    /// - Returns: nil until the answer is complete.
    /// - Throws: ``LoadError`` when it is none that we understand.
    mutating func next() throws(LoadError) -> HTTPAnswer? {
        if head == nil { head = try readHead() }
        guard let (status, end, count) = head, bytes.count >= end + count else { return nil }
        let body = Array(bytes[end..<(end + count)])
        bytes.removeFirst(end + count)
        head = nil
        return HTTPAnswer(status: status, body: body)
    }

    private func readHead() throws(LoadError) -> (status: Int, end: Int, bodyCount: Int)? {
        guard let end = bytes.indices.dropLast(3).first(where: { bytes[$0...].starts(with: Self.blankLine) })
        else { return nil }
        let lines = String(decoding: bytes[..<end], as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        let length = lines.dropFirst().first { $0.lowercased().hasPrefix("content-length:") }
        guard words.count >= 2, let status = Int(words[1]),
            let count = length.flatMap({ Int($0.dropFirst("content-length:".count).drop { $0 == " " }) }),
            (0...Self.bytesMax).contains(count)
        else { throw LoadError("an answer without Content-Length: \(lines.joined(separator: " | "))") }
        return (status, end + 4, count)
    }

    private static let blankLine: [UInt8] = [13, 10, 13, 10]
}
