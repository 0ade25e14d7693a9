import Hummingbird
import PostgresBridge
import Workflow

/// Turns every error into the API's error body, and reports each request.
package struct ErrorMiddleware: RouterMiddleware {
    package typealias Context = BasicRequestContext

    let observe: EngineObserver

    package func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        let start = ContinuousClock.now
        let response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = JSONAnswer.error(describe(error, request))
        }
        let seconds = Double(start.duration(to: .now).milliseconds) / 1_000
        observe(
            .requestAnswered(
                method: request.method.rawValue, route: context.endpointPath ?? "unknown",
                status: Int(response.status.code), seconds: seconds))
        return response
    }

    private func describe(_ error: any Error, _ request: Request) -> RequestError {
        switch error {
        case let error as RequestError: return error
        case let error as HTTPError where error.status == .notFound:
            return RequestError(
                .notFound, "There is no \(request.method.rawValue) \(request.uri.path.prefix(80))",
                hint: "docs/http-api.md lists what there is")
        case let error as PostgresError:
            observe(.loopFailed(loop: "api", error: "\(error)"))
            return RequestError(.unavailable, "The database does not answer just now", hint: "Try again")
        default:
            observe(.loopFailed(loop: "api", error: "\(error)"))
            return RequestError(
                .unavailable, "The request could not be carried out", hint: "Try again; the log says more")
        }
    }
}
