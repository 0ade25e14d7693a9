internal import CRdkafka
import Dispatch
import Foundation
import ServiceRuntime
import Synchronization

/// One librdkafka client: creates it, routes its callbacks, and destroys it exactly once, off every caller's
/// thread.
///
/// `@unchecked Sendable`: the pointers are set in `init` and librdkafka locks inside; `isDestroyed` is
/// touched only on `queue`. The one rule left to the users: no call on `client` after they dropped their
/// ``ClientHandle``.
final class ClientCore: @unchecked Sendable {
    let client: OpaquePointer
    /// The queue that is polled: the group's for a consumer, the main one for others.
    let events: OpaquePointer
    /// Where a producer's reports are drained and where the client is destroyed.
    let queue: DispatchQueue
    /// Fired when `events` went from empty to not empty, and after a drain.
    let activity: Signal
    /// Fired when the client is gone.
    let ended: Signal
    /// Where answers to commits come; served on `queue`, so that they need no poll.
    let completions: OpaquePointer
    fileprivate let callbacks: ClientCallbacks
    private let callbackContext: UnsafeMutableRawPointer
    private let isProducer: Bool
    /// A record with its overhead may have at most so many bytes (`message.max.bytes`).
    let recordBytesMax: Int
    /// Used by the client's threads until the client is destroyed.
    private let brake: IdleBrake?
    private let topics = Mutex<[String: OpaquePointer]>([:])
    private static let topicsMax = 1_000
    private var isDestroyed = false

    init(
        _ type: rd_kafka_type_t, settings: ClientSettings, overrides: [String: String], label: String,
        brake: IdleBrake? = nil, observe: @escaping KafkaObserver
    ) throws(KafkaError) {
        let configuration = try settings.makeConfiguration(overrides: overrides)
        let callbacks = ClientCallbacks(observe: observe)
        let context = CallbackContext.retain(callbacks)
        ClientCallbacks.install(in: configuration, context: context, isProducer: type == RD_KAFKA_PRODUCER)
        brake?.install(in: configuration)
        var reason = [CChar](repeating: 0, count: 512)
        guard let client = rd_kafka_new(type, configuration, &reason, reason.count) else {
            rd_kafka_conf_destroy(configuration)
            CallbackContext.release(context, as: ClientCallbacks.self)
            throw KafkaError(
                .invalidSetting, operation: "create a \(label)", detail: String(cStringBuffer: reason))
        }
        self.client = client
        self.brake = brake
        isProducer = type == RD_KAFKA_PRODUCER
        recordBytesMax = Self.setting("message.max.bytes", of: client).flatMap { Int($0) } ?? 0
        self.callbacks = callbacks
        callbackContext = context
        queue = DispatchQueue(label: label)
        activity = Signal()
        ended = Signal()
        completions = rd_kafka_queue_new(client)
        if type == RD_KAFKA_CONSUMER {
            rd_kafka_poll_set_consumer(client)
            events = rd_kafka_queue_get_consumer(client) ?? rd_kafka_queue_get_main(client)
        } else {
            events = rd_kafka_queue_get_main(client)
        }
        callbacks.attach(self, isProducer: isProducer)
        rd_kafka_queue_cb_event_enable(
            events,
            { _, context in
                guard let context else { return }
                CallbackContext.borrow(context, as: ClientCallbacks.self).eventsArrived()
            }, context)
        rd_kafka_queue_cb_event_enable(
            completions,
            { _, context in
                guard let context else { return }
                CallbackContext.borrow(context, as: ClientCallbacks.self).completionsArrived()
            }, context)
        callbacks.eventsArrived()
    }

    private static func setting(_ name: String, of client: OpaquePointer) -> String? {
        var value = [CChar](repeating: 0, count: 64)
        var size = value.count
        guard rd_kafka_conf_get(rd_kafka_conf(client), name, &value, &size) == RD_KAFKA_CONF_OK else {
            return nil
        }
        return String(cStringBuffer: value)
    }

    var rebalances: RebalanceInbox { callbacks.rebalances }

    /// Observes on behalf of the client's owner.
    func observe(_ observation: KafkaObservation) { callbacks.observe(observation) }

    /// Serves a producer's delivery reports, on `queue` only.
    fileprivate func drain() {
        guard !isDestroyed else { return }
        // In portions, so that a sender that waits for room goes on before the last report is read.
        let recordsMax = 10_000
        while drainEvents(recordsMax: recordsMax, timeoutMilliseconds: 0) >= recordsMax { activity.fire() }
        activity.fire()
    }

    private func drainEvents(recordsMax: Int, timeoutMilliseconds: Int32) -> Int {
        crdk_drain(
            events, recordsMax, timeoutMilliseconds,
            { context, event in
                guard let context, let event else { return }
                CallbackContext.borrow(context, as: ClientCallbacks.self).take(event)
            }, callbackContext)
    }

    fileprivate func serveCompletions() {
        guard !isDestroyed else { return }
        while rd_kafka_queue_poll_callback(completions, 0) > 0 {}
    }

    /// Ends the client without waiting for anything: callers flush or leave their group first.
    fileprivate func destroy() {
        queue.async { [self] in
            guard !isDestroyed else { return }
            isDestroyed = true
            rd_kafka_queue_cb_event_enable(events, nil, nil)
            if isProducer { withdrawQueued() }
            for topic in topics.withLock({ $0.values }) { rd_kafka_topic_destroy(topic) }
            rd_kafka_queue_cb_event_enable(completions, nil, nil)
            rd_kafka_queue_destroy(completions)
            rd_kafka_queue_destroy(events)
            rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE)
            CallbackContext.release(callbackContext, as: ClientCallbacks.self)
            callbacks.detach()
            ended.fire()
        }
    }

    /// Lets the receipts of records that were never acknowledged fail. No network is involved, so it is
    /// quick.
    private func withdrawQueued() {
        guard rd_kafka_outq_len(client) > 0 else { return }
        rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT)
        let deadline = DispatchTime.now() + .seconds(2)
        while rd_kafka_outq_len(client) > 0, .now() < deadline {
            _ = drainEvents(recordsMax: .max, timeoutMilliseconds: 10)
        }
    }

    /// A topic's handle is made once: looking it up by name for every record costs a third of the speed.
    func topicHandle(_ topic: String) throws(KafkaError) -> OpaquePointer {
        let handle = topics.withLock { topics -> OpaquePointer? in
            if let known = topics[topic] { return known }
            if topics.count >= Self.topicsMax, let (name, unused) = topics.first {
                // Records under way keep the topic alive by themselves.
                rd_kafka_topic_destroy(unused)
                topics[name] = nil
            }
            let made = rd_kafka_topic_new(client, topic, nil)
            topics[topic] = made
            return made
        }
        if let handle { return handle }
        throw KafkaError(rd_kafka_last_error(), operation: "open the topic \(topic)")
    }

    /// The error with its cause: a fatal error is reported as `_FATAL`, and the records it takes along as
    /// purged.
    func error(_ raw: rd_kafka_resp_err_t, operation: String, detail: String? = nil) -> KafkaError {
        let plain = KafkaError(raw, operation: operation, detail: detail)
        guard raw == RD_KAFKA_RESP_ERR__FATAL || plain.code == .withdrawn else { return plain }
        var reason = [CChar](repeating: 0, count: 512)
        let cause = rd_kafka_fatal_error(client, &reason, reason.count)
        guard cause != RD_KAFKA_RESP_ERR_NO_ERROR else { return plain }
        var error = KafkaError(cause, operation: operation, detail: String(cStringBuffer: reason))
        error.isFatal = true
        error.isRetriable = false
        return error
    }
}

/// Keeps a client alive: held by its actor and by everything that points into librdkafka's memory, e.g.
/// consumed records. When the last holder lets go, the client is destroyed on its own queue.
final class ClientHandle: Sendable {
    let core: ClientCore

    init(_ core: ClientCore) { self.core = core }

    deinit { core.destroy() }
}

/// What librdkafka calls. Kept apart from the core, so that the core is freed when its holders are gone.
final class ClientCallbacks: Sendable {
    let observe: KafkaObserver
    let rebalances = RebalanceInbox()
    private let core = Mutex<(core: ClientCore?, isProducer: Bool)>((nil, false))

    init(observe: @escaping KafkaObserver) { self.observe = observe }

    func attach(_ core: ClientCore, isProducer: Bool) { self.core.withLock { $0 = (core, isProducer) } }

    func detach() { core.withLock { $0 = (nil, false) } }

    func eventsArrived() {
        let (core, isProducer) = self.core.withLock { $0 }
        guard let core else { return }
        if isProducer {
            core.queue.async { core.drain() }
        } else {
            core.activity.fire()
        }
    }

    func completionsArrived() {
        guard let core = attachedCore else { return }
        core.queue.async { core.serveCompletions() }
    }

    /// nil before and after the client's life.
    var attachedCore: ClientCore? { core.withLock { $0.core } }

    static func install(in configuration: OpaquePointer, context: UnsafeMutableRawPointer, isProducer: Bool) {
        rd_kafka_conf_set_opaque(configuration, context)
        if isProducer {
            rd_kafka_conf_set_events(
                configuration, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_STATS | RD_KAFKA_EVENT_ERROR)
        } else {
            installRebalance(in: configuration)
        }
        rd_kafka_conf_set_log_cb(configuration) { client, level, facility, message in
            guard let context = rd_kafka_opaque(client), let facility, let message else { return }
            CallbackContext.borrow(context, as: ClientCallbacks.self).observe(
                .log(
                    level: KafkaObservation.LogLevel(rawValue: level) ?? .debug,
                    facility: String(cString: facility), message: String(cString: message)))
        }
        rd_kafka_conf_set_stats_cb(configuration) { _, json, length, context in
            guard let context, let json else { return 0 }
            CallbackContext.borrow(context, as: ClientCallbacks.self)
                .statisticsCame(Data(bytes: json, count: length))
            return 0
        }
        rd_kafka_conf_set_error_cb(configuration) { _, code, reason, context in
            guard let context else { return }
            let callbacks = CallbackContext.borrow(context, as: ClientCallbacks.self)
            callbacks.clientFailed(rd_kafka_resp_err_t(code), reason: reason.map { String(cString: $0) })
        }
    }

    /// What a producer's queue holds beside delivery reports.
    func take(_ event: OpaquePointer) {
        switch rd_kafka_event_type(event) {
        case RD_KAFKA_EVENT_STATS:
            guard let json = rd_kafka_event_stats(event) else { return }
            statisticsCame(Data(bytes: json, count: strlen(json)))
        case RD_KAFKA_EVENT_ERROR:
            let reason = rd_kafka_event_error_string(event).map { String(cString: $0) }
            clientFailed(rd_kafka_event_error(event), reason: reason)
        default: break
        }
    }

    private func statisticsCame(_ json: Data) {
        if let statistics = KafkaStatistics(json: json) { observe(.statistics(statistics)) }
    }

    private func clientFailed(_ code: rd_kafka_resp_err_t, reason: String?) {
        let error =
            attachedCore?.error(code, operation: "talk to the broker", detail: reason)
            ?? KafkaError(code, operation: "talk to the broker", detail: reason)
        observe(.clientFailed(error))
    }
}
