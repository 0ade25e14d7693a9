import ServiceRuntime
import Testing

struct SettingsTests {
    private static let port = Setting<Int>.integer("PORT", in: 0...65_535, example: "8000", doc: "Port.")
        .fallback("8000")
    private static let name = Setting.text("NAME", example: "anna", doc: "Name.").alias(
        "OLD_NAME", "OLDER_NAME")
    private static let secret = Setting<Int>.integer("PIN", in: 1...9, example: "5", doc: "Pin.").secret()
        .optional()
    private static let table = SettingsTable(
        program: "test", groups: [SettingsGroup("All", [port, name, secret])])

    private func read(_ environment: [String: String]) throws(SettingsError) -> SettingValues {
        try SettingsReader(environment: environment).read(Self.table)
    }

    private func problems(_ environment: [String: String]) -> [String] {
        do throws(SettingsError) {
            _ = try read(environment)
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    @Test func `gives defaults, set values and nil for what is optional`() throws {
        let values = try read(["NAME": "bert"])
        #expect(values[Self.port] == 8_000)
        #expect(values[Self.name] == "bert")
        #expect(values[Self.secret] == nil)
        #expect(try read(["NAME": "bert", "PORT": "1", "PIN": "7"])[Self.secret] == 7)
    }

    @Test func `tells everything that is wrong at once`() {
        #expect(
            problems(["PORT": "80000", "PIN": "x"]) == [
                #"PORT: "80000" is not right, expected a whole number from 0 to 65535, e.g. PORT=8000"#,
                "NAME: is not set, expected a text, e.g. NAME=anna",
                "PIN: the value (not shown) is not right, expected a whole number from 1 to 9",
            ])
    }

    @Test func `takes an empty value as not set`() {
        #expect(problems(["NAME": "", "PORT": ""]).map { $0.prefix(15) } == ["NAME: is not se"])
    }

    @Test func `accepts an alias, and prefers the name itself`() throws {
        #expect(try read(["OLD_NAME": "old"])[Self.name] == "old")
        #expect(try read(["OLD_NAME": "old", "NAME": "new"])[Self.name] == "new")
        #expect(try read(["OLD_NAME": "same", "OLDER_NAME": "same"])[Self.name] == "same")
    }

    @Test func `refuses two aliases that differ`() {
        #expect(
            problems(["OLD_NAME": "a", "OLDER_NAME": "b"]).first?.contains(
                "OLD_NAME and OLDER_NAME differ: set NAME instead") == true)
    }

    @Test func `reads a value from a file, without the line feed at its end`() throws {
        try withTemporaryFolder { folder in
            try write("carla\n", to: "\(folder)/name")
            let values = try read(["NAME_FILE": "\(folder)/name"])
            #expect(values[Self.name] == "carla")
            #expect(
                values.origin(of: Self.name) == .file(variable: "NAME_FILE", path: "\(folder)/name"))
        }
    }

    @Test func `refuses a value that is given both ways, and a file it cannot use`() throws {
        #expect(
            problems(["NAME": "a", "NAME_FILE": "/b"]).first?.contains("NAME and NAME_FILE are both set")
                == true)
        #expect(
            problems(["NAME_FILE": "/nowhere/x"]).first?.contains(
                #"file "/nowhere/x" cannot be read (No such file or directory)"#) == true)
        try withTemporaryFolder { folder in
            try write("\n", to: "\(folder)/empty")
            #expect(problems(["NAME_FILE": "\(folder)/empty"]).first?.contains("is empty") == true)
            try write(String(repeating: "x", count: 70_000), to: "\(folder)/large")
            #expect(problems(["NAME_FILE": "\(folder)/large"]).first?.contains("is larger") == true)
        }
    }

    @Test func `never shows a secret or the password in a URL`() {
        let report = SettingsReader(environment: ["NAME": "https://u:hidden@host/x", "PIN": "7"])
            .report(Self.table)
        #expect(report.contains("PIN=***  # set"))
        #expect(!report.contains("hidden"))
        #expect(report.contains("NAME=https://***@host/x"))
        #expect(report.contains("PORT=8000  # default"))
        #expect(!problems(["NAME": "a", "PIN": "777"]).joined().contains("777"))
    }

    @Test func `keeps a shown value on one line`() {
        #expect(Redaction.shown("a\nb\u{1b}[0m") == "a\\nb\\u{1B}[0m")
    }

    @Test(arguments: [
        ("http://127.0.0.1:80", true), ("https://host", true), ("ftp://host", false), ("http://", false),
        ("http://u:p@host", false), ("http://ho st", false), ("host:80", false),
    ])
    func `takes only clean URLs`(text: String, isRight: Bool) {
        let setting = Setting.url("URL", example: "http://h", doc: "")
        #expect((setting.parse(text) != nil) == isRight)
    }

    @Test(arguments: [
        ("0", true), ("0,2,1", true), ("", false), ("1,1", false), ("-1", false), ("1,", false),
    ])
    func `takes partitions that are each named once`(text: String, isRight: Bool) {
        let setting = Setting<[Int32]>.partitions("P", example: "0", doc: "")
        #expect((setting.parse(text) != nil) == isRight)
    }

    @Test func `reads seconds with decimals within bounds`() {
        let setting = Setting<Duration>.seconds("S", in: 0.5...10, example: "1", doc: "")
        #expect(setting.parse("0.5") == .milliseconds(500))
        #expect(setting.parse("0.4") == nil)
        #expect(setting.parse("nan") == nil)
        #expect(setting.expects == "seconds from 0.5 to 10")
    }

    @Test func `makes the documentation's table`() {
        let lines = Self.table.markdown().split(separator: "\n").map(String.init)
        #expect(lines[0] == "### All")
        #expect(lines[3] == "| `PORT` | `8000` | Port. | a whole number from 0 to 65535 | `8000` |")
        #expect(
            lines[4] == "| `NAME`, also `OLD_NAME`, also `OLDER_NAME` | required | Name. | a text | `anna` |")
        #expect(lines[5] == "| `PIN` | none | Pin. | a whole number from 1 to 9 | secret |")
    }

    @Test func `every example of the shared groups is a right value`() {
        let groups = [
            WorkerSettings.identity, WorkerSettings.control, WorkerSettings.data, KafkaSettings.group,
            TopicSettings.group, ArangoSettings.group, PostgresSettings.group, ObjectStoreSettings.group,
            ExchangeSettings.group, ServiceSettings.group,
        ]
        // Building the table checks names and defaults.
        for setting in SettingsTable(program: "all", groups: groups).settings where !setting.isSecret {
            #expect(setting.parseAny(setting.example) != nil, "\(setting.name)")
        }
    }

    @Test func `asks for user and password where the protocol logs in`() throws {
        let table = SettingsTable(program: "test", groups: [KafkaSettings.group])
        let reader = SettingsReader(environment: [
            "KAFKA_BOOTSTRAP_SERVERS": "a:1", "KAFKA_USER_PRODUCER": "anna", "KAFKA_CA_PATH": "/ca",
        ])
        let values = try reader.read(table)
        #expect(KafkaSettings.protocolInForce(values) == .saslSSL)
        #expect(values[KafkaSettings.certificateAuthorityPath] == "/ca")
        #expect {
            try KafkaSettings.check(values)
        } throws: { error in
            (error as? SettingsError)?.problems.map(\.name) == ["KAFKA_PASSWORD"]
        }
    }
}
