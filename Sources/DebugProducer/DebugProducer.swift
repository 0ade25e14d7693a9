import KafkaBridge
import ServiceRuntime
import Workflow

/// Speaks to the workers of a queue by hand, past the engine: sends commands and listens for the answers.
///
/// Its commands stand outside of the queue's sequence (``ControlCommand/outOfSequence``), so the engine's own
/// are never ignored for them.
package struct DebugProducer: Sendable {
    /// Which workers are meant; nil means all.
    package struct Address: Sendable {
        package var queueID: QueueID
        package var step: StepID?
        package var instance: String?
        package var attempt: Int?
        package var target: Target?

        package init(
            queueID: QueueID, step: StepID? = nil, instance: String? = nil, attempt: Int? = nil,
            target: Target? = nil
        ) {
            self.queueID = queueID
            self.step = step
            self.instance = instance
            self.attempt = attempt
            self.target = target
        }
    }

    /// An answer to a ping.
    package struct Pong: Sendable {
        package var event: QueueEvent
        /// From sending the ping to reading the answer, by our clock alone.
        package var roundTrip: Duration
    }

    package static let settings = SettingsTable(
        program: "streamforge debug", groups: [KafkaSettings.group, TopicSettings.group])

    private let connection: KafkaConnection
    private let controlTopic: String
    private let eventsTopic: String
    private let clock: @Sendable () -> Double

    private static let requestMax = Duration.seconds(10)
    private static let closeMax = Duration.seconds(5)

    /// - Parameter clock: Unix seconds, written into commands for people.
    package init(
        _ connection: KafkaConnection, controlTopic: String, eventsTopic: String,
        clock: @escaping @Sendable () -> Double = { UTCTimestamp.now().seconds }
    ) {
        self.connection = connection
        self.controlTopic = controlTopic
        self.eventsTopic = eventsTopic
        self.clock = clock
    }

    package init(_ values: SettingValues) {
        self.init(
            KafkaConnection(values, clientID: "streamforge-debug"),
            controlTopic: values[TopicSettings.control],
            eventsTopic: values[TopicSettings.events])
    }

    /// Sends one command and returns when the broker has stored it.
    package func send(
        _ command: ControlCommand.Command, to address: Address, reason: String? = nil
    ) async throws {
        let producer = try producer()
        do {
            _ = try await send(command, to: address, reason: reason, producer)
            try await producer.close(timeout: Self.closeMax)
        } catch {
            try? await producer.close(timeout: .zero)
            throw error
        }
    }

    /// Sends pings one after the other and waits for the answers to each.
    ///
    /// - Parameters:
    ///   - timeout: for the first answer to a ping; what else came by then is told too.
    ///   - onAnswers: told for each ping its answers, none when nobody answered in time.
    package func ping(
        _ address: Address, count: Int, interval: Duration, timeout: Duration,
        onAnswers: (_ ping: Int, [Pong]) -> Void
    ) async throws {
        let admin = try KafkaAdmin(connection)
        let consumer = try KafkaConsumer(connection)
        let producer = try producer()
        do {
            // Before the first ping is sent, so that the quickest answer is not missed.
            try await listen(consumer, admin, address.queueID)
            for number in 1...max(count, 1) {
                if number > 1 { try await Task.sleep(for: interval) }
                let sent = ContinuousClock.now
                let id = try await send(.ping, to: address, reason: nil, producer)
                onAnswers(number, try await pongs(consumer, id, address, sent: sent, timeout))
            }
        } catch {
            await close(consumer, admin, producer)
            throw error
        }
        await close(consumer, admin, producer)
    }

    private func listen(_ consumer: KafkaConsumer, _ admin: KafkaAdmin, _ queue: QueueID) async throws {
        let counts = try await admin.partitionCounts(of: [eventsTopic], timeout: Self.requestMax)
        guard let count = counts[eventsTopic] else {
            throw KafkaError(
                .unknownTopic, operation: "listen for answers", detail: "there is no topic \(eventsTopic)")
        }
        let partition = TopicPartition(
            eventsTopic, KeyPartition.of(queue.rawValue, count: Int32(count)))
        try await consumer.assign([partition: .end], timeout: Self.requestMax)
    }

    private func pongs(
        _ consumer: KafkaConsumer, _ id: String, _ address: Address, sent: ContinuousClock.Instant,
        _ timeout: Duration
    ) async throws -> [Pong] {
        var pongs: [Pong] = []
        while pongs.isEmpty {
            let rest = timeout - (ContinuousClock.now - sent)
            guard rest > .zero else { break }
            for record in try await consumer.poll(timeout: min(rest, .seconds(1))) {
                let now = ContinuousClock.now
                guard let value = record.value,
                    let event = try? MessageCodec.decode(QueueEvent.self, from: value), event.event == .pong,
                    event.extra?["command_id"]?.string == id, concerns(event, address)
                else { continue }
                pongs.append(Pong(event: event, roundTrip: now - sent))
            }
        }
        return pongs
    }

    /// Workers do not look at a command's target; their `producer` names it.
    private func concerns(_ event: QueueEvent, _ address: Address) -> Bool {
        guard let target = address.target else { return true }
        return event.producer.hasPrefix("\(target.rawValue)__")
    }

    private func send(
        _ command: ControlCommand.Command, to address: Address, reason: String?, _ producer: KafkaProducer
    ) async throws -> String {
        let id = "debug-\(String(UInt64.random(in: 0 ... .max), radix: 16))"
        let message = ControlCommand(
            command: command, queueID: address.queueID, step: address.step, instance: address.instance,
            attempt: address.attempt, target: address.target, commandID: id,
            commandSeq: ControlCommand.outOfSequence, reason: reason, timestamp: clock())
        _ = try await producer.send(
            key: Array(address.queueID.rawValue.utf8), value: try MessageCodec.encode(message),
            to: controlTopic)
        return id
    }

    private func producer() throws -> KafkaProducer {
        var configuration = KafkaProducerConfiguration()
        configuration.linger = .zero
        configuration.deliveryTimeout = Self.requestMax
        return try KafkaProducer(connection, configuration)
    }

    private func close(_ consumer: KafkaConsumer, _ admin: KafkaAdmin, _ producer: KafkaProducer) async {
        await consumer.close()
        await admin.close()
        // Everything was awaited.
        try? await producer.close(timeout: .zero)
    }
}
