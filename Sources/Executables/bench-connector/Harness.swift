import Foundation
import KafkaBridge
import PostgresBridge
import ServiceRuntime

/// Runs the sides in turns and judges the result.
struct Harness {
    static let psqlBar = 0.8
    static let pythonBar = 2.0
    static let memoryBarMegabytes = 80.0
    /// Growth per 1,000,000 candles that still counts as flat: allocators settle by less.
    static let growthBarMegabytes = 5.0

    let plan: BenchConnector.Plan
    let servers: Servers

    /// - Returns: whether every bar is reached.
    func run() async throws -> Bool {
        let rows = "\(servers.folder)/candles.tsv"
        let bytes = try CandleRows.write(rows, count: plan.candles)
        print(
            "\(plan.candles) candles of \(bytes / plan.candles) bytes, \(plan.rounds) rounds, broker "
                + "\(servers.broker.kind.rawValue)")
        let pool = PostgresPool(url: servers.cluster.url, connectionsMax: 2)
        let psql = PsqlSide(cluster: servers.cluster, rows: rows)
        var rates: (ours: [Double], psql: [Double], python: [Double]) = ([], [], [])
        let memory = try await measureMemory(pool)
        for round in 0..<plan.rounds {
            let ours = try await connector(round, pool)
            let copied = try await measure("psql", round, pool) { try await psql.store(into: $0) }
            let python = try await peer(round, pool)
            rates.ours.append(ours)
            rates.psql.append(copied)
            rates.python.append(python)
            print(
                "  round \(round + 1): ours \(Int(ours)), psql \(Int(copied)), python \(Int(python)) rows/s")
        }
        await pool.close()
        return judge(rates.ours, rates.psql, rates.python, memory)
    }

    private func connector(_ round: Int, _ pool: PostgresPool) async throws -> Double {
        let side = try await connectorSide()
        let rate = try await measure("ours", round, pool) {
            try await storeInPortions(of: plan.portion, side, $0) {}
        }
        await side.end()
        return rate
    }

    /// A run of its own with smaller portions.
    private func measureMemory(_ pool: PostgresPool) async throws -> Memory {
        let side = try await connectorSide()
        var peaks = [try await side.peakMegabytes()]
        _ = try await measure("memory", 0, pool) { collection in
            try await storeInPortions(of: plan.memoryPortion, side, collection) {
                peaks.append(try await side.peakMegabytes())
            }
        }
        await side.end()
        print(
            "  memory at the start and of each portion, MB: \(peaks.map { String(Int($0)) }.joined(separator: " "))"
        )
        var memory = Memory()
        memory.add(peaks, portion: plan.memoryPortion)
        return memory
    }

    private func connectorSide() async throws -> ChildSide {
        let side = try ChildSide(
            CommandLine.arguments[0], ["reader", servers.broker.connection.bootstrapServers],
            environment: ["BENCH_POSTGRES_URL": servers.cluster.url.revealed])
        try await side.waitUntilReady()
        return side
    }

    private func peer(_ round: Int, _ pool: PostgresPool) async throws -> Double {
        let environment = ProcessInfo.processInfo.environment
        let side = try ChildSide(
            environment["BENCH_PYTHON"] ?? "/usr/bin/python3",
            [
                environment["BENCH_PEER"] ?? "bench/connector_peer.py",
                servers.broker.connection.bootstrapServers,
            ],
            environment: ["BENCH_POSTGRES_URL": servers.cluster.url.revealed])
        try await side.waitUntilReady()
        let rate = try await measure("python", round, pool) {
            try await storeInPortions(of: plan.portion, side, $0) {}
        }
        await side.end()
        return rate
    }

    /// - Returns: rows a second.
    private func measure(
        _ name: String, _ round: Int, _ pool: PostgresPool, _ store: (String) async throws -> Duration
    ) async throws -> Double {
        let collection = "bench_\(name)_\(round)"
        try await pool.execute("CREATE SCHEMA IF NOT EXISTS documents")
        try await pool.execute(
            """
            CREATE TABLE documents.\(identifier: collection)
                (_key text COLLATE "C" PRIMARY KEY, document jsonb NOT NULL)
            """)
        // What the side before has left to write is not this one's to pay.
        try await pool.execute("CHECKPOINT")
        let took = try await store(collection)
        let rows = try await pool.execute("SELECT count(*) FROM documents.\(identifier: collection)")
        guard try rows[0][0, as: Int.self] == plan.candles else { throw BenchError("\(name) lost rows") }
        try await pool.execute("DROP TABLE documents.\(identifier: collection)")
        return Double(plan.candles) / (took / .seconds(1))
    }

    /// Fills a topic just ahead of the reader, lets it be stored, deletes it: a small broker stays small.
    private func storeInPortions(
        of portion: Int, _ side: ChildSide, _ collection: String, _ afterPortion: () async throws -> Void
    ) async throws -> Duration {
        let admin = try KafkaAdmin(servers.broker.connection)
        let producer = try KafkaProducer(
            servers.broker.connection, .init(transactionalID: "bench-\(collection)"))
        try await producer.initTransactions()
        var took = Duration.zero
        for start in stride(from: 0, to: plan.candles, by: portion) {
            let numbers = start..<min(start + portion, plan.candles)
            let topic = "wf-\(collection)-\(start)"
            try await admin.createTopics([TopicSpecification(topic, partitions: 1)])
            try await CandleRows.fill(topic, numbers, producer)
            took += try await side.store(topic: topic, collection: collection, count: numbers.count)
            try await afterPortion()
            try await admin.deleteTopics([topic])
        }
        try await producer.close()
        await admin.close()
        return took
    }

    private func judge(_ ours: [Double], _ psql: [Double], _ python: [Double], _ memory: Memory) -> Bool {
        // Both sides of a round ran side by side: a machine that gets slower or quicker later does not matter.
        let rows = [
            ("connector / psql \\copy", psql, Self.psqlBar), ("connector / Python", python, Self.pythonBar),
        ]
        print("name                      ours (rows/s)             peer (rows/s)             ratio   bar")
        var holds = true
        for (name, peer, bar) in rows {
            let ratio = Spread(zip(ours, peer).map { $0 / $1 }).median
            holds = holds && ratio >= bar
            print(
                columns([(name, 26), ("\(Spread(ours))", 26), ("\(Spread(peer))", 26), (short(ratio), 8)]),
                bar)
        }
        let limits = [
            ("peak memory, MB", memory.max, Self.memoryBarMegabytes),
            ("growth, MB a million", memory.growth, Self.growthBarMegabytes),
        ]
        for (name, value, bar) in limits {
            holds = holds && value < bar
            print(columns([(name, 26), (short(value), 60)]), "< \(bar)")
        }
        return holds
    }

    private func short(_ value: Double) -> String { String(format: "%.2f", value) }

    private func columns(_ cells: [(text: String, width: Int)]) -> String {
        cells.map { $0.text.padding(toLength: $0.width, withPad: " ", startingAt: 0) }.joined()
    }
}
