import Foundation
import HTTPBridge

/// What to do about one answer or failure: pure, so that every case has a test.
enum AnswerVerdict: Sendable, Equatable {
    /// A body to scan.
    case data
    /// 429, 418 or a firewall's 403: stay away so long.
    case wait(Duration, ExchangeRefusal?)
    /// Worth another try after a back-off.
    case retry(String, ExchangeRefusal?)
    /// -1127: ask for a shorter range.
    case split(ExchangeRefusal)
    /// No try will help.
    case refused(String, ExchangeRefusal?)

    /// When the exchange gives no Retry-After: a weight window, and the shortest ban.
    static let limitedWaitDefault = Duration.seconds(60)
    static let bannedWaitDefault = Duration.seconds(120)
    /// Codes that say nothing about the request: unknown, disconnected, unexpected, time-out, busy,
    /// shutting down (errors.md).
    static let transientCodes: Set<Int> = [-1000, -1001, -1006, -1007, -1008, -1016]
    static let tooManyRequestsCode = -1003
    static let lookupTooLongCode = -1127
    /// A body with no error object in it is a page of a proxy: so much of its status is enough.
    private static let bodyBytesMax = 4_096

    init(_ response: HTTPResponse, head: AnswerHead) {
        if response.status == 200 {
            self = .data
            return
        }
        let refusal = Self.refusal(response.body)
        switch response.status {
        case 418:
            self = .wait(head.retryAfter ?? Self.bannedWaitDefault, refusal)
        case 429, 403:
            self = .wait(head.retryAfter ?? Self.limitedWaitDefault, refusal)
        case _ where refusal?.code == Self.tooManyRequestsCode:
            self = .wait(head.retryAfter ?? Self.limitedWaitDefault, refusal)
        case 500...599:
            self = .retry("status \(response.status)", refusal)
        case _ where refusal.map({ Self.transientCodes.contains($0.code) }) ?? false:
            self = .retry("status \(response.status)", refusal)
        case _ where refusal?.code == Self.lookupTooLongCode:
            self = refusal.map { .split($0) } ?? .refused("status \(response.status)", nil)
        default:
            self = .refused("status \(response.status)", refusal)
        }
    }

    init(_ error: HTTPError) {
        self = error.isRetriable ? .retry(error.description, nil) : .refused(error.description, nil)
    }

    private static func refusal(_ body: [UInt8]) -> ExchangeRefusal? {
        guard body.count <= bodyBytesMax else { return nil }
        return try? JSONDecoder().decode(ExchangeRefusal.self, from: Data(body))
    }
}
