import Workflow

/// Decides which documents of a batch go to the server: those of equal keys one at a time.
struct BatchSelection {
    /// Documents that were refused without asking the server.
    private(set) var refused: [RefusedDocument] = []
    /// Documents that were not chosen yet, in their order.
    private var waiting: [Int] = []
    /// The key of each is that of a document already chosen.
    private var shadowed: [Int] = []
    private let batch: DocumentBatch
    private let mode: WriteMode

    init(_ batch: DocumentBatch, mode: WriteMode) {
        self.batch = batch
        self.mode = mode
        waiting.reserveCapacity(batch.count)
        for index in 0..<batch.count {
            if let reason = Self.reasonToRefuse(batch, index) {
                refused.append(RefusedDocument(index: index, reason: reason))
            } else {
                waiting.append(index)
            }
        }
    }

    /// Takes the next documents to store: of equal keys the first (`insertOrIgnore`) or the last (`upsert`).
    /// Empty when all are done.
    mutating func next() -> [Int] {
        let candidates = waiting
        waiting = []
        guard !isAscending(candidates) else { return candidates }
        var chosen: [ArraySlice<UInt8>: Int] = [:]
        chosen.reserveCapacity(candidates.count)
        for index in candidates {
            let key = batch.key(index)
            guard let other = chosen[key] else {
                chosen[key] = index
                continue
            }
            if mode == .upsert { chosen[key] = index }
            shadowed.append(mode == .upsert ? other : index)
        }
        return chosen.values.sorted()
    }

    /// Takes in which of the chosen documents the server refused: those of the same key get their chance.
    ///
    /// - Returns: how many documents are settled as repeats of stored ones.
    mutating func settle(refused new: [RefusedDocument]) -> Int {
        refused += new
        let refusedKeys = Set(new.map { batch.key($0.index) })
        waiting = shadowed.filter { refusedKeys.contains(batch.key($0)) }.sorted()
        let settledCount = shadowed.count - waiting.count
        shadowed = []
        return settledCount
    }

    /// Records come in key order, so this is the usual case, and cheaper than a table of keys.
    private func isAscending(_ indices: [Int]) -> Bool {
        batch.bytes.withUnsafeBytes { bytes in
            zip(indices, indices.dropFirst()).allSatisfy { first, second in
                let (a, b) = (batch.slices[first], batch.slices[second])
                return bytes[a.keyStart..<a.jsonStart].lexicographicallyPrecedes(
                    bytes[b.keyStart..<b.jsonStart])
            }
        }
    }

    /// What every store asks of a document: a key that is legal in ArangoDB too, so that stores can be
    /// exchanged, and an object.
    private static func reasonToRefuse(_ batch: DocumentBatch, _ index: Int) -> String? {
        let slice = batch.slices[index]
        guard (1...254).contains(slice.jsonStart - slice.keyStart) else {
            return "the key has not 1 to 254 bytes"
        }
        guard batch.key(index).allSatisfy({ legalKeyBytes[Int($0)] }) else {
            return "the key has an illegal byte"
        }
        guard batch.json(index).first == UInt8(ascii: "{") else { return "the document is no JSON object" }
        return nil
    }

    /// ArangoDB's manual, "Document keys": letters, digits and `_-:.@()+,=;$!*'%`.
    private static let legalKeyBytes: [Bool] = (0...255).map { byte in
        let byte = UInt8(byte)
        return byte.isASCIILetter || byte.isASCIIDigit || "_-:.@()+,=;$!*'%".utf8.contains(byte)
    }
}
