/// What a loader's records are called in events and metrics.
package enum RecordNoun: String, Sendable, CustomStringConvertible {
    case candles, trades

    package var description: String { rawValue }
}
