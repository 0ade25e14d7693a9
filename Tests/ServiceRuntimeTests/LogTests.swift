import Foundation
import Logging
import ServiceRuntime
import Synchronization
import Testing

struct LogTests {
    private final class Lines: Sendable {
        private let bytes = Mutex<[[UInt8]]>([])
        var output: LogOutput { LogOutput { line in self.bytes.withLock { $0.append(line) } } }
        var texts: [String] { bytes.withLock { $0.map { String(decoding: $0, as: UTF8.self) } } }

        func objects() throws -> [[String: Any]] {
            try bytes.withLock { $0 }.map {
                try #require(try JSONSerialization.jsonObject(with: Data($0)) as? [String: Any])
            }
        }
    }

    @Test func `writes one JSON object a line with time, level, service, message and fields`() throws {
        let lines = Lines()
        var logger = JSONLineLogHandler.logger(service: "worker", level: .info, output: lines.output)
        logger[metadataKey: "queue_id"] = "wf-1"
        logger.info(
            "Said \"hi\"\n\u{1}\\",
            metadata: [
                "count": .stringConvertible(3), "list": ["a", "b"], "map": ["x": "y"], "level": "mine",
                "flag": .stringConvertible(true),
            ])
        let text = try #require(lines.texts.first)
        #expect(text.hasSuffix("}\n") && text.filter { $0 == "\n" }.count == 1)
        let object = try #require(try lines.objects().first)
        #expect(object["level"] as? String == "info")
        #expect(object["service"] as? String == "worker")
        #expect(object["message"] as? String == "Said \"hi\"\n\u{1}\\")
        #expect(object["queue_id"] as? String == "wf-1")
        #expect(object["count"] as? Int == 3)
        #expect(object["flag"] as? Bool == true)
        #expect(object["list"] as? [String] == ["a", "b"])
        #expect(object["map"] as? [String: String] == ["x": "y"])
        #expect(object["field_level"] as? String == "mine")
        let time = try #require(object["time"] as? String)
        #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil)
    }

    @Test func `leaves out what is below its level`() {
        let lines = Lines()
        let logger = JSONLineLogHandler.logger(service: "s", level: .warning, output: lines.output)
        logger.info("Not this")
        logger.error("But this")
        #expect(lines.texts.count == 1)
    }

    @Test func `never mixes lines of many tasks`() async throws {
        let descriptors = Pipe()
        let output = LogOutput { line in
            // In small pieces: without turns they would interleave.
            for start in stride(from: 0, to: line.count, by: 7) {
                descriptors.fileHandleForWriting.write(Data(line[start..<min(start + 7, line.count)]))
            }
        }
        let logger = JSONLineLogHandler.logger(service: "s", level: .info, output: output)
        await withTaskGroup(of: Void.self) { group in
            for task in 0..<8 {
                group.addTask {
                    for _ in 0..<10 { logger.info("Counted", metadata: ["task": "\(task)"]) }
                }
            }
        }
        try descriptors.fileHandleForWriting.close()
        let all = try #require(try descriptors.fileHandleForReading.readToEnd())
        let lines = all.split(separator: UInt8(ascii: "\n"))
        #expect(lines.count == 80)
        for line in lines { _ = try JSONSerialization.jsonObject(with: Data(line)) }
    }

    @Test(arguments: [
        (Int64(0), "1970-01-01T00:00:00.000Z"), (951_782_400_123, "2000-02-29T00:00:00.123Z"),
        (1_709_251_199_999, "2024-02-29T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
    ])
    func `writes moments as RFC 3339 in UTC`(milliseconds: Int64, text: String) {
        #expect(UTCTimestamp(milliseconds: milliseconds).description == text)
    }
}
