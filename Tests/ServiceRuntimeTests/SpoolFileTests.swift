import Foundation
import Testing

@testable import ServiceRuntime

struct SpoolFileTests {
    @Test func `what was appended is read again, and the file has no name`() throws {
        try withTemporaryFolder { (folder: String) in
            let file = try SpoolFile(in: folder)
            let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            try file.append(Array(bytes[..<100_000]))
            try file.append([])
            try file.append(Array(bytes[100_000...]))
            #expect(file.byteCount == bytes.count)
            #expect(try file.bytes(0..<bytes.count) == bytes)
            #expect(try file.bytes(99_990..<100_010) == Array(bytes[99_990..<100_010]))
            #expect(try file.bytes(5..<5).isEmpty)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
        }
    }

    @Test func `a folder that is not there is named`() {
        let error = #expect(throws: SpoolError.self) { try SpoolFile(in: "/nowhere/at/all") }
        #expect(error?.description == "cannot make a file in /nowhere/at/all: No such file or directory")
    }
}
