/// Why the exchange gave no records.
package struct FeedError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable, CaseIterable {
        /// The exchange said no, in its own words: wrong symbol, interval or parameter, or wrong address.
        case refused
        /// The exchange asks for a longer wait than allowed, or asked too often.
        case rateLimited
        /// No whole answer after all attempts: broken connections, time-outs, 5xx.
        case unavailable
        /// An answer that is not what was asked for: other JSON, rows out of order or out of range.
        case corrupt
    }

    package var code: Code
    /// What was being read, e.g. `klines BTCUSDT 5m from 1722470400000`.
    package var operation: String
    package var detail: String
    /// The exchange's error code, e.g. -1121, and its words.
    package var exchangeCode: Int?
    package var exchangeMessage: String?
    /// How long the exchange asked to stay away.
    package var retryAfter: Duration?

    package init(
        _ code: Code, operation: String, detail: String, exchange: ExchangeRefusal? = nil,
        retryAfter: Duration? = nil
    ) {
        self.code = code
        self.operation = operation
        self.detail = detail
        exchangeCode = exchange?.code
        exchangeMessage = exchange?.message
        self.retryAfter = retryAfter
    }

    /// Whether the same request may succeed later, in another attempt of the step.
    package var isRetriable: Bool { code == .rateLimited || code == .unavailable }

    package var description: String {
        let words = exchangeMessage.map { " (\(exchangeCode ?? 0): \($0))" } ?? ""
        return "\(operation): \(code.rawValue): \(detail)\(words)"
    }
}

/// The error body of the exchange: `{"code":-1121,"msg":"Invalid symbol."}`.
package struct ExchangeRefusal: Sendable, Equatable, Decodable {
    package var code: Int
    package var message: String

    enum CodingKeys: String, CodingKey {
        case code
        case message = "msg"
    }
}
