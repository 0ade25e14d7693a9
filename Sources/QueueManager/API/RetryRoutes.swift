import Hummingbird
import Workflow

/// `POST /queues/{queue_id}/retry` (docs/http-api.md).
struct RetryRoutes: Sendable {
    let store: EngineStore
    let reconcile: Wakeups

    private static let example = #"{"from":"store"}"#

    func add(to router: Router<BasicRequestContext>) {
        router.post("queues/{queue_id}/retry") { request, context in try await retry(request, context) }
    }

    private func retry(_ request: Request, _ context: BasicRequestContext) async throws -> Response {
        let id = try QueueRoutes.queueID(context)
        let body = try await ObjectRequest.optionalJSON(request, example: Self.example)
        let reader = try ObjectReader(body, path: "", known: ["from"])
        let step = try reader.string("from").map { text throws(RequestError) in
            guard let step = StepID(text) else {
                throw reader.invalid(
                    "from", text, "\(text.prefix(40)) is no step id",
                    hint: "Give the id of one of the queue's steps, or leave it out")
            }
            return step
        }
        switch try await store.retry(RetryRequest(from: step), of: id, actor: "api") {
        case .unknownQueue: throw QueueRoutes.notFound(id.rawValue)
        case .accepted(let run):
            reconcile.signal()
            return try JSONAnswer.response(
                .accepted,
                .object([
                    "queue_id": .string(id.rawValue), "status": .string(QueueStatus.pending.rawValue),
                    "run": .integer(Int64(run)),
                ]))
        case .unknownStep(let step, let steps):
            throw RequestError(
                .invalidValue, "The queue has no step \(step)", field: "from", value: step.rawValue,
                hint: "Its steps: \(steps.map(\.rawValue).joined(separator: ", "))")
        case .refused(let status):
            throw Self.conflict(
                id, "A queue that is \(status.rawValue) cannot be retried",
                hint: status == .finished
                    ? "It has all it was to do; start a new queue" : "Only a failed or stopped queue can")
        case .tooManyRuns:
            throw Self.conflict(
                id, "The queue has run \(QueueState.runsMax) times already", hint: "Start a new queue")
        case .historyDeleted:
            throw Self.conflict(
                id, "The queue's history is deleted, and with it what it has done", hint: "Start a new queue")
        }
    }

    private static func conflict(_ id: QueueID, _ message: String, hint: String) -> RequestError {
        RequestError(.conflict, message, field: "queue_id", value: id.rawValue, hint: hint)
    }
}
