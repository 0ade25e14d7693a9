import KafkaBridge
import Testing

@testable import ArangoConnector

/// How far a partition's position may be committed while its streams are stored side by side.
struct StreamLedgerTests {
    private let partition = TopicPartition("market-candles", 3)

    private func key(_ name: String) -> StreamLedger.Key {
        .init(partition: partition, identity: Array(name.utf8))
    }

    @Test func `nothing is committed of what was never read`() {
        #expect(StreamLedger().committable(partition) == nil)
    }

    @Test func `what needs no storing is committed as it is read, to the partition's end`() {
        var ledger = StreamLedger()
        ledger.read(partition, upTo: 8)
        #expect(ledger.committable(partition) == 8)
        // Transaction markers lie before the end.
        ledger.read(partition, upTo: 11)
        #expect(ledger.committable(partition) == 11)
        ledger.read(partition, upTo: 9)
        #expect(ledger.committable(partition) == 11)
    }

    @Test func `the slowest stream holds the position`() {
        var ledger = StreamLedger()
        for offset in 0..<6 {
            ledger.read(partition, upTo: Int64(offset) + 1)
            ledger.gather(key(offset.isMultiple(of: 2) ? "a" : "b"), offset: Int64(offset), bytes: 10)
        }
        #expect(ledger.committable(partition) == 0 && ledger.bytes == 60)
        ledger.take(key("a"))
        ledger.settle(key("a"))
        #expect(ledger.committable(partition) == 1 && ledger.bytes == 30)
        ledger.take(key("b"))
        #expect(ledger.committable(partition) == 1)
        ledger.settle(key("b"))
        #expect(ledger.committable(partition) == 6 && ledger.bytes == 0 && !ledger.isOpen(partition))
    }

    @Test func `what came while a batch was under way stays`() {
        var ledger = StreamLedger()
        ledger.read(partition, upTo: 1)
        ledger.gather(key("a"), offset: 0, bytes: 5)
        ledger.take(key("a"))
        ledger.read(partition, upTo: 2)
        ledger.gather(key("a"), offset: 1, bytes: 7)
        #expect(ledger.committable(partition) == 0)
        ledger.settle(key("a"))
        #expect(ledger.committable(partition) == 1 && ledger.bytes == 7 && ledger.isGathered(key("a")))
    }

    @Test func `a batch may leave some of what is gathered behind`() {
        var ledger = StreamLedger()
        for offset in 0..<4 {
            ledger.read(partition, upTo: Int64(offset) + 1)
            ledger.gather(key("a"), offset: Int64(offset), bytes: 10)
        }
        ledger.take(key("a"), rest: 3, restRecords: 1, restBytes: 10)
        ledger.settle(key("a"))
        #expect(ledger.committable(partition) == 3 && ledger.bytes == 10)
    }

    @Test func `a stream that is over holds nothing back, and a partition that went is forgotten`() {
        var ledger = StreamLedger()
        ledger.read(partition, upTo: 2)
        ledger.gather(key("a"), offset: 0, bytes: 10)
        ledger.gather(key("b"), offset: 1, bytes: 10)
        ledger.drop(key("a"))
        #expect(ledger.committable(partition) == 1 && ledger.bytes == 10)
        ledger.forget(partition)
        #expect(ledger.committable(partition) == nil && ledger.bytes == 0 && ledger.openCount == 0)
        // A job that was under way ends later.
        ledger.settle(key("b"))
        #expect(ledger.bytes == 0)
    }
}
