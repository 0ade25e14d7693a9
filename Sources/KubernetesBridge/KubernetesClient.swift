import FoundationEssentials
import HTTPBridge

/// What the client did, for metrics.
package struct RequestObservation: Sendable {
    /// `create`, `get`, `list`, `watch`, `delete`, `patch`, `log`.
    package var verb: String
    /// e.g. `jobs`.
    package var resource: String
    /// The HTTP status; nil when no answer came.
    package var status: Int?
    package var duration: Duration
}

/// A client of one API server, for objects of one namespace.
///
/// All requests share a rate limit, in which each ``RequestPurpose`` has its part; `Retry-After` of a busy server
/// holds all of them. A request that gets no good answer is sent again until its time is over: what it asks for must be the same when done twice, so
/// objects are created under names of ours and deleted by uid.
package struct KubernetesClient: Sendable {
    package struct Limits: Sendable {
        /// Requests a second on average; watches count once.
        package var requestsPerSecond = 50.0
        /// Requests at once after a pause.
        package var burst = 100.0
        /// One try of a request.
        package var tryTimeout = Duration.seconds(10)
        /// All tries of a request together.
        package var requestTimeout = Duration.seconds(20)
        /// The longest answer, and the longest line of a watch.
        package var bodyBytesMax = 16 << 20
        /// Objects in one piece of a list.
        package var pageObjectsMax = 250

        package init() {}
    }

    package let configuration: KubernetesConfiguration
    package private(set) var limits: Limits
    let http: HTTPClient
    private let pace: RequestPace
    private let observe: @Sendable (RequestObservation) -> Void

    package init(
        _ configuration: KubernetesConfiguration, limits: Limits = Limits(),
        observe: @escaping @Sendable (RequestObservation) -> Void = { _ in }
    ) {
        self.configuration = configuration
        self.limits = limits
        self.observe = observe
        pace = RequestPace(perSecond: limits.requestsPerSecond, burst: limits.burst)
        var settings = HTTPClient.Configuration()
        settings.caPEM = configuration.certificateAuthorities
        settings.identity = configuration.identity
        // A server that hangs holds up one request, not all: each has a connection of its own while it lasts.
        settings.allowsHTTP2 = false
        http = HTTPClient(settings)
    }

    package func close() async { await http.close() }

    /// The same client, with the same connections and rate limit, whose requests take no longer than this.
    package func within(_ time: Duration) -> KubernetesClient {
        var copy = self
        copy.limits.requestTimeout = min(limits.requestTimeout, max(time, .milliseconds(1)))
        return copy
    }

    // MARK: Sending

    /// What is asked of the server.
    struct Call: Sendable {
        var verb: String
        var resource: String
        var name = ""
        var method: HTTPRequest.Method = .get
        var path: String
        var query: [(String, String)] = []
        var contentType: String?
        var body: [UInt8]?
        var purpose = RequestPurpose.work

        /// Also in messages: without the namespace, which is always the same.
        var operation: String { name.isEmpty ? "\(verb) \(resource)" : "\(verb) \(resource)/\(name)" }
    }

    /// Sends a call until it is answered, refused for good, or its time is over.
    ///
    /// - Throws: ``KubernetesError``; a retriable one when the time was over.
    func send(_ call: Call) async throws(KubernetesError) -> HTTPResponse {
        let deadline = ContinuousClock.now + limits.requestTimeout
        var backoff = Backoff(first: .milliseconds(100), longest: .seconds(2))
        while true {
            let failure: KubernetesError
            do throws(KubernetesError) {
                return try await sendOnce(call, until: deadline)
            } catch {
                failure = error
            }
            guard failure.isRetriable else { throw failure }
            // A server that asks to be left alone for no time at all is not taken at its word.
            let wait = max(failure.pause, backoff.next(draw: .random(in: 0...1)))
            guard ContinuousClock.now + wait < deadline else { throw failure }
            try await sleep(wait, failure.operation)
        }
    }

    private func sendOnce(
        _ call: Call, until deadline: ContinuousClock.Instant
    ) async throws(KubernetesError) -> HTTPResponse {
        try await waitForTurn(call, waitMax: deadline - .now)
        var timeouts = HTTPTimeouts()
        let whole = max(min(limits.tryTimeout, deadline - .now), .milliseconds(1))
        timeouts.connect = min(.seconds(5), whole)
        timeouts.whole = whole
        let request = try self.request(call, timeouts)
        let started = ContinuousClock.now
        let response: HTTPResponse
        do throws(HTTPError) {
            response = try await http.execute(request, bodyBytesMax: limits.bodyBytesMax)
        } catch {
            note(call, status: nil, since: started)
            throw KubernetesError(error, operation: call.operation)
        }
        note(call, status: response.status, since: started)
        guard (200...299).contains(response.status) else {
            let refusal = KubernetesError(
                status: response.status, headers: response.headers, body: response.body,
                operation: call.operation)
            if refusal.code == .tooManyRequests { pace.hold(max(refusal.pause, .seconds(1))) }
            throw refusal
        }
        return response
    }

    /// - Throws: ``KubernetesError``: `tooManyRequests`, at once, when its turn comes later than `waitMax`.
    func waitForTurn(_ call: Call, waitMax: Duration) async throws(KubernetesError) {
        let hasTurn: Bool
        do {
            hasTurn = try await pace.waitForTurn(call.purpose, waitMax: waitMax)
        } catch {
            throw KubernetesError(.cancelled, operation: call.operation, detail: "the caller gave up")
        }
        guard hasTurn else {
            throw KubernetesError(
                .tooManyRequests, operation: call.operation,
                detail: "too many requests of ours wait already, or the server asked for a longer pause",
                retryAfter: waitMax + .milliseconds(1))
        }
    }

    func request(_ call: Call, _ timeouts: HTTPTimeouts) throws(KubernetesError) -> HTTPRequest {
        let query = call.query.map { "\($0.0)=\(Self.encoded($0.1))" }.joined(separator: "&")
        var headers: HTTPHeaders = ["Accept": "application/json"]
        headers["Content-Type"] = call.contentType
        switch configuration.credential {
        case .none: break
        case .token(let token): headers["Authorization"] = "Bearer \(token)"
        case .tokenFile(let file): headers["Authorization"] = "Bearer \(try file.current())"
        }
        return HTTPRequest(
            call.method, configuration.server + call.path + (query.isEmpty ? "" : "?\(query)"),
            headers: headers, body: call.body, timeouts: timeouts, acceptsGzip: call.verb == "list")
    }

    func note(_ call: Call, status: Int?, since started: ContinuousClock.Instant) {
        observe(
            RequestObservation(
                verb: call.verb, resource: call.resource, status: status,
                duration: ContinuousClock.now - started))
    }

    private func sleep(_ duration: Duration, _ operation: String) async throws(KubernetesError) {
        do {
            try await Task.sleep(for: duration)
        } catch {
            throw KubernetesError(.cancelled, operation: operation, detail: "the caller gave up")
        }
    }

    // MARK: Texts

    func path<Object>(_ kind: ResourceKind<Object>, _ name: String = "", _ sub: String = "") -> String {
        var path = "/\(kind.groupPath)/namespaces/\(Self.encoded(configuration.namespace))/\(kind.plural)"
        if !name.isEmpty { path += "/\(Self.encoded(name))" }
        return sub.isEmpty ? path : "\(path)/\(sub)"
    }

    func decode<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], _ operation: String
    ) throws(KubernetesError) -> Value {
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch {
            throw KubernetesError(
                .malformed, operation: operation, detail: "its answer cannot be read: \(error)")
        }
    }

    /// All but the unreserved characters of RFC 3986 as `%XX`.
    static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let hex = String(byte, radix: 16, uppercase: true)
                result += byte < 16 ? "%0\(hex)" : "%\(hex)"
            }
        }
        return result
    }
}
