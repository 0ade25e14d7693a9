/// One HTTP request, complete in memory.
package struct HTTPRequest: Sendable {
    package enum Method: String, Sendable {
        case get = "GET"
        case head = "HEAD"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    package var method: Method
    /// Absolute, `http` or `https`, already percent-encoded, without user or password (use a header).
    package var url: String
    /// Sent as given, after curl's own `Host`, `Accept` and `Content-Length`.
    package var headers: HTTPHeaders
    /// Sent with `Content-Length`, never chunked. nil sends no body.
    package var body: [UInt8]?
    package var timeouts: HTTPTimeouts
    /// Offers gzip and unpacks the answer; body limits then count unpacked bytes.
    package var acceptsGzip: Bool

    package init(
        _ method: Method = .get, _ url: String, headers: HTTPHeaders = [:], body: [UInt8]? = nil,
        timeouts: HTTPTimeouts = HTTPTimeouts(), acceptsGzip: Bool = false
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeouts = timeouts
        self.acceptsGzip = acceptsGzip
    }
}

/// How long the parts of a request may take; ``HTTPError/Code/timeout`` afterwards.
package struct HTTPTimeouts: Sendable, Hashable {
    /// Name look-up, TCP and TLS together.
    package var connect: Duration
    /// From the start of the transfer to the last byte, pauses of a streamed body included; nil: no limit.
    package var whole: Duration?
    /// Without a byte either way, rounded up to whole seconds and noticed up to 6 s later (libcurl averages
    /// over the last seconds); nil: no limit. A streamed body that is paused because its reader is slow
    /// does not count as idle.
    package var idle: Duration?

    package init(
        connect: Duration = .seconds(10), whole: Duration? = .seconds(60), idle: Duration? = .seconds(30)
    ) {
        self.connect = connect
        self.whole = whole
        self.idle = idle
    }
}

/// A certificate of ours with its key, both as PEM.
package struct TLSIdentity: Sendable, Hashable {
    package var certificatePEM: [UInt8]
    /// A secret; without a passphrase.
    package var keyPEM: [UInt8]

    package init(certificatePEM: [UInt8], keyPEM: [UInt8]) {
        self.certificatePEM = certificatePEM
        self.keyPEM = keyPEM
    }
}

/// Status line and header fields of an answer.
package struct HTTPHead: Sendable, Hashable {
    package var status: Int
    package var headers: HTTPHeaders

    package init(status: Int, headers: HTTPHeaders) {
        self.status = status
        self.headers = headers
    }
}

/// A complete answer. Any status is an answer, not an error.
package struct HTTPResponse: Sendable {
    package var status: Int
    package var headers: HTTPHeaders
    package var body: [UInt8]

    package init(status: Int, headers: HTTPHeaders, body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }
}

/// Header fields in the order they came; names compare without regard to ASCII case.
package struct HTTPHeaders: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    package struct Field: Sendable, Hashable {
        package var name: String
        package var value: String

        package init(name: String, value: String) {
            self.name = name
            self.value = value
        }
    }

    package private(set) var fields: [Field]

    package init(_ fields: [Field] = []) {
        self.fields = fields
    }

    package init(dictionaryLiteral elements: (String, String)...) {
        fields = elements.map { Field(name: $0.0, value: $0.1) }
    }

    /// The first value of that name. Setting replaces all of that name; setting nil removes them.
    package subscript(name: String) -> String? {
        get { fields.first { Self.isSame($0.name, name) }?.value }
        set {
            fields.removeAll { Self.isSame($0.name, name) }
            if let newValue { fields.append(Field(name: name, value: newValue)) }
        }
    }

    /// All values of that name, in order.
    package func values(of name: String) -> [String] {
        fields.filter { Self.isSame($0.name, name) }.map(\.value)
    }

    package mutating func append(name: String, value: String) {
        fields.append(Field(name: name, value: value))
    }

    private static func isSame(_ left: String, _ right: String) -> Bool {
        left.utf8.count == right.utf8.count
            && zip(left.utf8, right.utf8).allSatisfy { lowercased($0) == lowercased($1) }
    }

    private static func lowercased(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}
