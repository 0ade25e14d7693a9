import Synchronization

/// A producer that is made anew when it has failed for good.
///
/// librdkafka's idempotent producer takes nothing more after a fatal error, and a broker that has lost records of it
/// may refuse all that follow; what was on its way then fails, and whoever sent it tries again with the next one. Not for
/// transactions: a fenced producer must stay so.
package final class RenewingProducer: Sendable {
    /// For what a replaced producer still has under way.
    private static let flushMax = Duration.seconds(5)
    private let make: @Sendable () throws(KafkaError) -> KafkaProducer
    private let producer: Mutex<KafkaProducer>

    package init(_ make: @escaping @Sendable () throws(KafkaError) -> KafkaProducer) throws(KafkaError) {
        self.make = make
        producer = Mutex(try make())
    }

    /// The one to use now.
    package var current: KafkaProducer { producer.withLock { $0 } }

    /// Sends one record and waits until the broker has stored it.
    package func send(
        key: [UInt8]?, value: [UInt8]?, to topic: String
    ) async throws(KafkaError) -> BatchAcknowledgement {
        let used = current
        do throws(KafkaError) {
            return try await used.send(key: key, value: value, to: topic)
        } catch {
            await renew(used, after: error)
            throw error
        }
    }

    /// Puts a new producer in the place of `failed` where `error` leaves it useless; once, however many ask.
    package func renew(_ failed: KafkaProducer, after error: KafkaError) async {
        guard error.leavesProducerUseless, let next = try? make() else { return }
        let isReplaced = producer.withLock { producer in
            guard producer === failed else { return false }
            producer = next
            return true
        }
        guard isReplaced else {
            try? await next.close(timeout: .zero)
            return
        }
        // After a fatal error nothing is left in it that could be sent; else other partitions' records may be.
        try? await failed.close(timeout: error.isFatal ? .zero : Self.flushMax)
    }

    package func close(timeout: Duration = .seconds(10)) async throws(KafkaError) {
        try await current.close(timeout: timeout)
    }
}
