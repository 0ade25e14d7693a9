import Crypto
import Foundation
import MarketData

/// What a request is signed with. Its description has no secret in it.
package struct S3Credentials: Sendable, Equatable, CustomStringConvertible {
    package var accessKey: String
    /// A secret.
    package var secretKey: String

    package init(accessKey: String, secretKey: String) {
        self.accessKey = accessKey
        self.secretKey = secretKey
    }

    package var description: String { "the secret of \(accessKey)" }
}

/// Signs requests as AWS Signature Version 4 wants it (Amazon S3 API reference, "Signature Calculations for
/// the Authorization Header: Transferring Payload in a Single Chunk"). Pure.
struct SigV4: Sendable {
    /// A request as it will go out.
    struct Request: Sendable {
        var method: String
        /// Percent-encoded, with `/` as it stands.
        var path: String
        /// Not encoded.
        var query: [(name: String, value: String)] = []
        /// All that is signed, `host` among them; names in lower case.
        var headers: [(name: String, value: String)]
        /// SHA-256 of the body, lower-case hexadecimal.
        var payloadHash: String
    }

    var credentials: S3Credentials
    var region: String
    var service = "s3"

    /// The value of `Authorization`.
    ///
    /// - Parameter time: `20130524T000000Z`, as in the signed header `x-amz-date`.
    func authorization(_ request: Request, time: String) -> String {
        let day = String(time.prefix(8))
        let scope = "\(day)/\(region)/\(service)/aws4_request"
        let text = stringToSign(request, time: time, scope: scope)
        let signature = HMAC<SHA256>.authenticationCode(
            for: Data(text.utf8), using: signingKey(day: day))
        return "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope),"
            + "SignedHeaders=\(Self.signedNames(request)),Signature=\(signature.hexText)"
    }

    func stringToSign(_ request: Request, time: String, scope: String) -> String {
        let canonical = Self.canonical(request)
        return "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(SHA256.hash(data: Data(canonical.utf8)).hexText)"
    }

    func signingKey(day: String) -> SymmetricKey {
        var key = SymmetricKey(data: Data("AWS4\(credentials.secretKey)".utf8))
        for part in [day, region, service, "aws4_request"] {
            key = SymmetricKey(data: Data(HMAC<SHA256>.authenticationCode(for: Data(part.utf8), using: key)))
        }
        return key
    }

    static func canonical(_ request: Request) -> String {
        let headers = sorted(request).map { "\($0.name):\(trimmed($0.value))\n" }.joined()
        return [
            request.method, request.path, queryText(request.query), headers, signedNames(request),
            request.payloadHash,
        ].joined(separator: "\n")
    }

    /// As it is signed and sent: encoded, by rising name.
    static func queryText(_ query: [(name: String, value: String)]) -> String {
        query.map { (percentEncoded($0.name), percentEncoded($0.value)) }
            .sorted { $0 < $1 }
            .map { "\($0)=\($1)" }.joined(separator: "&")
    }

    private static func sorted(_ request: Request) -> [(name: String, value: String)] {
        request.headers.sorted { $0.name < $1.name }
    }

    private static func signedNames(_ request: Request) -> String {
        sorted(request).map(\.name).joined(separator: ";")
    }

    private static func trimmed(_ value: String) -> String {
        value.split(separator: " ").joined(separator: " ")
    }

    /// Keeps RFC 3986's unreserved characters; a slash only where it is allowed.
    static func percentEncoded(_ text: String, keepsSlash: Bool = false) -> String {
        var encoded = ""
        for byte in text.utf8 {
            if isUnreserved(byte) || (keepsSlash && byte == UInt8(ascii: "/")) {
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                encoded += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return encoded
    }

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "-._~".utf8.contains(byte)
        }
    }

    /// `20130524T000000Z` of Unix seconds.
    static func time(_ seconds: Int64) -> String {
        let day = CivilDate(daysSince1970: floorDivide(seconds, 86_400))
        let rest = seconds - floorDivide(seconds, 86_400) * 86_400
        func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let date = day.description.filter { $0 != "-" }
        return "\(date)T\(two(rest / 3_600))\(two(rest / 60 % 60))\(two(rest % 60))Z"
    }
}
