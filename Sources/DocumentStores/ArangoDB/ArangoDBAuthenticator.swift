import Foundation
import HTTPBridge
import Synchronization
import Workflow

/// Makes the `Authorization` header, and keeps a token until shortly before it expires.
final class ArangoDBAuthenticator: Sendable {
    private struct Token {
        var header: String
        var renewAt: ContinuousClock.Instant
    }

    private let settings: ArangoDBSettings
    private let client: HTTPClient
    private let token = Mutex<Token?>(nil)

    init(_ settings: ArangoDBSettings, _ client: HTTPClient) {
        self.settings = settings
        self.client = client
    }

    /// nil when the server wants none. Two callers at once may both fetch a token, which is harmless.
    func header() async throws(ArangoDBSignInFailure) -> String? {
        switch settings.authentication {
        case .none: return nil
        case .basic(let credentials):
            let credentials = credentials()
            let pair = Data("\(credentials.user):\(credentials.password)".utf8)
            return "Basic \(pair.base64EncodedString())"
        case .token(let credentials):
            if let token = token.withLock({ $0 }), token.renewAt > .now { return token.header }
            let fresh = try await signIn(credentials())
            token.withLock { $0 = fresh }
            return fresh.header
        }
    }

    /// Drops the token the server just refused; false when there is nothing that could be better next time.
    func forget(_ header: String?) -> Bool {
        guard case .token = settings.authentication, let header else { return false }
        token.withLock { if $0?.header == header { $0 = nil } }
        return true
    }

    private func signIn(_ credentials: ArangoDBCredentials) async throws(ArangoDBSignInFailure) -> Token {
        let body =
            (try? JSONEncoder().encode(["username": credentials.user, "password": credentials.password]))
            ?? Data()
        let request = HTTPRequest(
            .post, settings.url + "/_open/auth", headers: ["Content-Type": "application/json"],
            body: Array(body),
            timeouts: settings.timeouts)
        let answer: ArangoDBAnswer
        do throws(HTTPError) {
            answer = ArangoDBAnswer(try await client.execute(request))
        } catch { throw .transport(error) }
        guard answer.isSuccess else { throw .refused(answer) }
        struct Body: Decodable { var jwt: String }
        guard let token = try? JSONDecoder().decode(Body.self, from: Data(answer.response.body)).jwt else {
            throw .refused(answer)
        }
        return Token(header: "bearer \(token)", renewAt: .now + Self.useTime(ofToken: token))
    }

    /// Nine tenths of the token's lifetime; a minute for a token that does not tell (RFC 7519 `iat`, `exp`).
    static func useTime(ofToken token: String) -> Duration {
        struct Claims: Decodable {
            var iat: Double?
            var exp: Double
        }
        let parts = token.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return .seconds(60) }
        var payload = String(parts[1]).replacing("-", with: "+").replacing("_", with: "/")
        payload += String(repeating: "=", count: (4 - payload.count % 4) % 4)
        guard let data = Data(base64Encoded: payload),
            let claims = try? JSONDecoder().decode(Claims.self, from: data)
        else { return .seconds(60) }
        // The server's two times against each other: our clock may be wrong.
        let lifetime = claims.exp - (claims.iat ?? Date().timeIntervalSince1970)
        return .seconds(min(max(0, lifetime * 0.9), 86_400))
    }
}

enum ArangoDBSignInFailure: Error {
    case transport(HTTPError)
    case refused(ArangoDBAnswer)
}
