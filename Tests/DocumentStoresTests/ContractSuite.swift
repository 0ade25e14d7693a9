import DocumentStores
import MarketData
import Testing
import Workflow

/// What every document store must do. Each check uses collections and streams of its own, so they run side by
/// side and against a store that is not empty.
struct DocumentStoreContract: Sendable, CustomTestStringConvertible {
    let name: String
    let check: @Sendable (any GraphStore, ContractNames) async throws -> Void

    var testDescription: String { name }

    static let all: [DocumentStoreContract] = collections + writes + progress + ranges + graphs
}

/// Names no other check and no earlier run has used.
struct ContractNames: Sendable {
    private let suffix = String(UInt64.random(in: 0...UInt64.max), radix: 36)

    func collection(_ prefix: String = "contract") throws -> CollectionName {
        try #require(CollectionName("\(prefix)_\(suffix)"))
    }

    func graph(_ prefix: String = "graph") throws -> GraphName {
        try #require(GraphName("\(prefix)_\(suffix)"))
    }

    func stream(_ partition: Int32 = 0) -> StreamName {
        StreamName(topic: "wf-contract-\(suffix)-data", partition: partition)
    }
}

/// Collects what a store hands over as refused.
actor RefusedRecorder {
    private(set) var all: [RefusedDocument] = []

    func add(_ documents: [RefusedDocument]) { all += documents }
}

func makeBatch(_ documents: [(key: String, json: String)]) -> DocumentBatch {
    var batch = DocumentBatch()
    for document in documents { batch.append(key: document.key.utf8, json: document.json.utf8) }
    return batch
}

/// A candle as the wire form writes it, `index` intervals after 2024-08-01.
func makeCandle(_ symbol: String, _ interval: String, _ index: Int, close: String = "1.50") -> (
    key: String, json: String
) {
    let time = 1_722_470_400_000 + index * 300_000
    let key = "\(symbol)-\(interval)-\(time)"
    let json = """
        {"_key":"\(key)","symbol":"\(symbol)","interval":"\(interval)","open_time":\(time),\
        "open":"1.00","high":"2.00","low":"0.50","close":"\(close)","volume":"10.000",\
        "close_time":\(time + 299_999),"quote_volume":"15.0","trades":7,"taker_buy_base":"5","taker_buy_quote":"7.50"}
        """
    return (key, json)
}

func makeRange(_ symbol: String, _ interval: String, _ indexes: ClosedRange<Int>) -> KeyRange {
    KeyRange(
        first: makeCandle(symbol, interval, indexes.lowerBound).key,
        last: makeCandle(symbol, interval, indexes.upperBound).key, symbol: symbol, interval: interval)
}

let candleIndex = DocumentIndex(fields: ["symbol", "interval", "open_time"])

extension DocumentStore {
    /// Writes without a stream; nothing may be refused.
    @discardableResult
    func write(
        _ documents: [(key: String, json: String)], to collection: CollectionName,
        mode: WriteMode = .insertOrIgnore, advance: StreamAdvance? = nil
    ) async throws -> WriteOutcome {
        try await write(makeBatch(documents), to: collection, mode: mode, advance: advance) { refused in
            Issue.record("refused \(refused)")
        }
    }

    func documents(in collection: CollectionName, _ range: KeyRange, page: Int = 100) async throws -> [String]
    {
        var documents: [String] = []
        try await scan(collection, range: range, pageDocumentsMax: page) { page in
            documents += page.map { String(decoding: $0, as: UTF8.self) }
        }
        return documents
    }
}
