import KafkaBridge
import Workflow

/// Where a load stands, as its own partition tells it.
enum LoadPosition: Sendable, Equatable {
    case empty
    /// The last committed record, and the first one's key.
    case record(StoredRecord, seq: Int64, firstKey: String)
    /// All is done.
    case ended(EndMarker)
}

/// Finds the last committed record of a partition that nobody else writes to any more.
///
/// The partition's end may hold transaction markers and aborted records, which take offsets but are never
/// given to a reader; how many is not known. So it is read from 1, 4, 16 … before the end until there is one.
struct PartitionTail: Sendable {
    let kafka: KafkaConnection
    let observe: KafkaObserver
    let partition: TopicPartition
    /// As ``RecordSource/misfit(_:)``.
    let misfit: @Sendable (StoredRecord) -> String?
    let waitMax: Duration

    /// Growth of the steps backwards: the reading costs at most this many times what one that knew would.
    private static let stepFactor: Int64 = 4

    /// - Throws: ``LoadError``; `CancellationError`.
    func read() async throws -> LoadPosition {
        do {
            let ends = try await watermarks()
            guard ends.low < ends.high else { return .empty }
            let reader = try PartitionReader(kafka, partition, waitMax: waitMax, observe: observe)
            do {
                let position = try await position(reader, ends)
                await reader.close()
                return position
            } catch {
                await reader.close()
                throw error
            }
        } catch let error as KafkaError {
            if error.code == .cancelled || Task.isCancelled { throw CancellationError() }
            throw LoadError(error)
        }
    }

    private func watermarks() async throws -> Watermarks {
        let admin = try KafkaAdmin(kafka, observe: observe)
        do {
            let ends = try await admin.watermarks(
                of: partition, isolation: .readCommitted, isMade: true, timeout: waitMax)
            await admin.close()
            return ends
        } catch {
            await admin.close()
            throw error
        }
    }

    private func position(_ reader: PartitionReader, _ ends: Watermarks) async throws -> LoadPosition {
        var step: Int64 = 1
        var last: TailRecord?
        repeat {
            last = try await reader.lastRecord(from: max(ends.low, ends.high - step), to: ends.high)
            if last == nil, ends.high - step <= ends.low { return .empty }
            step *= Self.stepFactor
        } while last == nil
        guard let last else { return .empty }
        if last.isEnd {
            do {
                return .ended(try MessageCodec.decode(EndMarker.self, from: last.value))
            } catch {
                throw foreign(last, "its end marker cannot be read: \(error)")
            }
        }
        let (key, seq) = try identity(last)
        guard let first = try await reader.firstRecord(from: ends.low, to: ends.high) else {
            throw foreign(last, "it is the last record, but there is no first")
        }
        let (firstKey, firstSeq) = try identity(first)
        guard firstSeq == 1 else { throw foreign(first, "the records before it are gone") }
        return .record(StoredRecord(key: key, value: last.value), seq: seq, firstKey: firstKey)
    }

    /// What a record says about itself, checked against what is loaded.
    private func identity(_ record: TailRecord) throws -> (key: String, seq: Int64) {
        guard let seq = record.seq, seq > 0 else { throw foreign(record, "it has no number") }
        let document = try? MessageCodec.decode(KeyedDocument.self, from: record.value)
        guard let key = document?.key else { throw foreign(record, "it has no key") }
        if let misfit = misfit(StoredRecord(key: key, value: record.value)) {
            throw foreign(record, "\(key.prefix(80)) \(misfit)")
        }
        return (key, seq)
    }

    private func foreign(_ record: TailRecord, _ reason: String) -> LoadError {
        let detail = "Record \(record.offset) of \(partition) is not this load's: \(reason)"
        return LoadError(.foreignRecords, detail, isRetriable: false)
    }

    private struct KeyedDocument: Decodable {
        var key: String

        enum CodingKeys: String, CodingKey { case key = "_key" }
    }
}

/// A copy of what matters of one record.
struct TailRecord: Sendable, Equatable {
    var offset: Int64
    var seq: Int64?
    var isEnd: Bool
    var value: [UInt8]

    init(_ record: ConsumedRecord) {
        offset = record.offset
        seq = record.integerHeader(RecordHeader.sequence)
        isEnd = record.header(RecordHeader.end) != nil
        value = record.value ?? []
    }
}
