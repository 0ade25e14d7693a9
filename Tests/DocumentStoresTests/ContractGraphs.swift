import DocumentStores
import Testing
import Workflow

extension DocumentStoreContract {
    private static func version(_ digit: Character) throws -> GraphVersionID {
        try #require(GraphVersionID(String(repeating: digit, count: 16)))
    }

    private static func snapshot(_ digit: Character = "a", asOf: Int64 = 1_722_470_400_000) throws
        -> SnapshotID
    {
        SnapshotID(version: try version(digit), asOf: asOf)
    }

    /// A vertex for each symbol and an edge from each to the next.
    private static func fill(
        _ store: any GraphStore, _ graph: GraphName, _ snapshot: SnapshotID, symbols: [String]
    ) async throws {
        let head = "\"version\":\"\(snapshot.version)\",\"as_of\":\(snapshot.asOf)"
        let vertices = symbols.map { symbol in
            let key = snapshot.vertexKey(symbol)
            return (key, "{\"_key\":\"\(key)\",\(head),\"symbol\":\"\(symbol)\"}")
        }
        let edges = zip(symbols, symbols.dropFirst()).map { from, to in
            let key = snapshot.edgeKey("pearson", from: from, to: to)
            let ends = [from, to].map { "\(graph.vertices)/\(snapshot.vertexKey($0))" }
            return (
                key,
                "{\"_key\":\"\(key)\",\"_from\":\"\(ends[0])\",\"_to\":\"\(ends[1])\",\(head),\"weight\":0.25}"
            )
        }
        try await store.write(vertices, to: graph.vertices)
        try await store.write(edges, to: graph.edges)
    }

    private static func writeVersion(
        _ store: any GraphStore, _ graph: GraphName, _ id: GraphVersionID, state: String, snapshots: [Int64]
    ) async throws {
        let document = JSONValue.object([
            "_key": .string(id.rawValue), "kind": .string("version"), "state": .string(state),
            "version": .string(id.rawValue), "snapshots": .array(snapshots.map { .integer($0) }),
            "vertices": .integer(4), "edges": .integer(3), "completed_at": .number(1_722_470_400.5),
        ])
        try await store.writeVersionDocument(document, key: id.rawValue, of: graph)
    }

    private static func keys(
        _ store: any GraphStore, _ part: GraphPart, _ graph: GraphName, _ snapshot: SnapshotID
    ) async throws -> [String] {
        var keys: [String] = []
        try await store.scan(part, of: graph, snapshot, pageDocumentsMax: 2) { page in
            #expect(page.count <= 2)
            keys += page.map(\.key)
        }
        return keys
    }

    static let graphs: [DocumentStoreContract] = [
        DocumentStoreContract(name: "creates a graph twice and by many at once") { store, names in
            let graph = try names.graph()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<4 { group.addTask { try await store.ensureGraph(graph) } }
                try await group.waitForAll()
            }
            try await store.ensureGraph(graph)
            #expect(try await store.versions(of: graph) == [])
            #expect(try await store.count(in: graph.edges, where: []) == 0)
        },
        DocumentStoreContract(name: "a version is seen as a whole when it is complete, not before") {
            store, names in
            let (graph, snapshot) = (try names.graph(), try snapshot())
            try await store.ensureGraph(graph)
            try await writeVersion(store, graph, snapshot.version, state: "building", snapshots: [])
            try await fill(store, graph, snapshot, symbols: ["A", "B", "C", "D"])
            #expect(try await store.versions(of: graph) == [])
            #expect(try await store.version(snapshot.version, of: graph) == nil)
            let early = await #expect(throws: StoreError.self) {
                try await keys(store, .vertices, graph, snapshot)
            }
            #expect(early?.code == .notFound)
            try await writeVersion(
                store, graph, snapshot.version, state: "complete", snapshots: [snapshot.asOf])
            let version = try #require(try await store.versions(of: graph).first)
            #expect(
                version.newest == snapshot && version.edges == 3 && version.completedAt == 1_722_470_400.5)
            #expect(
                try await keys(store, .vertices, graph, snapshot)
                    == ["A", "B", "C", "D"].map { snapshot.vertexKey($0) })
        },
        DocumentStoreContract(name: "edges and vertices are written once however often they are sent") {
            store, names in
            let (graph, snapshot) = (try names.graph(), try snapshot())
            try await store.ensureGraph(graph)
            for _ in 0..<2 { try await fill(store, graph, snapshot, symbols: ["A", "B", "C"]) }
            #expect(try await store.count(in: graph.vertices, where: snapshot.members) == 3)
            #expect(try await store.count(in: graph.edges, where: [snapshot.version.member]) == 2)
        },
        DocumentStoreContract(name: "snapshots and versions of one graph are kept apart") { store, names in
            let graph = try names.graph()
            try await store.ensureGraph(graph)
            let snapshots = [
                try snapshot("a"), try snapshot("a", asOf: 1_722_474_000_000), try snapshot("b"),
            ]
            for (index, snapshot) in snapshots.enumerated() {
                try await fill(
                    store, graph, snapshot, symbols: Array(["A", "B", "C", "D"].prefix(index + 2)))
            }
            for digit in ["b", "a"] as [Character] {
                let own = snapshots.filter { $0.version.rawValue.first == digit }
                try await writeVersion(
                    store, graph, try version(digit), state: "complete", snapshots: own.map(\.asOf))
            }
            for (index, snapshot) in snapshots.enumerated() {
                #expect(try await keys(store, .edges, graph, snapshot).count == index + 1)
            }
            // The one that knows the latest candles is last.
            #expect(try await store.versions(of: graph).map(\.id) == [try version("b"), try version("a")])
        },
        DocumentStoreContract(name: "finds the edges at a symbol, out, in and both") { store, names in
            let (graph, snapshot) = (try names.graph(), try snapshot())
            try await store.ensureGraph(graph)
            try await fill(store, graph, snapshot, symbols: ["A", "B", "C"])
            try await fill(store, graph, try Self.snapshot("b"), symbols: ["A", "B", "C"])
            try await writeVersion(
                store, graph, snapshot.version, state: "complete", snapshots: [snapshot.asOf])
            func edges(_ symbol: String, _ direction: EdgeDirection) async throws -> [String] {
                try await store.edges(at: symbol, in: graph, snapshot, direction: direction).map(\.key)
            }
            let (first, second) = (
                snapshot.edgeKey("pearson", from: "A", to: "B"),
                snapshot.edgeKey("pearson", from: "B", to: "C")
            )
            #expect(try await edges("B", .any) == [first, second])
            #expect(try await edges("B", .out) == [second])
            #expect(try await edges("B", .into) == [first])
            #expect(try await edges("Z", .any) == [])
            let document = try #require(
                try await store.edges(at: "A", in: graph, snapshot, direction: .out).first)
            let text = String(decoding: document.json, as: UTF8.self)
            #expect(
                try memberNames(of: text) == ["_from", "_key", "_to", "as_of", "version", "weight"])
            #expect(text.contains("0.25"))
        },
        DocumentStoreContract(name: "removes a version and leaves the others") { store, names in
            let graph = try names.graph()
            try await store.ensureGraph(graph)
            let (gone, kept) = (try snapshot("a"), try snapshot("b"))
            for snapshot in [gone, kept] {
                try await fill(store, graph, snapshot, symbols: ["A", "B", "C"])
                try await writeVersion(
                    store, graph, snapshot.version, state: "complete", snapshots: [snapshot.asOf])
            }
            try await store.removeVersion(gone.version, of: graph)
            try await store.removeVersion(gone.version, of: graph)
            #expect(try await store.versions(of: graph).map(\.id) == [kept.version])
            #expect(try await store.count(in: graph.edges, where: []) == 2)
            #expect(try await store.count(in: graph.vertices, where: [gone.version.member]) == 0)
        },
        DocumentStoreContract(name: "throws notFound for a graph that is not there") { store, names in
            let graph = try names.graph()
            let error = await #expect(throws: StoreError.self) { try await store.versions(of: graph) }
            #expect(error?.code == .notFound)
            try await store.remove(from: graph.edges, where: [try version("a").member])
        },
    ]
}
