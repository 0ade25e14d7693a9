internal import CRdkafka
import Dispatch
import ServiceRuntime

/// Creates, deletes and describes topics, and reads positions. One request at a time, each within its time
/// limit.
package actor KafkaAdmin {
    private let executor: QueueExecutor
    package nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    private let connection: KafkaConnection
    private let observe: KafkaObserver
    private var handle: ClientHandle?
    /// The isolation of a client is fixed, and what the end of a partition is depends on it.
    private var committedHandle: ClientHandle?
    private var isClosed = false

    package init(
        _ connection: KafkaConnection, observe: @escaping KafkaObserver = { _ in }
    ) throws(KafkaError) {
        executor = QueueExecutor(label: "kafka-admin")
        self.connection = connection
        self.observe = observe
        handle = ClientHandle(try Self.makeCore(connection, .readUncommitted, observe))
    }

    /// Ends the client; closing twice is allowed.
    package func close() async {
        isClosed = true
        let cores = [handle?.core, committedHandle?.core].compactMap { $0 }
        handle = nil
        committedHandle = nil
        for core in cores { await core.ended.wait(until: .now() + .seconds(10)) }
    }

    func core(
        for operation: String, isolation: KafkaIsolation = .readUncommitted
    ) throws(KafkaError) -> ClientCore {
        guard !isClosed, let handle else {
            throw KafkaError(.closed, operation: operation, detail: "the admin client was closed")
        }
        guard isolation == .readCommitted else { return handle.core }
        if let committedHandle { return committedHandle.core }
        let made = ClientHandle(try Self.makeCore(connection, .readCommitted, observe))
        committedHandle = made
        return made.core
    }

    private static func makeCore(
        _ connection: KafkaConnection, _ isolation: KafkaIsolation, _ observe: @escaping KafkaObserver
    ) throws(KafkaError) -> ClientCore {
        var settings = ClientSettings(connection)
        settings.set("isolation.level", isolation.rawValue)
        settings.set("receive.message.max.bytes", "1000000000")
        // It reads no partition, so nothing else tells it that the leader it asks is gone.
        settings.set("metadata.max.age.ms", "5000")
        return try ClientCore(
            RD_KAFKA_CONSUMER, settings: settings, overrides: connection.overrides, label: "kafka-admin-end",
            observe: observe)
    }
}
