import KafkaBridge
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct RenewingProducerTests {
    @Test(arguments: ["OUT_OF_ORDER_SEQUENCE_NUMBER", "UNKNOWN_PRODUCER_ID", "_FATAL"])
    func `one that failed for good is replaced once, however many tell`(name: String) async throws {
        let made = Mutex(0)
        let producer = try RenewingProducer { () throws(KafkaError) in
            made.withLock { $0 += 1 }
            return try KafkaProducer(KafkaConnection("127.0.0.1:1"))
        }
        let first = producer.current
        var error = KafkaError(.other, operation: "send", detail: "out of order")
        await producer.renew(first, after: error)
        #expect(producer.current === first)
        error.name = name
        error.isFatal = name == "_FATAL"
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 { group.addTask { [error] in await producer.renew(first, after: error) } }
        }
        #expect(producer.current !== first)
        let second = producer.current
        await producer.renew(first, after: error)
        #expect(producer.current === second)
        await #expect(throws: KafkaError.self) { try await first.send(key: nil, value: [1], to: "t") }
        try? await producer.close(timeout: .zero)
    }
}
