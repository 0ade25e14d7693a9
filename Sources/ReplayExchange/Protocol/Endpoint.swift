/// The public endpoints served, with their weights and parameters (REST reference, state of 2026).
enum Endpoint: String, Sendable, CaseIterable {
    case ping = "/api/v3/ping"
    case time = "/api/v3/time"
    case exchangeInfo = "/api/v3/exchangeInfo"
    case klines = "/api/v3/klines"
    case uiKlines = "/api/v3/uiKlines"
    case aggTrades = "/api/v3/aggTrades"
    case trades = "/api/v3/trades"
    case historicalTrades = "/api/v3/historicalTrades"

    var weight: Int {
        switch self {
        case .ping, .time: 1
        case .klines, .uiKlines: 2
        case .aggTrades: 4
        case .exchangeInfo: 20
        case .trades, .historicalTrades: 25
        }
    }

    var parameters: Set<String> {
        switch self {
        case .ping, .time: []
        case .exchangeInfo: ["symbol", "symbols", "permissions", "symbolStatus", "showPermissionSets"]
        case .klines, .uiKlines: ["symbol", "interval", "startTime", "endTime", "timeZone", "limit"]
        case .aggTrades: ["symbol", "fromId", "startTime", "endTime", "limit"]
        case .trades: ["symbol", "limit"]
        case .historicalTrades: ["symbol", "fromId", "limit"]
        }
    }
}

/// Unit of the times in an answer: header `X-MBX-TIME-UNIT`.
enum TimeUnit: String, Sendable {
    case millisecond = "MILLISECOND"
    case microsecond = "MICROSECOND"

    func fromMilliseconds(_ time: Int64) -> Int64 {
        self == .millisecond ? time : time * 1_000
    }
}
