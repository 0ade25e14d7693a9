internal import CRdkafka

/// Lets a consumer rest between fetches that the broker answers at once with nothing.
///
/// Kafka holds such an answer back for `fetch.wait.max.ms`; a small broker that does not makes librdkafka ask
/// thousands of times a second. The resting is done in C, on the thread that fetches; see `crdk_brake`.
///
/// `@unchecked Sendable`: the pointer is set in `init`, and what lies behind it is atomic.
final class IdleBrake: @unchecked Sendable {
    private let brake: OpaquePointer

    /// - Parameters:
    ///   - fetchWaitMax: what the broker is asked to hold back; an answer after half of it was held back.
    ///   - restMax: the longest rest: a record that comes meanwhile is late by so much. The first is a sixteenth.
    init(fetchWaitMax: Duration, restMax: Duration) {
        guard let made = crdk_brake_new((fetchWaitMax / 2).microseconds, restMax.microseconds) else {
            preconditionFailure("out of memory")
        }
        brake = made
    }

    deinit { crdk_brake_free(brake) }

    /// Adds the brake to a configuration. It must be kept until the client made from it is destroyed.
    func install(in configuration: OpaquePointer) {
        let result = crdk_brake_install(brake, configuration)
        precondition(result == RD_KAFKA_RESP_ERR_NO_ERROR, "a configuration has one brake")
    }

    /// What follows an answer of so many bytes to a fetch: how many microseconds to rest.
    func answered(broker: Int32, length: Int, took: Duration) -> Int64 {
        crdk_brake_answered(brake, broker, length, took.microseconds)
    }

    /// How often fetching rested so far.
    var rests: UInt64 { crdk_brake_rests(brake) }
}

extension Duration {
    fileprivate var microseconds: Int64 {
        components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    }
}
