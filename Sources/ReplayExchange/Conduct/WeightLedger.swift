/// The limits of the exchange, per client address.
package struct WeightLimits: Sendable, Equatable {
    /// Request weight a window.
    package var weightMax = 6_000
    /// Length of a weight window, whole seconds; windows begin at multiples of it since 1970.
    package var windowSeconds: Int64 = 60
    /// Requests of any weight in ``rawWindowSeconds``.
    package var rawRequestsMax = 61_000
    package var rawWindowSeconds: Int64 = 300
    /// Requests a client may send while it is limited; the next one gets it banned.
    package var violationsMax = 3
    /// The first ban; each further one of a client is twice as long, up to ``banSecondsMax``.
    package var banSeconds: Int64 = 120
    package var banSecondsMax: Int64 = 259_200

    package init() {}

    /// Number and letter of the weight window as in `X-MBX-USED-WEIGHT-1M`, and its name in exchangeInfo.
    var windowUnit: (count: Int64, letter: String, name: String) {
        Self.unit(windowSeconds)
    }

    static func unit(_ seconds: Int64) -> (count: Int64, letter: String, name: String) {
        seconds % 60 == 0 ? (seconds / 60, "M", "MINUTE") : (seconds, "S", "SECOND")
    }
}

/// Counts weight per client and decides: admit, limit (429), ban (418). Time is a parameter.
struct WeightLedger: Sendable {
    /// Clients remembered at once; a server on one machine sees a handful.
    static let clientsMax = 10_000

    enum Verdict: Sendable, Equatable {
        case admitted
        /// Too much; `retryAfterSeconds` until the window ends.
        case limited(retryAfterSeconds: Int64, byRequestCount: Bool)
        /// Went on while limited; `until` in Unix milliseconds.
        case banned(retryAfterSeconds: Int64, until: Int64)
    }

    private struct Client {
        var window: Int64 = -1
        var weight = 0
        var rawWindow: Int64 = -1
        var rawCount = 0
        var limitedUntil: Int64 = 0
        var violations = 0
        var bannedUntil: Int64 = 0
        var banCount: Int64 = 0
    }

    let limits: WeightLimits
    private var clients: [String: Client] = [:]

    init(limits: WeightLimits) {
        self.limits = limits
    }

    /// Weight used by `client` in the window that `now` lies in.
    func usedWeight(of client: String, now: Int64) -> Int {
        guard let client = clients[client], client.window == window(now) else { return 0 }
        return client.weight
    }

    /// Books one request.
    ///
    /// - Parameter now: Unix milliseconds.
    mutating func admit(_ name: String, weight: Int, now: Int64) -> Verdict {
        if clients.count >= Self.clientsMax, clients[name] == nil {
            clients = clients.filter { $0.value.bannedUntil > now || $0.value.limitedUntil > now }
        }
        var client = clients[name] ?? Client()
        defer { clients[name] = client }
        if client.bannedUntil > now { return ban(client, now: now) }
        if client.limitedUntil > now {
            client.violations += 1
            guard client.violations > limits.violationsMax else {
                return .limited(
                    retryAfterSeconds: secondsUp(client.limitedUntil - now), byRequestCount: false)
            }
            let seconds = min(limits.banSeconds << min(client.banCount, 20), limits.banSecondsMax)
            client.banCount += 1
            client.violations = 0
            client.bannedUntil = now + seconds * 1_000
            return ban(client, now: now)
        }
        client.violations = 0
        roll(&client, now: now)
        let isOverWeight = client.weight + weight > limits.weightMax
        let isOverCount = client.rawCount + 1 > limits.rawRequestsMax
        if isOverWeight || isOverCount {
            let length = isOverWeight ? limits.windowSeconds : limits.rawWindowSeconds
            client.limitedUntil = (now / (length * 1_000) + 1) * length * 1_000
            return .limited(
                retryAfterSeconds: secondsUp(client.limitedUntil - now), byRequestCount: !isOverWeight)
        }
        client.weight += weight
        client.rawCount += 1
        return .admitted
    }

    private func window(_ now: Int64) -> Int64 { now / (limits.windowSeconds * 1_000) }

    private func roll(_ client: inout Client, now: Int64) {
        if client.window != window(now) {
            client.window = window(now)
            client.weight = 0
        }
        let rawWindow = now / (limits.rawWindowSeconds * 1_000)
        if client.rawWindow != rawWindow {
            client.rawWindow = rawWindow
            client.rawCount = 0
        }
    }

    private func ban(_ client: Client, now: Int64) -> Verdict {
        .banned(retryAfterSeconds: secondsUp(client.bannedUntil - now), until: client.bannedUntil)
    }

    /// Whole seconds, rounded up: a client that waits that long is never early.
    private func secondsUp(_ milliseconds: Int64) -> Int64 { (milliseconds + 999) / 1_000 }
}
