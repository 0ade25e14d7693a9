import Workflow

/// The bounds that a connector of shared topics keeps to.
struct SharedLimits: Sendable {
    var stream = ConnectorLimits()
    /// Records that were read and are not stored, in bytes; what one poll gives may go beyond it.
    var bufferedBytesMax = 64 << 20
    /// Batches that are stored at the same time.
    var writesMax = 4
    /// Streams of which something is known; idle ones are forgotten first, and looked up again when they go on.
    var streamsMax = 10_000
    var idleMax = Duration.seconds(60)
    /// Streams that are known to be over.
    var closedMax = 50_000
    /// Progress of a stream is reported at most this often.
    var reportInterval = Duration.seconds(1)
    var commitInterval = Duration.milliseconds(500)
    /// To store what is in hand when partitions go to others, and at the end.
    var drainMax = Duration.seconds(10)
    /// To learn which attempts were stopped, before reading begins.
    var controlMax = Duration.seconds(30)

    /// A member with a name that is given nothing for so long joins anew; nil: it waits.
    var joinMax: Duration?

    /// What a record takes beside its value, roughly.
    static let recordOverheadBytes = 512
    /// A store that is away is waited for: others could do no better.
    static let endless = Duration.seconds(366 * 86_400)

    init() {
        stream.storeRetry = Self.endless
        // Who is asked to leave waits no longer than this for a call that is being repeated.
        stream.storeBackoffMax = .seconds(2)
    }
}
