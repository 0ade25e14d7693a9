internal import CCurl

/// A request's URL, checked, and what of it may be shown.
struct RequestTarget {
    /// Method and URL without query, fragment and user.
    let operation: String
    let isSecure: Bool
    let isLoopback: Bool

    init(_ request: HTTPRequest) throws(HTTPError) {
        let parts = CurlURL()
        let unnamed = "\(request.method.rawValue) (illegal URL)"
        guard parts.parse(request.url) == CURLUE_OK, let scheme = parts.get(CURLUPART_SCHEME),
            let host = parts.get(CURLUPART_HOST)
        else { throw HTTPError(.invalidRequest, operation: unnamed, detail: "the URL cannot be read") }
        guard scheme == "http" || scheme == "https" else {
            throw HTTPError(
                .invalidRequest, operation: unnamed, detail: "the scheme is neither http nor https")
        }
        guard parts.get(CURLUPART_USER) == nil, parts.get(CURLUPART_PASSWORD) == nil else {
            throw HTTPError(
                .invalidRequest, operation: unnamed,
                detail: "user and password belong into an Authorization header, not into the URL")
        }
        let port = parts.get(CURLUPART_PORT).map { ":\($0)" } ?? ""
        operation = "\(request.method.rawValue) \(scheme)://\(host)\(port)\(parts.get(CURLUPART_PATH) ?? "/")"
        isSecure = scheme == "https"
        isLoopback = host == "localhost" || host.hasPrefix("127.") || host == "[::1]"
    }

    /// Refuses what would end a header line early or fight with libcurl over the body's framing.
    func check(_ headers: HTTPHeaders) throws(HTTPError) {
        for field in headers.fields {
            let isToken = !field.name.isEmpty && field.name.utf8.allSatisfy(Self.isTokenByte)
            let isOneLine = field.value.utf8.allSatisfy { $0 != 0 && $0 != 0x0A && $0 != 0x0D }
            guard isToken, isOneLine else {
                throw HTTPError(
                    .invalidRequest, operation: operation,
                    detail: "a header field is not legal: \(field.name.debugDescription)")
            }
        }
        for name in ["Content-Length", "Transfer-Encoding"] where headers[name] != nil {
            throw HTTPError(.invalidRequest, operation: operation, detail: "\(name) follows from the body")
        }
    }

    /// The lines as libcurl wants them: `Name;` sends an empty value, `Name:` leaves out its own header.
    func headerLines(_ request: HTTPRequest) -> [String] {
        var lines = request.headers.fields.map {
            $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)"
        }
        // No `Expect: 100-continue`: it costs a round trip, or a second with servers that ignore it.
        if request.headers["Expect"] == nil { lines.append("Expect:") }
        if request.headers["Content-Type"] == nil { lines.append("Content-Type:") }
        return lines
    }

    /// RFC 9110, section 5.6.2.
    private static func isTokenByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}

/// libcurl's own URL parser, so that checks and transfers read a URL alike.
private struct CurlURL: ~Copyable {
    private let handle: OpaquePointer

    init() {
        guard let handle = curl_url() else { preconditionFailure("libcurl is out of memory") }
        self.handle = handle
    }

    deinit { curl_url_cleanup(handle) }

    borrowing func parse(_ url: String) -> CURLUcode { curl_url_set(handle, CURLUPART_URL, url, 0) }

    borrowing func get(_ part: CURLUPart) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(handle, part, &text, 0) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }
}
