import Foundation

/// What one client does: a request, and what its answer leads to. Pure.
struct ClientScript {
    enum Goal: Equatable {
        /// The first answer has this status.
        case answered(by: Int)
        /// The queue that was started has finished.
        case queueFinished
    }

    enum Action: Equatable {
        /// One is done: it counts with the time since its first request.
        case done
        case ask(HTTPText, after: Duration)
        case fail(String)
    }

    /// How long the server may hold back an answer (`wait_seconds`), at most what it allows.
    private static let waitSeconds = 30
    /// An answer sooner than this was not held back: a server that cannot do so is not asked at once.
    private static let waitedLeast = Duration.milliseconds(5)
    private static let pause = Duration.milliseconds(5)

    let goal: Goal
    let first: HTTPText
    private var isStarted = false

    init(_ goal: Goal, first: HTTPText) {
        self.goal = goal
        self.first = first
    }

    /// - Parameter waited: from the request to this answer.
    mutating func next(after answer: HTTPAnswer, waited: Duration) -> Action {
        switch goal {
        case .answered(let status): return answer.status == status ? .done : .fail(answer.excerpt)
        case .queueFinished:
            guard answer.status == (isStarted ? 200 : 201),
                let queue = try? JSONDecoder().decode(Queue.self, from: Data(answer.body))
            else { return .fail(answer.excerpt) }
            let pause = isStarted && waited < Self.waitedLeast ? Self.pause : .zero
            isStarted = true
            switch queue.status {
            case "finished":
                isStarted = false
                return .done
            case "failed", "stopped": return .fail(answer.excerpt)
            default:
                let path = "/queues/\(queue.queueID)?wait_seconds=\(Self.waitSeconds)"
                return .ask(.get(path), after: pause)
            }
        }
    }

    private struct Queue: Decodable {
        var queueID: String
        var status: String

        enum CodingKeys: String, CodingKey {
            case queueID = "queue_id"
            case status
        }
    }
}
