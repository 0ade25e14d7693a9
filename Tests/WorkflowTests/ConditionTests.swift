import Testing
import Workflow

struct ConditionTests {
    private typealias Field = Condition.Field

    private func condition(_ field: String, _ comparison: String, _ value: JSONValue) throws -> Condition {
        Condition(
            step: try #require(StepID("load")), field: try #require(Field(field)),
            comparison: try #require(Condition.Comparison(rawValue: comparison)), value: value)
    }

    private static let result = StepResult(
        status: .finished,
        counts: InstanceCounts(recordsRead: 3, recordsWritten: 2, duplicates: 1, deadLetters: 0),
        extra: ["loss": .number(0.5), "rows": .integer(7), "grade": .string("good"), "isNew": .bool(true)])

    @Test(arguments: [
        ("status", "==", JSONValue.string("finished"), true),
        ("status", "!=", .string("finished"), false),
        ("records_read", ">", .integer(2), true),
        ("records_read", ">", .number(2.5), true),
        ("records_written", ">=", .integer(2), true),
        ("records_written", "<=", .integer(1), false),
        ("duplicates", "<", .integer(1), false),
        ("dead_letters", "==", .integer(0), true),
        ("extra.loss", "<", .integer(1), true),
        ("extra.rows", "!=", .integer(7), false),
        ("extra.grade", "==", .string("good"), true),
        ("extra.grade", "!=", .string("bad"), true),
        ("extra.isNew", "==", .bool(true), true),
        // Another kind, or nothing there, makes nothing true.
        ("extra.grade", "==", .integer(7), false),
        ("extra.grade", "!=", .integer(7), false),
        ("extra.isNew", "!=", .integer(0), false),
        ("extra.unknown", "!=", .integer(7), false),
    ])
    func `compares a result`(field: String, comparison: String, value: JSONValue, isMet: Bool) throws {
        #expect(try condition(field, comparison, value).isMet(by: Self.result) == isMet)
    }

    @Test func `several results add up, and the worst status stands`() {
        let other = StepResult(
            status: .failed, counts: InstanceCounts(recordsRead: 1),
            extra: ["rows": .number(0.5), "grade": .string("bad")])
        let sum = StepResult(sumOf: [Self.result, other])
        #expect(sum.status == .failed && sum.counts.recordsRead == 4)
        #expect(sum.extra["rows"] == .number(7.5) && sum.extra["loss"] == .number(0.5))
        #expect(sum.extra["grade"] == nil)
        #expect(StepResult(sumOf: []).status == .skipped)
        let large = StepResult(status: .finished, extra: ["rows": .integer(.max)])
        #expect(StepResult(sumOf: [large, large]).extra["rows"] == .number(Double(Int64.max) * 2))
    }

    private static let two = #"{"id":"load","target":"dummy-service"},{"id":"b","target":"dummy-service""#

    @Test(arguments: [
        (#"[]"#, "invalid_value", "steps[1].when"),
        (#"{}"#, "invalid_value", "steps[1].when"),
        (#"[{"step":"load","field":"speed","op":">","value":0}]"#, "invalid_value", "steps[1].when[0].field"),
        (
            #"[{"step":"load","field":"extra.","op":">","value":0}]"#, "invalid_value",
            "steps[1].when[0].field"
        ),
        (#"[{"step":"load","field":"status","op":"~","value":0}]"#, "invalid_value", "steps[1].when[0].op"),
        (
            #"[{"step":"load","field":"status","op":"==","value":"running"}]"#, "invalid_value",
            "steps[1].when[0].value"
        ),
        (
            #"[{"step":"load","field":"status","op":"==","value":1}]"#, "invalid_value",
            "steps[1].when[0].value"
        ),
        (
            #"[{"step":"load","field":"status","op":">","value":"failed"}]"#, "invalid_value",
            "steps[1].when[0].op"
        ),
        (
            #"[{"step":"load","field":"records_read","op":">","value":"1"}]"#, "invalid_value",
            "steps[1].when[0].value"
        ),
        (#"[{"step":"load","field":"records_read","op":">"}]"#, "missing_field", "steps[1].when[0].value"),
        (
            #"[{"step":"zz","field":"records_read","op":">","value":1}]"#, "invalid_value",
            "steps[1].when[0].step"
        ),
        (#"[{"step":"b","field":"records_read","op":">","value":1}]"#, "cycle", "steps[1]"),
        (
            #"[{"step":"load","field":"extra.x","op":"==","value":[1]}]"#, "invalid_value",
            "steps[1].when[0].value"
        ),
    ])
    func `a wrong condition is refused by its place`(when: String, code: String, field: String) throws {
        let error = try refusal(steps: #"[\#(Self.two),"when":\#(when)}]"#)
        #expect(error.code.rawValue == code)
        #expect(error.field == field)
    }

    @Test func `a condition survives being stored`() throws {
        let plan = try builtPlan(
            steps: #"[\#(Self.two),"when":[{"step":"load","field":"extra.rows","op":">=","value":2}]}]"#)
        let again = try MessageCodec.decode(Plan.self, fromText: try MessageCodec.encodeText(plan))
        #expect(again.steps[1].when == plan.steps[1].when && again == plan)
    }

    @Test(arguments: [
        #"{"id":"store","target":"arango-connector","input":"load","after":["load"]}"#,
        #"{"id":"store","target":"arango-connector","input":"load","when":[{"step":"load","field":"records_written","op":">","value":0}]}"#,
    ])
    func `a step may not wait for one it runs together with`(store: String) throws {
        let error = try refusal(
            steps: #"[{"id":"load","target":"loader-api-candles","type":"api_candles_5m"},\#(store)]"#)
        #expect(error.code == .cycle)
    }
}
