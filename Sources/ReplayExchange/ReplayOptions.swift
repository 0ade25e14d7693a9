import MarketData

/// How a replay exchange runs. Every field has a flag of `streamforge exchange`.
package struct ReplayOptions: Sendable {
    /// Address to listen on. The control paths answer loopback clients only, whatever is set here.
    package var host = "127.0.0.1"
    /// 0 takes a free port.
    package var port = 0
    /// Folder of recordings (`--data`, `EXCHANGE_DATA_DIR`); nil is the sample that ships with the project.
    package var dataDirectory: String?
    /// Only these symbols; nil for all in the folder.
    package var symbols: Set<Symbol>?
    /// Made-up series (`--synthetic SYMBOL:INTERVAL:COUNT`).
    package var synthetic: [SyntheticSpecification] = []
    /// The exchange's present, Unix milliseconds (`--now`); nil is the end of the last recorded candle.
    package var now: Int64?
    /// Whether the present moves on with real time.
    package var isClockMoving = false
    /// nil serves without limits and without weight headers (`--no-limits`).
    package var limits: WeightLimits? = WeightLimits()
    /// Ranges longer than this are refused with -1127; nil is the exchange's present behaviour: any range.
    package var rangeHoursMax: Int64?
    package var faults = FaultSettings()
    /// Seed of faults and synthetic series; printed at start and on page `/`.
    package var seed: UInt64 = 1

    package init() {}

    /// - Throws: ``ReplayError`` `invalidSetting` naming the setting.
    func validate() throws(ReplayError) {
        guard (0...65_535).contains(port) else {
            throw ReplayError(.invalidSetting, "read port", "must be 0 to 65535, not \(port)")
        }
        if let now, !(0...9_999_999_999_999).contains(now) {
            throw ReplayError(.invalidSetting, "read now", "must be Unix milliseconds, e.g. 1725148800000")
        }
        if let rangeHoursMax, rangeHoursMax < 1 {
            throw ReplayError(.invalidSetting, "read range-hours-max", "must be 1 or more")
        }
        if let limits {
            let values: [Int64] = [
                Int64(limits.weightMax), limits.windowSeconds, Int64(limits.rawRequestsMax),
                limits.rawWindowSeconds, limits.banSeconds, limits.banSecondsMax,
            ]
            guard values.allSatisfy({ (1...1_000_000_000).contains($0) }), limits.violationsMax >= 0 else {
                throw ReplayError(.invalidSetting, "read limits", "must be 1 to 1000000000")
            }
        }
        if let problem = faults.problem { throw ReplayError(.invalidSetting, "read faults", problem) }
    }
}
