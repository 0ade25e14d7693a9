import Glibc
import ServiceRuntime
import Synchronization
import Testing

struct WatchedSettingTests {
    private static let number = Setting<Int>.integer("NUMBER", in: 0...100, example: "1", doc: "")
    private static let table = SettingsTable(program: "test", groups: [SettingsGroup("All", [number])])

    /// A watched number from a file that holds 1, and the problems it told.
    private func watched(
        _ folder: String, _ body: (WatchedSetting<Int>, _ problems: () -> [String]) throws -> Void
    ) throws {
        let path = "\(folder)/number"
        try write("1\n", to: path)
        let problems = Problems()
        let reader = SettingsReader(environment: ["NUMBER_FILE": path]) { problems.add("\($0)") }
        try body(try reader.read(Self.table).watched(Self.number)) { problems.all }
    }

    private final class Problems: Sendable {
        private let list = Mutex<[String]>([])
        var all: [String] { list.withLock { $0 } }
        func add(_ problem: String) { list.withLock { $0.append(problem) } }
    }

    @Test func `follows a file that is written again`() throws {
        try withTemporaryFolder { folder in
            try watched(folder) { setting, _ in
                #expect(setting.current() == 1)
                try write("22\n", to: "\(folder)/number")
                #expect(setting.current() == 22)
            }
        }
    }

    @Test func `follows a link that is turned to another file, as Kubernetes does`() throws {
        try withTemporaryFolder { folder in
            try write("3", to: "\(folder)/new")
            try watched(folder) { setting, _ in
                #expect(setting.current() == 1)
                #expect(symlink("\(folder)/new", "\(folder)/link") == 0)
                #expect(rename("\(folder)/link", "\(folder)/number") == 0)
                #expect(setting.current() == 3)
            }
        }
    }

    @Test func `keeps the value of a file that is wrong or gone and tells it once`() throws {
        try withTemporaryFolder { folder in
            try watched(folder) { setting, problems in
                try write("1000", to: "\(folder)/number")
                #expect(setting.current() == 1)
                #expect(setting.current() == 1)
                #expect(problems().count == 1)
                #expect(unlink("\(folder)/number") == 0)
                #expect(setting.current() == 1)
                #expect(setting.current() == 1)
                #expect(problems().count == 2)
                try write("5", to: "\(folder)/number")
                #expect(setting.current() == 5)
            }
        }
    }
}
