import JobLaunchers
import Testing
import Workflow

struct JSONMergeTests {
    private func json(_ text: String) throws -> JSONValue {
        try MessageCodec.decode(JSONValue.self, fromText: text)
    }

    /// Cases of RFC 7386's own table, told in other words.
    @Test(arguments: [
        (#"{"a":1}"#, #"{"a":2}"#, #"{"a":2}"#), (#"{"a":1}"#, #"{"b":2}"#, #"{"a":1,"b":2}"#),
        (#"{"a":1,"b":2}"#, #"{"a":null}"#, #"{"b":2}"#), (#"{"a":[1]}"#, #"{"a":[2,3]}"#, #"{"a":[2,3]}"#),
        (#"{"a":{"b":1,"c":2}}"#, #"{"a":{"b":null,"d":3}}"#, #"{"a":{"c":2,"d":3}}"#),
        (#"{"a":1}"#, #"{"a":{"b":{"c":null}}}"#, #"{"a":{"b":{}}}"#), (#"[1]"#, #"{"a":1}"#, #"{"a":1}"#),
        (#"{"a":1}"#, "[2]", "[2]"),
    ])
    func `changes members, removes with null and replaces the rest`(
        value: String, patch: String, result: String
    ) throws {
        #expect(try json(value).merged(with: json(patch)) == json(result))
    }
}
