import Foundation
import HTTPBridge
import ServiceRuntime
import Testing
import Workflow

/// The registry of models over HTTP and by command, on a real queue-manager.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ModelRegistryEndToEndTests {
    @Test func `models are listed in pages, shown, promoted and compared over HTTP`() async throws {
        try await Rig.with { rig in
            #expect(try await rig.models(.get, "").body["models"] == .array([]))
            for id in 1...3 { try await rig.addModel("mine", id, auc: 0.5 + Double(id) / 10) }
            try await rig.addModel("other", 4, auc: 0.5)

            let first = try await rig.models(.get, "?limit=3").body
            #expect(first["models"]?.items.map { $0["version"]?.integer } == [3, 2, 1])
            #expect(first["next_after"]?.string == "mine@1")
            let rest = try await rig.models(.get, "?limit=3&after=mine@1").body
            #expect(rest["models"]?.items.map { $0["name"]?.string } == ["other"])
            #expect(rest["next_after"] == .null)
            #expect(try await rig.models(.get, "/mine").body["models"]?.items.count == 3)
            #expect(try await rig.models(.get, "?stage=production").body["models"] == .array([]))

            let shown = try await rig.models(.get, "/mine/newest").body
            #expect(shown["version"] == .integer(3) && shown["stage"]?.string == "candidate")
            #expect(shown["files"]?.items.count == 2 && shown["folder"]?.string == "files-1-abc")
            #expect(shown["metrics"]?["gatv2"]?["auc"]?["value"] == .number(0.8))

            try await Self.expectOneInProduction(rig)

            let both = try await rig.models(.get, "/mine/3/compare/1").body
            let difference = both["metrics"]?["gatv2"]?["auc"]?["difference"]
            guard case .number(let value) = difference else {
                Issue.record("no difference: \(both)")
                return
            }
            #expect(abs(value - 0.2) < 1e-12 && both["is_same_test"] == .bool(true))
        }
    }

    /// Two people promote two versions in the same moment.
    private static func expectOneInProduction(_ rig: Rig) async throws {
        let stage: JSONValue = .object(["stage": .string("production")])
        for _ in 0..<10 {
            async let one = rig.models(.post, "/mine/1/promote", stage)
            async let other = rig.models(.post, "/mine/2/promote", stage)
            let answers = try await [one, other]
            #expect(answers.allSatisfy { $0.status == 200 && $0.body["stage"]?.string == "production" })
            let list = try await rig.models(.get, "/mine").body["models"]?.items ?? []
            let stages = list.map { $0["stage"]?.string }
            #expect(stages.count { $0 == "production" } == 1 && stages.count { $0 == "archived" } == 1)
        }
        let asked = try await rig.models(.get, "/mine/production").body["version"]?.integer
        let other = Int64(asked == 1 ? 2 : 1)
        let answer = try await rig.models(.post, "/mine/\(other)/promote", stage).body
        #expect(answer["archived_version"]?.integer == asked)
    }

    @Test func `what cannot be answered is told with what would be right`() async throws {
        try await Rig.with { rig in
            try await rig.addModel("mine", 1, auc: 0.5)
            let cases: [(HTTPRequest.Method, String, JSONValue?, Int, String)] = [
                (.get, "?limit=0", nil, 400, "limit"), (.get, "?limit=201", nil, 400, "limit"),
                (.get, "?stage=best", nil, 400, "stage"), (.get, "?after=mine", nil, 400, "after"),
                (.get, "?colour=red", nil, 400, "colour"), (.get, "/1x", nil, 400, "name"),
                (.get, "/mine/0", nil, 400, "version"), (.get, "/mine/last", nil, 400, "version"),
                (.get, "/mine/2", nil, 404, "version"), (.get, "/mine/staging", nil, 404, "version"),
                (.get, "/none/newest", nil, 404, "version"),
                (.get, "/mine/1/compare/x", nil, 400, "other"),
                (.get, "/mine/1/compare/7", nil, 404, "version"),
                (.post, "/mine/1/promote", .object(["stage": .string("best")]), 400, "stage"),
                (.post, "/mine/1/promote", .object([:]), 400, "stage"),
                (.post, "/mine/1/promote", .object(["stages": .string("staging")]), 400, "stages"),
                (.post, "/mine/9/promote", .object(["stage": .string("staging")]), 404, "version"),
                (.delete, "/mine/newest", nil, 400, "version"), (.delete, "/mine/2", nil, 404, "version"),
                (.delete, "/none/1", nil, 404, "version"),
            ]
            for (method, path, body, status, field) in cases {
                let answer = try await rig.models(method, path, body)
                let error = answer.body["error"]
                #expect(answer.status == status, "\(method) \(path): \(answer.body)")
                #expect(error?["field"]?.string == field, "\(method) \(path): \(answer.body)")
                #expect(error?["message"]?.string?.isEmpty == false && error?["hint"]?.string != nil)
            }
            #expect(try await rig.models(.get, "/mine/1").body["stage"]?.string == "candidate")
        }
    }

    @Test func `a removed model is gone with its files, one in a stage in use is not, no number comes again`()
        async throws
    {
        try await Rig.with { rig in
            for id in 1...2 { try await rig.addModel("mine", id, auc: 0.5) }
            let stage: JSONValue = .object(["stage": .string("staging")])
            #expect(try await rig.models(.post, "/mine/2/promote", stage).status == 200)
            let refused = try await rig.models(.delete, "/mine/2")
            #expect(refused.status == 409 && refused.body["error"]?["code"]?.string == "conflict")
            #expect(refused.body["error"]?["message"]?.string == "Version 2 of mine is in staging")
            #expect(try rig.files("mine", 2).count == 3)

            let archived: JSONValue = .object(["stage": .string("archived")])
            #expect(try await rig.models(.post, "/mine/2/promote", archived).status == 200)
            let removed = try await rig.models(.delete, "/mine/2")
            #expect(removed.status == 200 && removed.body["removed"] == .bool(true), "\(removed.body)")
            #expect(try rig.files("mine", 2).isEmpty)
            #expect(try await rig.models(.get, "/mine/2").status == 404)
            #expect(try await rig.models(.delete, "/mine/2").status == 404)
            #expect(try rig.files("mine", 1).count == 3)
            try await rig.addModel("mine", 3, auc: 0.5)
            #expect(try await rig.models(.get, "/mine/newest").body["version"]?.integer == 3)
        }
    }

    @Test func `a removal that was broken off is finished by the next queue-manager`() async throws {
        try await Rig.with { rig in
            for id in 1...2 { try await rig.addModel("mine", id, auc: 0.5) }
            _ = try await rig.models(.get, "")
            await rig.manager.kill()
            // As a queue-manager leaves it that is killed after the mark.
            try await rig.store.execute(
                "UPDATE streamforge.models SET removed_at = now() WHERE version = 1")
            try await rig.manager.start(rig.http)
            #expect(try await rig.models(.get, "/mine/1").status == 404)
            let deadline = ContinuousClock.now + .seconds(60)
            var rows = 2
            while rows > 1, ContinuousClock.now < deadline {
                rows = try await rig.store.execute("SELECT 1 AS one FROM streamforge.models").count
                try await Task.sleep(for: .milliseconds(50))
            }
            #expect(rows == 1)
            #expect(try rig.files("mine", 1).isEmpty)
            #expect(try rig.files("mine", 2).count == 3)
        }
    }

    @Test func `the command lists, shows, promotes, compares and removes`() async throws {
        try await Rig.with { rig in
            for id in 1...2 { try await rig.addModel("mine", id, auc: 0.5 + Double(id) / 10) }
            let list = try await rig.command(["list"])
            #expect(list.code == 0 && list.text.contains("GRAPH HELPS") && list.text.contains("not_shown"))
            #expect(
                try await rig.command(["list", "mine", "--limit", "1"]).text.contains("more: --after mine@2"))
            let show = try await rig.command(["show", "mine"])
            #expect(
                show.text.contains("mine@2") && show.text.contains("0.7") && show.text.contains("files-1-abc")
            )
            #expect(
                try await rig.command(["promote", "mine", "1", "production"]).text
                    == "mine@1 is in production\n")
            #expect(
                try await rig.command(["promote", "mine", "newest", "production"]).text
                    == "mine@2 is in production, version 1 is archived\n")
            let compare = try await rig.command(["compare", "mine", "2", "1"])
            #expect(compare.text.contains("DIFFERENCE") && compare.text.contains("0.1"))
            let refused = try await rig.command(["remove", "mine", "2"])
            #expect(refused.code != 0 && refused.text.contains("Version 2 of mine is in production"))
            #expect(try await rig.command(["remove", "mine", "1"]).text == "mine@1 is removed\n")
            let missing = try await rig.command(["show", "mine", "1"])
            #expect(missing.code != 0 && missing.text.contains("There is no version 1 of a model mine"))
        }
    }
}

extension Rig {
    fileprivate func models(
        _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil
    ) async throws -> (status: Int, body: JSONValue) {
        let bytes = try body.map { try MessageCodec.encode($0) } ?? []
        let answer = try await http.execute(HTTPRequest(method, "\(api.base)/models\(path)", body: bytes))
        return (answer.status, try MessageCodec.decode(JSONValue.self, from: answer.body))
    }

    private static func id(_ number: Int) -> String { String(repeating: "0", count: 15) + String(number) }

    private func place(_ name: String, _ number: Int) throws -> String {
        "\(try #require(environment["OBJECT_STORE_DIR"]))/models/\(name)/\(Self.id(number))"
    }

    /// As a finished training leaves it: a row and published files.
    fileprivate func addModel(_ name: String, _ number: Int, auc: Double) async throws {
        let measures: JSONValue = .object(["auc": .object(["value": .number(auc)])])
        let detail: JSONValue = .object([
            "task": .string("direction"), "horizon_ms": .integer(3_600_000), "graph": .string("g"),
            "graph_version": .string("v"), "graph_helps": .string("not_shown"),
            "summary": .string("It is not shown."), "folder": .string("files-1-abc"),
            "files": .array([.string("model.json"), .string("model.safetensors")]),
            "metrics": .object(["gatv2": measures]),
        ])
        let folder = try place(name, number)
        try FileManager.default.createDirectory(
            atPath: "\(folder)/files-1-abc", withIntermediateDirectories: true)
        for file in ["files-1-abc/model.json", "files-1-abc/model.safetensors"] {
            try Data("x".utf8).write(to: URL(filePath: "\(folder)/\(file)"))
        }
        let pointer = #"{"version":1,"attempt":1,"folder":"files-1-abc","artifacts":[]}"#
        try Data(pointer.utf8).write(to: URL(filePath: "\(folder)/artifacts.json"))
        try await store.execute(
            """
            INSERT INTO streamforge.models (name, place, queue_id, step, detail)
            VALUES (\(name), \("models/\(name)/\(Self.id(number))"), 'wf-gone', 'train',
                \(try MessageCodec.encodeText(detail))::jsonb)
            """)
    }

    fileprivate func files(_ name: String, _ number: Int) throws -> [String] {
        let folder = try place(name, number)
        guard FileManager.default.fileExists(atPath: folder) else { return [] }
        return try FileManager.default.subpathsOfDirectory(atPath: folder).filter {
            var isFolder: ObjCBool = false
            return FileManager.default.fileExists(atPath: "\(folder)/\($0)", isDirectory: &isFolder)
                && !isFolder.boolValue
        }
    }

    /// `streamforge models …`: its exit status, and what it said.
    fileprivate func command(_ arguments: [String]) async throws -> (code: Int32, text: String) {
        let log = "\(folder)/command-\(UUID().uuidString).log"
        let process = try await ChildProcess.start(
            ChildProcess.Command(
                "\(programs)/streamforge", ["models"] + arguments,
                environment: ["STREAMFORGE_URL": api.base, "PATH": "/usr/bin:/bin"], logFile: log,
                diesWithParent: true))
        let exit = await process.waitForExit(timeout: .seconds(60))
        guard case .code(let code) = exit else { throw TimeLimitError(last: nil) }
        return (code, try String(contentsOfFile: log, encoding: .utf8))
    }
}
