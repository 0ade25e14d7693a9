import HTTPBridge
import Testing
import Workflow

/// Schedules and backfills through the real programs: REST API, command line, queue-manager and workers.
@Suite(.serialized, .timeLimit(.minutes(4)))
struct PlannedWorkTests {
    private let load: JSONValue = .object([
        "symbol": .string("BTCUSDT"), "type": .string("api_candles_1h"),
    ])

    @Test func `a schedule is made, fires, and is told about in full`() async throws {
        try await Rig.with { rig in
            // The recordings end long before today, so the days are written out.
            var request = load
            request.set("time_range", .string("2024-08-01:2024-08-01"))
            let body = JSONValue.object([
                "name": .string("nightly"), "cron": .string("30 2 * * *"),
                "time_zone": .string("Europe/Berlin"), "request": request,
            ])
            let made = try await rig.api.send(.post, "/schedules", body)
            #expect(made.status == 201 && made.value["next_fire_times"]?.items.count == 5)
            #expect(try await rig.api.send(.post, "/schedules", body).status == 409)
            #expect(try await rig.api.send(.put, "/schedules/nightly", body).status == 200)
            let fired = try await rig.api.send(
                .post, "/schedules/nightly/trigger", headers: ["Idempotency-Key": "once"])
            let again = try await rig.api.send(
                .post, "/schedules/nightly/trigger", headers: ["Idempotency-Key": "once"])
            #expect(fired.status == 202 && fired.value["number"] == again.value["number"])
            let firing = try await rig.api.waitFor("/schedules/nightly") {
                $0["firings"]?.items.first?["outcome"]?.string == "ended"
            }["firings"]?.items.first
            #expect(firing?["queue_status"]?.string == "finished")
            let paused = try await rig.api.send(
                .post, "/schedules/nightly/pause", .object(["reason": .string("holiday")]))
            #expect(paused.value["pause_reason"]?.string == "holiday")
            #expect(paused.value["next_fire_times"]?.items.isEmpty == true)
            #expect(
                try await rig.api.send(.post, "/schedules/nightly/resume").value["is_paused"] == .bool(false))
            #expect(try await rig.api.send(.get, "/schedules").value["schedules"]?.items.count == 1)
            #expect(
                try await rig.api.send(.get, "/schedules/nightly/firings").value["firings"]?.items.count == 1)
            #expect(try await rig.api.send(.delete, "/schedules/nightly").status == 200)
            #expect(try await rig.api.send(.get, "/schedules/nightly").status == 404)
        }
    }

    @Test func `a wrong schedule or backfill is refused with the field, and nothing is made`() async throws {
        try await Rig.with { rig in
            var request = load
            request.set("time_range", .string("${schedule.yesterday}"))
            let schedule: [String: JSONValue] = [
                "name": .string("x"), "cron": .string("0 0 30 2 *"), "request": request,
            ]
            try await rig.expectRefusal("/schedules", schedule, field: "cron")
            let daily = schedule.merging(["cron": .string("@daily")]) { $1 }
            try await rig.expectRefusal("/schedules", daily, field: "request.time_range")
            let over = daily.merging(["until": .string("2001-01-01T00:00:00Z")]) { $1 }
            try await rig.expectRefusal("/schedules", over, field: "until")
            let unknown = daily.merging(["zone": .string("UTC")]) { $1 }
            try await rig.expectRefusal("/schedules", unknown, field: "zone")
            var wrong = load
            wrong.set("symbol", .string("NOPEUSDT"))
            let backfill: [String: JSONValue] = [
                "time_range": .string("2024-08-01:2024-08-02"), "shard_days": .integer(1), "request": wrong,
            ]
            try await rig.expectRefusal("/backfills", backfill, field: "request.symbol")
            try await rig.expectRefusal("/backfills/preview", backfill, field: "request.symbol")
            #expect(try await rig.api.send(.get, "/schedules").value["schedules"]?.items.isEmpty == true)
            #expect(try await rig.api.send(.get, "/backfills").value["backfills"]?.items.isEmpty == true)
        }
    }

    @Test func `a backfill loads its shards and finishes`() async throws {
        try await Rig.with { rig in
            let body = JSONValue.object([
                "name": .string("three-days"), "time_range": .string("2024-08-01:2024-08-03"),
                "shard_days": .integer(1), "parallelism": .integer(2), "request": load,
            ])
            let preview = try await rig.api.send(.post, "/backfills/preview", body)
            #expect(preview.status == 200 && preview.value["shard_count"] == .integer(3))
            #expect(preview.value["estimate"]?["records_max"] == .integer(72))
            let key: HTTPHeaders = ["Idempotency-Key": "k"]
            #expect(try await rig.api.send(.post, "/backfills", body, headers: key).status == 201)
            #expect(try await rig.api.send(.post, "/backfills", body, headers: key).status == 200)
            #expect(try await rig.api.send(.post, "/backfills", body).status == 409)
            let done = try await rig.api.waitFor("/backfills/three-days") {
                $0["state"]?.string == "finished"
            }
            #expect(done["progress"]?["shards"]?["finished"] == .integer(3))
            let first = try await rig.api.send(.get, "/backfills/three-days/shards?limit=2").value
            let rest = try await rig.api.send(.get, "/backfills/three-days/shards?limit=2&after=2").value
            let shards = (first["shards"]?.items ?? []) + (rest["shards"]?.items ?? [])
            let finished = shards.count { $0["state"]?.string == "finished" }
            #expect(shards.count == 3 && finished == 3)
            #expect(first["next_after"] == .integer(2) && rest["next_after"] == .null)
            #expect(try await rig.api.queueCount() == 3)
            #expect(try await rig.api.send(.post, "/backfills/three-days/retry").status == 409)
        }
    }
}

extension JSONValue {
    fileprivate mutating func set(_ name: String, _ value: JSONValue) {
        guard case .object(var fields) = self else { return }
        fields[name] = value
        self = .object(fields)
    }
}

extension Rig {
    fileprivate func expectRefusal(_ path: String, _ body: [String: JSONValue], field: String) async throws {
        let answer = try await api.send(.post, path, .object(body))
        #expect(answer.status == 400 && answer.value["error"]?["field"]?.string == field, "\(answer.value)")
    }
}

extension QueueManagerAPI {
    fileprivate func send(
        _ method: HTTPRequest.Method, _ path: String, _ body: JSONValue? = nil, headers: HTTPHeaders = [:]
    ) async throws -> (status: Int, value: JSONValue) {
        let bytes = try body.map { try MessageCodec.encode($0) }
        let request = HTTPRequest(
            method, base + path, headers: headers, body: method == .post ? bytes ?? [] : bytes)
        let answer = try await http.execute(request)
        return (answer.status, try MessageCodec.decode(JSONValue.self, from: answer.body))
    }

    fileprivate func waitFor(
        _ path: String, until condition: (JSONValue) -> Bool
    ) async throws -> JSONValue {
        let deadline = ContinuousClock.now + .seconds(90)
        var last: JSONValue?
        while ContinuousClock.now < deadline {
            let answer = try await send(.get, path).value
            if condition(answer) { return answer }
            last = answer
            try await Task.sleep(for: .milliseconds(50))
        }
        throw TimeLimitError(last: last)
    }
}
