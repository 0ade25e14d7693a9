import KubernetesBridge
import Testing

struct LineSplitterTests {
    private func lines(_ chunks: [String], max: Int = 100) -> [String]? {
        var splitter = LineSplitter(lineBytesMax: max)
        var all: [String] = []
        for chunk in chunks {
            guard let lines = splitter.append(Array(chunk.utf8)) else { return nil }
            all += lines.map { String(decoding: $0, as: UTF8.self) }
        }
        return all
    }

    @Test func `finds the same lines however the bytes are cut`() {
        #expect(lines(["one\ntwo\nthree\n"]) == ["one", "two", "three"])
        #expect(lines(["o", "ne\nt", "wo", "\n", "three\n"]) == ["one", "two", "three"])
    }

    @Test func `keeps a line back until it is complete, and leaves empty ones out`() {
        #expect(lines(["one\n\n\ntwo"]) == ["one"])
    }

    @Test func `gives up on a line that is too long, also over chunks`() {
        #expect(lines(["12345\n"], max: 5) == ["12345"])
        #expect(lines(["123456\n"], max: 5) == nil)
        #expect(lines(["123", "456"], max: 5) == nil)
    }
}

struct ByteTailTests {
    @Test func `keeps the end, beginning with a whole line`() {
        var tail = ByteTail(bytesMax: 10)
        for number in 0..<100 { tail.append(Array("line\(number)\n".utf8)) }
        #expect(String(decoding: tail.bytes, as: UTF8.self) == "line99\n")
    }

    @Test func `keeps everything that fits, and the end of one endless line`() {
        var tail = ByteTail(bytesMax: 10)
        tail.append(Array("a\nb\n".utf8))
        #expect(String(decoding: tail.bytes, as: UTF8.self) == "a\nb\n")
        tail.append(Array(repeating: UInt8(ascii: "x"), count: 50))
        #expect(String(decoding: tail.bytes, as: UTF8.self) == "xxxxxxxxxx")
    }
}

struct WatchEventTests {
    private func parse(_ text: String) throws -> WatchEvent<JobObject> {
        try WatchEvent<JobObject>.parse(Array(text.utf8))
    }

    @Test func `reads what happened to an object`() throws {
        let added = try parse(
            #"{"type":"ADDED","object":{"metadata":{"name":"a","uid":"1","resourceVersion":"5"}}}"#)
        guard case .set(let job) = added else { return #expect(Bool(false), "\(added)") }
        #expect(job.metadata.name == "a" && job.metadata.uid == "1")
        let deleted = try parse(
            #"{"type":"DELETED","object":{"metadata":{"name":"a","uid":"1","resourceVersion":"6"}}}"#)
        guard case .removed = deleted else { return #expect(Bool(false), "\(deleted)") }
    }

    @Test func `reads a bookmark`() throws {
        let event = try parse(
            #"{"type":"BOOKMARK","object":{"kind":"Job","metadata":{"resourceVersion":"12","creationTimestamp":null}}}"#
        )
        guard case .bookmark("12") = event else { return #expect(Bool(false), "\(event)") }
    }

    @Test func `reads 410 Gone in the middle of a stream`() throws {
        let event = try parse(
            #"{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old resource version: 1 (99)","reason":"Expired","code":410}}"#
        )
        guard case .failed(let error) = event else { return #expect(Bool(false), "\(event)") }
        #expect(error.code == .expired)
    }

    @Test(arguments: ["", "{}", #"{"type":"ADDED"}"#, #"{"type":"NEWS","object":{}}"#])
    func `refuses what is no event`(text: String) {
        let error = #expect(throws: KubernetesError.self) { try parse(text) }
        #expect(error?.code == .malformed)
    }
}
