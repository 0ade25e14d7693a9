import GraphModel
import Testing

/// Holds every number of a graph to numpy, scipy and pandas on the same candles.
@Suite(.timeLimit(.minutes(10)))
struct ReferenceTests {
    @Test(.enabled(if: Reference.isWanted, "STREAMFORGE_TEST_PYTHON is not set; scripts/test sets it"))
    func `snapshots equal those of numpy, scipy and pandas`() async throws {
        let reference = try await Reference.make()
        #expect(reference.cases.count == 6)
        for example in reference.cases {
            let builder = SnapshotBuilder(try example.frame(), try GraphParameters(example.parameters))
            #expect(builder.ends == example.snapshots.map(\.end), "\(example.name)")
            for expected in example.snapshots {
                let snapshot = builder.snapshot(end: expected.end)
                let place = "\(example.name), end \(expected.end)"
                #expect(snapshot.nodes.map(\.symbol) == expected.nodes, "\(place)")
                #expect(snapshot.report.alignment.commonReturns == expected.common, "\(place)")
                #expect(snapshot.report.methods.compactMap(\.problem) == [], "\(place)")
                compareFeatures(snapshot, expected, place)
                for (name, method) in expected.methods { compareEdges(snapshot, name, method, place) }
            }
        }
    }

    private func compareFeatures(_ snapshot: GraphSnapshot, _ expected: Reference.Snapshot, _ place: String) {
        let present = expected.features.filter { $0.value.contains { $0 != nil } }
        #expect(Set(snapshot.report.features) == Set(present.keys), "\(place)")
        #expect(
            Set(snapshot.report.featuresLeftOut.keys) == Set(expected.features.keys).subtracting(present.keys)
        )
        for (index, name) in snapshot.report.features.enumerated() {
            let actual = snapshot.nodes.map { $0.features[index] }
            #expect(areEqual(actual, present[name] ?? []), "\(place): \(name)")
            let missing = actual.count { $0 == nil }
            #expect(snapshot.report.featuresMissing[name] ?? 0 == missing, "\(place): \(name)")
        }
    }

    private func compareEdges(
        _ snapshot: GraphSnapshot, _ name: String, _ expected: Reference.Method, _ place: String
    ) {
        let edges = snapshot.edges.filter { $0.method.rawValue == name }
        let report = snapshot.report.methods.first { $0.method.rawValue == name }
        #expect(report?.pairs == expected.pairs, "\(place): \(name)")
        #expect(report?.edges == expected.edges.count, "\(place): \(name)")
        #expect(areEqual([report?.shrinkage], [expected.shrinkage]), "\(place): \(name)")
        let actual = edges.map { [Double($0.from), Double($0.to), $0.weight, Double($0.lag), $0.pValue] }
        #expect(actual.count == expected.edges.count, "\(place): \(name)")
        for (own, other) in zip(actual, expected.edges) {
            #expect(areEqual(own, other), "\(place): \(name): \(own) is not \(other)")
        }
    }

    private func areEqual(_ left: [Double?], _ right: [Double?]) -> Bool {
        left.count == right.count
            && zip(left, right).allSatisfy { left, right in
                guard let left, let right else { return left == nil && right == nil }
                return abs(left - right) <= 1e-9 * max(abs(right), 1e-3)
            }
    }
}
