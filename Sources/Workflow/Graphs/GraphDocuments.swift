/// Which snapshot of which version of a graph.
package struct SnapshotID: Sendable, Hashable {
    package let version: GraphVersionID
    /// When the last candle it knows was closed, Unix milliseconds.
    package let asOf: Int64

    package init(version: GraphVersionID, asOf: Int64) {
        self.version = version
        self.asOf = asOf
    }

    /// The keys of all its documents begin with it.
    package var keyPrefix: String {
        let digits = String(max(asOf, 0))
        return version.rawValue + "-" + String(repeating: "0", count: max(13 - digits.count, 0)) + digits
    }

    package func vertexKey(_ symbol: String) -> String { "\(keyPrefix)-\(symbol)" }

    package func edgeKey(_ method: String, from: String, to: String) -> String {
        "\(keyPrefix)-\(method)-\(from)-\(to)"
    }

    package var members: [DocumentMember] {
        [version.member, DocumentMember("as_of", .integer(asOf))]
    }
}

/// The version of a graph: 16 hexadecimal digits that follow from its inputs and parameters.
package struct GraphVersionID: Sendable, Hashable, CustomStringConvertible {
    package let rawValue: String

    package init?(_ rawValue: String) {
        guard rawValue.utf8.count == 16,
            rawValue.utf8.allSatisfy({
                $0.isASCIIDigit || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains($0)
            })
        else { return nil }
        self.rawValue = rawValue
    }

    package var description: String { rawValue }
    package var member: DocumentMember { DocumentMember("version", .text(rawValue)) }
}

/// A complete version of a graph, as readers find it.
package struct GraphVersion: Sendable, Hashable {
    package let id: GraphVersionID
    /// The times of its snapshots, rising.
    package let snapshots: [Int64]
    package let vertices: Int64
    package let edges: Int64
    /// Unix seconds, wall clock: for people, and to choose among versions that know equally much.
    package let completedAt: Double
    /// Everything the builder noted: inputs, ranges, counts, parameters.
    package let provenance: JSONValue

    package var newest: SnapshotID? { snapshots.last.map { SnapshotID(version: id, asOf: $0) } }
}

/// Which way from a vertex.
package enum EdgeDirection: String, Sendable, CaseIterable {
    case out, into, any
}

/// What a document among a graph's versions describes.
package enum GraphDocumentKind: String, Sendable {
    /// A whole version.
    case version
    /// One of its snapshots.
    case snapshot

    package var member: DocumentMember { DocumentMember("kind", .text(rawValue)) }
}

package enum GraphVersionState: String, Sendable {
    /// Its documents are being written and not to be read.
    case building
    case complete

    package var member: DocumentMember { DocumentMember("state", .text(rawValue)) }
}
