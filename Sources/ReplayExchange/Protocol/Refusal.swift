/// An answer of the exchange that is not data: status, code and text.
///
/// Codes and texts are those of the exchange's error reference (binance-spot-api-docs, errors.md); clients
/// go by the code, people by the text.
struct Refusal: Error, Sendable, Equatable {
    var status: Int
    var code: Int
    var message: String
    /// Whole seconds for the header `Retry-After`.
    var retryAfterSeconds: Int64?

    init(status: Int = 400, _ code: Int, _ message: String, retryAfterSeconds: Int64? = nil) {
        self.status = status
        self.code = code
        self.message = message
        self.retryAfterSeconds = retryAfterSeconds
    }

    static let invalidInterval = Refusal(-1120, "Invalid interval.")
    static let invalidSymbol = Refusal(-1121, "Invalid symbol.")
    static let invalidSymbolStatus = Refusal(-1122, "Invalid symbolStatus.")
    static let invalidCombination = Refusal(-1128, "Combination of optional parameters invalid.")
    static let doubledParameter = Refusal(-1101, "Duplicate values for a parameter detected.")
    static let invalidTimeUnit = Refusal(
        -1194, "Invalid value for time unit; expected either MICROSECOND or MILLISECOND.")

    static func illegalCharacters(_ parameter: String, legal range: String) -> Refusal {
        Refusal(-1100, "Illegal characters found in parameter '\(parameter)'; legal range is '\(range)'.")
    }

    static func tooMany(expected: Int, received: Int) -> Refusal {
        Refusal(-1101, "Too many parameters; expected '\(expected)' and received '\(received)'.")
    }

    static func missing(_ parameter: String) -> Refusal {
        Refusal(-1102, "Mandatory parameter '\(parameter)' was not sent, was empty/null, or malformed.")
    }

    static func unread(read: Int, sent: Int) -> Refusal {
        Refusal(
            -1104,
            "Not all sent parameters were read; read '\(read)' parameter(s) but was sent '\(sent)'.")
    }

    static func empty(_ parameter: String) -> Refusal {
        Refusal(-1105, "Parameter '\(parameter)' was empty.")
    }

    static func lookupTooLong(hours: Int64) -> Refusal {
        Refusal(-1127, "More than \(hours) hours between startTime and endTime.")
    }

    static func invalidData(_ parameter: String) -> Refusal {
        Refusal(-1130, "Data sent for parameter '\(parameter)' is not valid.")
    }

    /// `{"code":-1121,"msg":"Invalid symbol."}`
    var body: [UInt8] {
        var body: [UInt8] = []
        body.appendText("{\"code\":")
        body.appendNumber(Int64(code))
        body.appendText(",\"msg\":\"")
        for byte in message.utf8 {
            // The texts are printable ASCII, but a symbol's legal range holds backslashes.
            if byte == UInt8(ascii: "\\") || byte == UInt8(ascii: "\"") { body.append(UInt8(ascii: "\\")) }
            body.append(byte)
        }
        body.appendText("\"}")
        return body
    }
}
