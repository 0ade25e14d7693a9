import Foundation
import Testing

@testable import Workflow

@Suite
struct JSONTextTests {
    private func expected(_ value: JSONValue) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    @Test(
        arguments: [
            .null, .bool(true), .bool(false), .integer(0), .integer(.max), .integer(.min), .number(0.1),
            .number(1e20), .number(-1.5e-7), .number(3), .string(""), .array([]), .object([:]),
            .string("a/b \"c\" \\ ü € 😀 \u{7f} \u{2028}"), .string("e\u{301}"),
            .array([.integer(1), .null, .array([.string("x")])]),
            .object([
                "b": .integer(1), "a": .object(["z": .null, "Z": .bool(true)]), "10": .null, "9": .null,
            ]),
            .object(["_": .null, "é": .integer(1), "e": .integer(2), "a\"\n": .string("\r\t"), "": .null]),
        ] as [JSONValue])
    func `a value is written as Foundation writes it`(value: JSONValue) throws {
        #expect(try MessageCodec.encodeText(value) == (try expected(value)))
    }

    @Test func `every character is written as Foundation writes it`() throws {
        for code in (0..<0x180).compactMap({ Unicode.Scalar(UInt32($0)) }) {
            let value = JSONValue.string(String(Character(code)))
            #expect(try MessageCodec.encodeText(value) == (try expected(value)), "\(code.value)")
        }
    }

    @Test(arguments: [Double.nan, .infinity, -.infinity])
    func `a number that JSON does not have is refused`(number: Double) {
        #expect(throws: EncodingError.self) { try MessageCodec.encode(JSONValue.array([.number(number)])) }
    }
}
