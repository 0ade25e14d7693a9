import Synchronization
import Testing
import Workflow

@testable import ObjectStores

func key(_ text: String) throws -> ObjectKey { try #require(ObjectKey(text)) }
func prefix(_ text: String) throws -> ObjectPrefix { try #require(ObjectPrefix(text)) }

/// Collects what a call passes to its body.
final class Collected<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])
    var all: [Value] { values.withLock { $0 } }
    func add(_ more: [Value]) { values.withLock { $0 += more } }
}

extension ObjectStore {
    func read(_ key: ObjectKey, range: Range<Int64>? = nil) async throws -> [UInt8] {
        let bytes = Collected<UInt8>()
        try await get(key, range: range) { bytes.add($0) }
        return bytes.all
    }

    func keys(_ prefix: ObjectPrefix) async throws -> [String] {
        let found = Collected<ObjectInfo>()
        try await list(prefix) { found.add($0) }
        return found.all.map(\.key.rawValue)
    }
}

/// Bytes that show where they come from.
func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
}

/// What every ``ObjectStore`` keeps.
///
/// - Parameters:
///   - largeBytes: more than the store puts at once.
///   - countMany: objects put to be listed in pages.
func exerciseObjectStore(_ store: any ObjectStore, largeBytes: Int, countMany: Int) async throws {
    try await store.check()
    #expect(try await store.info(try key("one/none")) == nil)
    #expect(try await store.keys(.all) == [])
    try await store.delete(try key("one/none"))
    let missing = await #expect(throws: ObjectStoreError.self) { try await store.read(try key("one/none")) }
    #expect(missing?.code == .notFound)

    for count in [0, 1, 70_000, largeBytes] {
        let name = try key("one/of=\(count)+@bytes.bin")
        let content = pattern(count)
        let info = try await store.put(name, ObjectContent(content, mediaType: "application/octet-stream"))
        #expect(info == ObjectInfo(key: name, byteCount: Int64(count)))
        #expect(try await store.info(name) == info)
        #expect(try await store.read(name) == content)
        guard count > 100 else { continue }
        for range in [0..<1, 10..<99, count - 1..<count, 0..<count] as [Range<Int>] {
            let part = try await store.read(name, range: Int64(range.lowerBound)..<Int64(range.upperBound))
            #expect(part == Array(content[range]))
        }
    }

    let name = try key("one/replaced")
    for text in ["first", "the second one"] {
        try await store.put(name, ObjectContent(Array(text.utf8), mediaType: "text/plain"))
        #expect(try await store.read(name) == Array(text.utf8))
    }
    try await store.delete(name)
    try await store.delete(name)
    #expect(try await store.info(name) == nil)

    let many = (0..<countMany).map { "many/\($0 % 7)/\($0)" }
    for name in many { try await store.put(try key(name), ObjectContent([1], mediaType: "text/plain")) }
    try await store.put(try key("many0"), ObjectContent([1], mediaType: "text/plain"))
    #expect(
        try await store.keys(try prefix("many"))
            == many.sorted { Array($0.utf8).lexicographicallyPrecedes($1.utf8) })
    #expect(try await store.keys(try prefix("many/3")).count == many.count { $0.hasPrefix("many/3/") })
    #expect(try await store.keys(try prefix("ma")) == [])
    for name in many + ["many0"] { try await store.delete(try key(name)) }
    #expect(try await store.keys(.all).allSatisfy { $0.hasPrefix("one/") })

    struct Unreadable: Error {}
    let broken = ObjectContent(byteCount: Int64(largeBytes), mediaType: "text/plain") { range in
        if range.upperBound == Int64(largeBytes) { throw Unreadable() }
        return [UInt8](repeating: 0, count: range.count)
    }
    let error = await #expect(throws: ObjectStoreError.self) {
        try await store.put(try key("one/broken"), broken)
    }
    #expect(error?.code == .invalid)
    #expect(try await store.info(try key("one/broken")) == nil)
    try await store.discardUnfinished(under: .all)
    for name in try await store.keys(.all) { try await store.delete(try key(name)) }
}
