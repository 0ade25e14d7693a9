import HTTPBridge

/// Where an S3 bucket is and how to talk to it.
package struct S3Settings: Sendable {
    /// S3 itself takes no smaller part but as the last.
    package static let partBytesMin = 5 << 20

    /// E.g. `http://127.0.0.1:9000`; the bucket is addressed by path.
    package var endpoint: String
    package var region: String
    package var bucket: String
    /// Asked for each request, so a changed secret is picked up.
    package var credentials: @Sendable () -> S3Credentials
    package var caFile: String?
    package var retry = S3RetryPolicy()
    /// Objects up to this size are put at once, larger ones in parts of it. One part at a time is in memory.
    package var partBytes = 8 << 20
    /// For every request; the whole time covers a part over a slow line.
    package var timeouts = HTTPTimeouts(connect: .seconds(5), whole: .seconds(300), idle: .seconds(60))
    /// Unix seconds, for the signature's time.
    package var now: @Sendable () -> Int64

    package init(
        endpoint: String, region: String = "us-east-1", bucket: String,
        credentials: @escaping @Sendable () -> S3Credentials, caFile: String? = nil,
        now: @escaping @Sendable () -> Int64
    ) {
        self.endpoint = endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
        self.region = region
        self.bucket = bucket
        self.credentials = credentials
        self.caFile = caFile
        self.now = now
    }

    /// What curl puts into `Host`: without the scheme's own port.
    var host: String {
        guard let scheme = endpoint.firstRange(of: "://") else { return endpoint }
        let isTLS = endpoint[..<scheme.lowerBound] == "https"
        let authority = endpoint[scheme.upperBound...].prefix { $0 != "/" }
        let port = isTLS ? ":443" : ":80"
        return String(authority.hasSuffix(port) ? authority.dropLast(port.count) : authority)
    }

    /// A path in the endpoint, before the bucket.
    var pathPrefix: String {
        guard let scheme = endpoint.firstRange(of: "://") else { return "" }
        return String(endpoint[scheme.upperBound...].drop { $0 != "/" })
    }

    var origin: String { String(endpoint.dropLast(pathPrefix.count)) }
}

/// How often a request that may succeed later is sent, and how long we wait in between.
package struct S3RetryPolicy: Sendable {
    package var attemptMax = 6
    package var backoffInitial = Duration.milliseconds(200)
    package var backoffMax = Duration.seconds(10)

    package init() {}

    /// Doubles from try to try; a random part keeps many workers from coming back at the same moment.
    func pause(after attempt: Int) -> Duration {
        let full = min(backoffInitial * (1 << min(attempt - 1, 20)), backoffMax)
        return full * Double.random(in: 0.5...1)
    }
}
