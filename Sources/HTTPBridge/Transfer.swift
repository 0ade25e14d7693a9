internal import CCurl

/// One request on libcurl's side: owns the easy handle and everything it points to.
///
/// Lives on the client's thread only. libcurl holds an unretained pointer to it, so whoever made it keeps
/// it until the handle is removed from the multi handle.
final class Transfer {
    private static let headerBytesMax = 256 << 10
    /// Also what libcurl may hold back of a paused body. Under malloc's mmap threshold: no page faults.
    private static let receiveBufferBytes = 64 << 10

    let id: TransferID
    let sink: any ResponseSink
    let easy: OpaquePointer
    private let request: HTTPRequest
    private let target: RequestTarget
    private let errorBuffer: UnsafeMutablePointer<CChar>
    private var headerList: UnsafeMutablePointer<curl_slist>?
    private var bodyOffset = 0
    private var head = HTTPHeadParser()
    private var abortReason: HTTPError?

    init(
        _ id: TransferID, _ request: HTTPRequest, _ sink: any ResponseSink,
        configuration: HTTPClient.Configuration
    ) throws(HTTPError) {
        target = try RequestTarget(request)
        try target.check(request.headers)
        guard let easy = curl_easy_init() else { preconditionFailure("libcurl is out of memory") }
        self.id = id
        self.sink = sink
        self.easy = easy
        self.request = request
        errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
        errorBuffer.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        try configure(configuration)
        try configureBody()
        try configureTimeouts()
    }

    deinit {
        curl_easy_cleanup(easy)
        curl_slist_free_all(headerList)
        errorBuffer.deallocate()
    }

    // MARK: What libcurl calls

    func receiveHeader(_ line: UnsafeRawBufferPointer) -> Int {
        switch head.consume(line) {
        case .more: break
        case .complete(let head): sink.receive(head)
        }
        guard head.bytesSeen <= Self.headerBytesMax else {
            abortReason = error(.malformedResponse, "more than \(Self.headerBytesMax) bytes of header fields")
            return 0
        }
        return line.count
    }

    func receiveBody(_ bytes: UnsafeRawBufferPointer) -> Int {
        switch sink.receive(bytes) {
        case .taken: return bytes.count
        case .full: return Int(CURL_WRITEFUNC_PAUSE)
        case .tooLarge:
            abortReason = error(.bodyTooLarge, "the body is longer than the limit")
            return 0
        }
    }

    func provideBody(_ room: UnsafeMutableRawBufferPointer) -> Int {
        guard let body = request.body, bodyOffset < body.count else { return 0 }
        let count = min(room.count, body.count - bodyOffset)
        body.withUnsafeBytes { bytes in
            room.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[bodyOffset..<(bodyOffset + count)]))
        }
        bodyOffset += count
        return count
    }

    /// libcurl rewinds the body when it sends the request again on a new connection.
    func seekBody(to offset: Int) -> Bool {
        guard let body = request.body, (0...body.count).contains(offset) else { return false }
        bodyOffset = offset
        return true
    }

    /// What the end of the transfer means to the caller.
    func outcome(_ code: CURLcode) -> Result<Void, HTTPError> {
        if let abortReason { return .failure(abortReason) }
        if code == CURLE_OK {
            // libcurl takes a connection that closes inside the head for an empty answer.
            guard head.isComplete else {
                return .failure(error(.connectionBroken, "the connection closed inside the header fields"))
            }
            return .success(())
        }
        let own = String(cString: errorBuffer)
        let detail = own.isEmpty ? String(cString: curl_easy_strerror(code)) : own
        return .failure(error(HTTPError.Code(curl: code, detail: detail), detail))
    }

    func error(_ code: HTTPError.Code, _ detail: String) -> HTTPError {
        HTTPError(code, operation: target.operation, detail: detail)
    }

    // MARK: Options

    private func configure(_ configuration: HTTPClient.Configuration) throws(HTTPError) {
        let context = callbackContext(self)
        try check(
            ccurl_set_receivers(
                easy,
                { bytes, size, count, context in
                    callbackObject(Transfer.self, context)
                        .receiveBody(UnsafeRawBufferPointer(start: bytes, count: size * count))
                },
                { bytes, size, count, context in
                    callbackObject(Transfer.self, context)
                        .receiveHeader(UnsafeRawBufferPointer(start: bytes, count: size * count))
                }, context))
        try check(ccurl_set_error_buffer(easy, errorBuffer))
        try set(CURLOPT_NOSIGNAL, 1)
        // Or a cancelled name look-up would hold the thread until the resolver answers.
        try set(CURLOPT_QUICK_EXIT, 1)
        try set(CURLOPT_PROTOCOLS_STR, "http,https")
        let hasHTTP2 = configuration.allowsHTTP2
        try set(CURLOPT_HTTP_VERSION, Int(hasHTTP2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1))
        // Shares an HTTP/2 connection that is being made; over plain HTTP it would only serialise.
        try set(CURLOPT_PIPEWAIT, target.isSecure && hasHTTP2 ? 1 : 0)
        try set(CURLOPT_BUFFERSIZE, Self.receiveBufferBytes)
        try set(CURLOPT_TCP_KEEPALIVE, 1)
        try set(CURLOPT_URL, request.url)
        try set(CURLOPT_USERAGENT, configuration.userAgent)
        if target.isLoopback { try set(CURLOPT_PROXY, "") }
        try configureTrust(configuration)
        if request.acceptsGzip { try set(CURLOPT_ACCEPT_ENCODING, "gzip") }
        for line in target.headerLines(request) { headerList = curl_slist_append(headerList, line) }
        try check(ccurl_set_headers(easy, headerList))
    }

    private func configureTrust(_ configuration: HTTPClient.Configuration) throws(HTTPError) {
        if let pem = configuration.caPEM {
            try set(CURLOPT_CAINFO_BLOB, pem)
        } else if let caFile = configuration.caFile {
            try set(CURLOPT_CAINFO, caFile)
        }
        // Or the system's folder of authorities would be trusted beside it.
        if configuration.caPEM != nil || configuration.caFile != nil { try unset(CURLOPT_CAPATH) }
        if let identity = configuration.identity {
            try set(CURLOPT_SSLCERT_BLOB, identity.certificatePEM)
            try set(CURLOPT_SSLKEY_BLOB, identity.keyPEM)
        }
    }

    private func configureBody() throws(HTTPError) {
        switch (request.method, request.body) {
        case (.get, nil): return
        case (.head, nil): try set(CURLOPT_NOBODY, 1)
        case (.delete, nil): try set(CURLOPT_CUSTOMREQUEST, "DELETE")
        default:
            try set(CURLOPT_POST, 1)
            try check(
                ccurl_set_offset(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body?.count ?? 0)))
            try set(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
            try check(
                ccurl_set_body_source(
                    easy,
                    { room, size, count, context in
                        callbackObject(Transfer.self, context)
                            .provideBody(UnsafeMutableRawBufferPointer(start: room, count: size * count))
                    },
                    { context, offset, origin in
                        let isDone =
                            origin == SEEK_SET
                            && callbackObject(Transfer.self, context).seekBody(to: Int(offset))
                        return isDone ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
                    }, callbackContext(self)))
        }
    }

    private func configureTimeouts() throws(HTTPError) {
        let timeouts = request.timeouts
        try set(CURLOPT_CONNECTTIMEOUT_MS, max(1, timeouts.connect.wholeMilliseconds))
        if let whole = timeouts.whole { try set(CURLOPT_TIMEOUT_MS, max(1, whole.wholeMilliseconds)) }
        if let idle = timeouts.idle {
            try set(CURLOPT_LOW_SPEED_LIMIT, 1)
            try set(CURLOPT_LOW_SPEED_TIME, max(1, (idle.wholeMilliseconds + 999) / 1_000))
        }
    }

    private func set(_ option: CURLoption, _ value: Int) throws(HTTPError) {
        try check(ccurl_set_long(easy, option, value))
    }

    private func set(_ option: CURLoption, _ value: String) throws(HTTPError) {
        try check(ccurl_set_string(easy, option, value))
    }

    private func unset(_ option: CURLoption) throws(HTTPError) {
        try check(ccurl_set_string(easy, option, nil))
    }

    private func set(_ option: CURLoption, _ bytes: [UInt8]) throws(HTTPError) {
        try check(bytes.withUnsafeBytes { ccurl_set_bytes(easy, option, $0.baseAddress, $0.count) })
    }

    private func check(_ code: CURLcode) throws(HTTPError) {
        guard code == CURLE_OK else {
            throw error(.invalidRequest, String(cString: curl_easy_strerror(code)))
        }
    }
}

extension Duration {
    /// Rounded up.
    fileprivate var wholeMilliseconds: Int {
        let parts = components
        return Int(parts.seconds) * 1_000
            + Int((parts.attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
    }
}
