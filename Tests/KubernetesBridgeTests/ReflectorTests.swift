import KubernetesBridge
import Testing

/// The reflector over servers that misbehave in known ways.
@Suite(.timeLimit(.minutes(1)))
struct ReflectorTests {
    private static func list(_ names: [String], version: String) -> String {
        let items = names.map { #"{"metadata":{"name":"\#($0)","uid":"\#($0)"}}"# }.joined(separator: ",")
        return #"{"metadata":{"resourceVersion":"\#(version)"},"items":[\#(items)]}"#
    }

    private static func added(_ name: String, version: String) -> String {
        #"{"type":"ADDED","object":{"metadata":{"name":"\#(name)","uid":"\#(name)","resourceVersion":"\#(version)"}}}"#
            + "\n"
    }

    /// Runs a reflector until `count` news came.
    private func news(
        _ count: Int, _ scripts: [PlayedServer.Script], silenceMax: Duration = .seconds(60)
    ) async throws -> (told: [String], requests: [String]) {
        let server = PlayedServer(scripts)
        let client = KubernetesClient(
            KubernetesConfiguration(
                server: server.url, certificateAuthorities: nil, credential: .none, namespace: "stf"))
        let (stream, continuation) = AsyncStream<String>.makeStream()
        var timing = Reflector<JobObject>.Timing()
        timing.silenceMax = silenceMax
        timing.backoff = Backoff(first: .milliseconds(10), longest: .milliseconds(50))
        let reflector = Reflector(client, .jobs, LabelSelector(["app": "x"]), timing: timing) { news in
            switch news {
            case .replaced(let jobs): continuation.yield("all \(jobs.map(\.metadata.name))")
            case .set(let job): continuation.yield("set \(job.metadata.name)")
            case .removed(let job): continuation.yield("removed \(job.metadata.name)")
            case .connected: break
            case .failed(let error): continuation.yield("failed \(error.code)")
            }
        }
        let told = await withTaskGroup(of: Void.self) { group in
            group.addTask { await reflector.run() }
            var told: [String] = []
            for await line in stream {
                told.append(line)
                if told.count == count { break }
            }
            group.cancelAll()
            return told
        }
        await client.close()
        server.stop()
        return (told, server.requests)
    }

    @Test func `a watch that is cut goes on from the last version it saw`() async throws {
        let (told, requests) = try await news(
            4,
            [
                { $0.answer(200, Self.list(["a"], version: "5")) },
                {
                    $0.beginStream()
                    $0.write(Self.added("b", version: "6"))
                    $0.write(#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"8"}}}"# + "\n")
                    $0.write(#"{"type":"ADD"#)
                },
                {
                    $0.beginStream()
                    $0.write(Self.added("c", version: "9"))
                    $0.awaitClose()
                },
            ])
        #expect(told.filter { !$0.hasPrefix("failed") }.prefix(3) == [#"all ["a"]"#, "set b", "set c"])
        #expect(requests[1].contains("resourceVersion=5&"))
        #expect(requests[2].contains("resourceVersion=8&"))
        #expect(requests[2].contains("allowWatchBookmarks=true"))
    }

    @Test func `410 Gone in the stream brings a new list`() async throws {
        let (told, _) = try await news(
            3,
            [
                { $0.answer(200, Self.list(["a"], version: "5")) },
                {
                    $0.beginStream()
                    $0.write(
                        #"{"type":"ERROR","object":{"kind":"Status","reason":"Expired","code":410}}"# + "\n")
                },
                { $0.answer(200, Self.list(["b"], version: "50")) },
                { $0.awaitClose() },
            ])
        #expect(told == [#"all ["a"]"#, "failed expired", #"all ["b"]"#])
    }

    @Test func `410 Gone on opening brings a new list`() async throws {
        let (told, _) = try await news(
            3,
            [
                { $0.answer(200, Self.list(["a"], version: "5")) },
                { $0.answer(410, #"{"kind":"Status","reason":"Gone","code":410}"#) },
                { $0.answer(200, Self.list([], version: "50")) },
                { $0.awaitClose() },
            ])
        #expect(told == [#"all ["a"]"#, "failed expired", "all []"])
    }

    @Test func `a watch that fell silent is begun anew`() async throws {
        let (told, _) = try await news(
            3,
            [
                { $0.answer(200, Self.list(["a"], version: "5")) },
                {
                    $0.beginStream()
                    $0.awaitClose()
                },
                {
                    $0.beginStream()
                    $0.write(Self.added("b", version: "6"))
                    $0.awaitClose()
                },
            ], silenceMax: .seconds(1))
        #expect(told == [#"all ["a"]"#, "failed timeout", "set b"])
    }

    @Test func `rubbish in the stream ends the watch, not the reflector`() async throws {
        let (told, requests) = try await news(
            3,
            [
                { $0.answer(200, Self.list(["a"], version: "5")) },
                {
                    $0.beginStream()
                    $0.write("no event at all\n")
                },
                {
                    $0.beginStream()
                    $0.write(Self.added("b", version: "6"))
                    $0.awaitClose()
                },
            ])
        #expect(told == [#"all ["a"]"#, "failed malformed", "set b"])
        #expect(requests[2].contains("resourceVersion=5&"))
    }
}
