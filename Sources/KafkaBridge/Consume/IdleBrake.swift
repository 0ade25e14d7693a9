/// Decides when a consumer that has read everything rests, on a broker that answers an empty fetch at once.
///
/// Kafka holds such an answer back for `fetch.wait.max.ms`. A small broker that does not makes librdkafka ask
/// thousands of times a second. It shows: the end is reported again long before the wait is over. Then the
/// consumer stops fetching for a moment, longer each time, until records come.
struct IdleBrake {
    /// An end told sooner than this after the last start of fetching was not held back.
    private let heldBackAtLeast: Duration
    private let restMin: Duration
    private let restMax: Duration
    /// A late end may also come from a slow connection or a caller that did not poll, so an idle consumer
    /// is tried again after this long.
    private static let probeEvery = Duration.seconds(1)

    private var assigned: Set<TopicPartition> = []
    /// Partitions whose end was not seen since fetching started.
    private var reading: Set<TopicPartition> = []
    private var fetchingSince = ContinuousClock.now
    private var nextRest: Duration
    private var nextProbe: ContinuousClock.Instant?
    /// The ends told to the caller: one end is told once.
    private(set) var ends: [TopicPartition: Int64] = [:]

    /// - Parameter restMax: the longest rest; the shortest is an eighth of it.
    init(fetchWaitMax: Duration, restMax: Duration = .milliseconds(40)) {
        heldBackAtLeast = fetchWaitMax / 2
        self.restMax = restMax
        restMin = restMax / 8
        nextRest = restMin
    }

    mutating func assignmentChanged(_ partitions: Set<TopicPartition>, at now: ContinuousClock.Instant) {
        ends = ends.filter { partitions.contains($0.key) && assigned.contains($0.key) }
        assigned = partitions
        fetchingStarted(at: now)
    }

    mutating func fetchingStarted(at now: ContinuousClock.Instant) {
        reading = assigned
        fetchingSince = now
    }

    mutating func recordsCame(from partition: TopicPartition, at now: ContinuousClock.Instant) {
        ends[partition] = nil
        reading.insert(partition)
        fetchingSince = now
        nextRest = restMin
        nextProbe = nil
    }

    /// - Returns: whether this end is new to the caller.
    mutating func endCame(_ partition: TopicPartition, offset: Int64) -> Bool {
        reading.remove(partition)
        defer { ends[partition] = offset }
        return ends[partition] != offset
    }

    /// - Returns: how long to rest now; nil to go on.
    mutating func rest(at now: ContinuousClock.Instant) -> Duration? {
        guard !assigned.isEmpty, reading.isEmpty else { return nil }
        if fetchingSince.duration(to: now) < heldBackAtLeast {
            nextProbe = nil
            defer { nextRest = min(nextRest * 2, restMax) }
            return nextRest
        }
        guard let nextProbe else {
            nextProbe = now + Self.probeEvery
            return nil
        }
        guard nextProbe <= now else { return nil }
        self.nextProbe = nil
        nextRest = restMin * 2
        return restMin
    }
}
