import Testing
import Workflow

struct TemplateTests {
    private func template(_ json: String) throws -> Template {
        try Template(try MessageCodec.decode(JSONValue.self, fromText: json), version: 3)
    }

    private func minutes(_ parameters: String, _ workflow: String = "{}") throws -> Template {
        try template(#"{"name":"minutes","parameters":\#(parameters),"workflow":\#(workflow)}"#)
    }

    private func expand(_ template: Template, _ parameters: String) throws -> JSONValue {
        try TemplateExpansion(template, parameters: try json(parameters)).body
    }

    private func json(_ text: String) throws -> JSONValue {
        try MessageCodec.decode(JSONValue.self, fromText: text)
    }

    @Test func `a whole value keeps its type, inside a text it is written out`() throws {
        let template = try minutes(
            #"{"n":{"type":"integer"},"f":{"type":"number"},"b":{"type":"boolean"},"s":{"type":"string"},"l":{"type":"symbols"}}"#,
            #"{"n":"${n}","f":"${f}","b":["${b}"],"l":"${l}","text":"a-${n}-${s}${b}","cost":"$5 $${n}","x":null}"#
        )
        #expect(
            try expand(template, #"{"n":7,"f":0.5,"b":true,"s":"$${n}","l":["BTCUSDT"]}"#)
                == json(
                    #"{"n":7,"f":0.5,"b":[true],"l":["BTCUSDT"],"text":"a-7-$${n}true","cost":"$5 ${n}","x":null}"#
                ))
    }

    @Test func `defaults are taken, and what is optional leaves its place empty`() throws {
        let template = try minutes(
            #"{"a":{"type":"integer","default":5},"b":{"type":"string","required":false}}"#,
            #"{"a":"${a}","b":"${b}"}"#)
        #expect(try expand(template, "{}") == json(#"{"a":5,"b":null}"#))
        #expect(try expand(template, #"{"a":null,"b":"x"}"#) == json(#"{"a":5,"b":"x"}"#))
    }

    @Test(arguments: [
        (#"{"type":"integer","min":1,"max":9}"#, "10", "A whole number from 1 up to 9"),
        (#"{"type":"integer"}"#, "1.5", "A whole number"),
        (#"{"type":"number","min":0.5}"#, "0.4", "A number from 0.5"),
        (#"{"type":"boolean"}"#, #""true""#, "true or false"),
        (#"{"type":"string"}"#, "1", "A text of at most 1000 bytes"),
        (#"{"type":"string"}"#, #""a\u0000b""#, "A text of at most 1000 bytes"),
        (#"{"type":"symbol"}"#, #""btc""#, "A trading pair as the exchange writes it, e.g. BTCUSDT"),
        (#"{"type":"enum","values":["a","b"]}"#, #""c""#, "One of a, b"),
    ])
    func `a wrong value is refused with its parameter and what would be right`(
        definition: String, value: String, hint: String
    ) throws {
        let template = try minutes(#"{"p":\#(definition)}"#)
        let parameters = try json(#"{"p":\#(value)}"#)
        let error = try #require(throws: RequestError.self) {
            _ = try TemplateExpansion(template, parameters: parameters)
        }
        #expect(error.message == "The parameter p is not valid" && error.field == "parameters.p")
        #expect(error.hint == hint)
    }

    @Test(arguments: [
        (#"{"type":"interval"}"#, #""1M""#, #""1mo""#),
        (#"{"type":"interval"}"#, #""5m""#, #""5m""#),
        (#"{"type":"symbols"}"#, #""BTCUSDT""#, #"["BTCUSDT"]"#),
        (#"{"type":"time_range"}"#, #""2024-08-01:2024-08-02""#, #""2024-08-01:2024-08-02""#),
        (#"{"type":"number"}"#, "3", "3"),
        (#"{"type":"integer","min":-9007199254740993}"#, "-9007199254740993", "-9007199254740993"),
    ])
    func `a right value goes in`(definition: String, value: String, expected: String) throws {
        let template = try minutes(#"{"p":\#(definition)}"#, #"{"v":"${p}"}"#)
        #expect(try expand(template, #"{"p":\#(value)}"#) == json(#"{"v":\#(expected)}"#))
    }

    @Test func `a missing parameter and one too many are named`() throws {
        let template = try minutes(#"{"p":{"type":"time_range"}}"#)
        let missing = try #require(throws: RequestError.self) { _ = try expand(template, "{}") }
        #expect(missing.code == .missingField && missing.field == "parameters.p")
        let unknown = try #require(throws: RequestError.self) { _ = try expand(template, #"{"q":1}"#) }
        #expect(unknown.code == .unknownField && unknown.hint == "Known here: p")
    }

    @Test(arguments: [
        (#"{"name":"A","workflow":{}}"#, "name"),
        (#"{"name":"a"}"#, "workflow"),
        (#"{"name":"a","workflow":[]}"#, "workflow"),
        (#"{"name":"a","workflow":{},"version":1}"#, "version"),
        (#"{"name":"a","workflow":{},"parameters":{"P":{"type":"string"}}}"#, "parameters"),
        (#"{"name":"a","workflow":{},"parameters":{"p":{}}}"#, "parameters.p.type"),
        (#"{"name":"a","workflow":{},"parameters":{"p":{"type":"date"}}}"#, "parameters.p.type"),
        (#"{"name":"a","workflow":{},"parameters":{"p":{"type":"enum"}}}"#, "parameters.p.values"),
        (#"{"name":"a","workflow":{},"parameters":{"p":{"type":"string","min":1}}}"#, "parameters.p.min"),
        (
            #"{"name":"a","workflow":{},"parameters":{"p":{"type":"integer","min":2,"max":1}}}"#,
            "parameters.p.max"
        ),
        (
            #"{"name":"a","workflow":{},"parameters":{"p":{"type":"integer","default":"x"}}}"#,
            "parameters.p.default"
        ),
        (
            #"{"name":"a","workflow":{},"parameters":{"p":{"type":"integer","default":1,"required":true}}}"#,
            "parameters.p.required"
        ),
        (#"{"name":"a","workflow":{"steps":[{"id":"${q}"}]}}"#, "workflow.steps[0].id"),
        (#"{"name":"a","workflow":{"x":"${unclosed"}}"#, "workflow.x"),
        (#"{"name":"a","workflow":{"x":"${P}"}}"#, "workflow.x"),
        (#"{"name":"a","workflow":{"x":"a\u0000"}}"#, "workflow.x"),
        (#"{"name":"a","workflow":{"x":[{"a\u0000":1}]}}"#, "workflow"),
        (#"{"name":"a","workflow":{"x":"-${p}"},"parameters":{"p":{"type":"symbols"}}}"#, "workflow.x"),
        (
            #"{"name":"a","workflow":{"x":"-${p}"},"parameters":{"p":{"type":"string","required":false}}}"#,
            "workflow.x"
        ),
    ])
    func `a template that can never work is refused by its place`(definition: String, field: String) throws {
        let error = try #require(throws: RequestError.self) { _ = try template(definition) }
        #expect(error.field == field)
    }

    @Test func `an error in the workflow is told with its place and the parameter that led to it`() throws {
        let template = try minutes(
            #"{"i":{"type":"string"},"days":{"type":"time_range"}}"#,
            #"{"symbol":"BTCUSDT","type":"api_candles_${i}","time_range":"${days}"}"#)
        let expansion = try TemplateExpansion(
            template, parameters: try json(#"{"i":"5x","days":"2024-08-01:2024-08-02"}"#))
        let error = try #require(throws: RequestError.self) { _ = try PlanBuilder().build(expansion.body) }
        let told = expansion.explain(error)
        #expect(told.field == "workflow.type" && told.value == "api_candles_5x")
        #expect(told.message == "There is no interval 5x (in template minutes@3, from the parameter i)")
    }

    @Test func `parameters add a bounded amount`() throws {
        let place = #""${s}","#
        let list = String(repeating: place, count: 2_000) + "0"
        let template = try minutes(#"{"s":{"type":"string"}}"#, #"{"x":[\#(list)]}"#)
        #expect(throws: Never.self) { _ = try expand(template, #"{"s":"a"}"#) }
        let long = String(repeating: "a", count: 1_000)
        let error = try #require(throws: RequestError.self) { _ = try expand(template, #"{"s":"\#(long)"}"#) }
        #expect(error.code == .tooLarge)
    }

    @Test func `a definition is what was sent, and its unused parameters are known`() throws {
        let template = try minutes(
            #"{"a":{"type":"enum","values":["x"],"default":"x"},"b":{"type":"integer","min":1}}"#,
            #"{"x":"${a}"}"#)
        #expect(try Template(template.definition, version: 3) == template)
        #expect(template.unusedParameters == ["b"])
    }

    @Test(arguments: [
        ("a", "a", Int?.none), ("a@3", "a", 3), ("historical_candles@1", "historical_candles", 1),
    ])
    func `a request names a template and perhaps a version`(text: String, name: String, version: Int?) throws
    {
        let request = try #require(try TemplateRequest(.object(["template": .string(text)])))
        #expect(request.reference.name.rawValue == name && request.reference.version == version)
        #expect(request.reference.description == text && request.parameters == .object([:]))
    }

    @Test(arguments: ["", "A", "a@", "a@0", "a@-1", "a@01", "a@b", "a@1@2"])
    func `what names no template is refused`(text: String) throws {
        let error = try #require(throws: RequestError.self) {
            _ = try TemplateRequest(.object(["template": .string(text)]))
        }
        #expect(error.field == "template")
    }

    @Test func `a body without a template is a workflow itself`() throws {
        #expect(try TemplateRequest(.object(["symbol": .string("BTCUSDT")])) == nil)
        #expect(try TemplateRequest(.array([])) == nil)
        let both = JSONValue.object(["template": .string("a"), "symbol": .string("BTCUSDT")])
        #expect(throws: RequestError.self) { try TemplateRequest(both) }
    }

    @Test func `the templates that come with the program make plans`() throws {
        #expect(
            BuiltInTemplates.all.map(\.name.rawValue) == [
                "dummy", "historical_candles", "historical_trades", "candles_to_graph",
                "candles_to_model",
            ])
        let candles = try #require(
            TemplateName("historical_candles").flatMap { BuiltInTemplates.template($0) })
        let body = try expand(
            candles,
            #"{"symbols":["BTCUSDT","ETHUSDT"],"interval":"1M","time_range":"2024-08-01:2024-08-31","collection":"all_months"}"#
        )
        let plan = try PlanBuilder().build(body)
        #expect(plan.steps.map(\.interval) == ["1M", "1M"] && plan.steps[1].collectionName == "all_months")
        #expect(plan.steps.allSatisfy { $0.workerSettings == nil })
        let trades = try #require(
            TemplateName("historical_trades").flatMap { BuiltInTemplates.template($0) })
        let files = try expand(
            trades, #"{"symbols":["BTCUSDT"],"time_range":"2024-08-01:2024-08-31","source":"archive"}"#)
        #expect(try PlanBuilder().build(files).steps[0].workerSettings == ["EXCHANGE_SOURCE": "archive"])
        let dummy = try #require(TemplateName("dummy").flatMap { BuiltInTemplates.template($0) })
        let step = try PlanBuilder().build(expand(dummy, #"{"seconds":3}"#)).steps[0]
        #expect(step.workerSettings == ["DUMMY_SECONDS": "3", "DUMMY_RECORDS_PER_SECOND": "0"])
        for template in [candles, trades, dummy] { #expect(template.unusedParameters.isEmpty) }
    }

    @Test func `values of a command line become what the template says`() throws {
        let template = try minutes(
            #"{"n":{"type":"integer"},"f":{"type":"number"},"b":{"type":"boolean"},"l":{"type":"symbols"},"s":{"type":"string"}}"#
        )
        func value(_ name: String, _ text: String) throws -> JSONValue {
            try #require(template.parameter(name)).value(ofText: text)
        }
        #expect(try value("n", "7") == .integer(7))
        #expect(try value("n", "many") == .string("many"))
        #expect(try value("f", "0.5") == .number(0.5))
        #expect(try value("b", "false") == .bool(false))
        #expect(try value("l", "BTCUSDT,ETHUSDT") == .array([.string("BTCUSDT"), .string("ETHUSDT")]))
        #expect(try value("s", "7") == .string("7"))
    }
}
