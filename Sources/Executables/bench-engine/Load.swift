import Glibc

struct LoadError: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// All clients on one thread: every connection has at most one request on its way.
struct Load {
    private static let answerLimit = Duration.seconds(60)

    private var clients: [Client]

    /// Connects all clients.
    init(port: UInt16, clients count: Int, makeScript: () -> ClientScript) throws {
        clients = []
        for _ in 0..<count { clients.append(Client(try Connection(port: port), makeScript())) }
    }

    /// Runs until `count` are done.
    ///
    /// - Throws: ``LoadError`` at the first answer that is not as it should be.
    mutating func run(count: Int) throws(LoadError) -> LoadReport {
        var report = LoadReport(capacity: count)
        var left = count
        for index in clients.indices where left > 0 {
            left -= 1
            try clients[index].begin()
        }
        while report.count < count {
            for index in try readable() {
                guard let took = try clients[index].read() else { continue }
                report.add(took)
                if left > 0 {
                    left -= 1
                    try clients[index].begin()
                }
            }
            for index in clients.indices { try clients[index].askWhenDue() }
        }
        report.end()
        return report
    }

    /// Waits until somebody has something to read or to ask.
    private func readable() throws(LoadError) -> [Int] {
        let now = ContinuousClock.now
        var waiting: [pollfd] = []
        var indices: [Int] = []
        var limit = Self.answerLimit
        for (index, client) in clients.enumerated() {
            switch client.state {
            case .idle: continue
            case .pausing(_, let due): limit = min(limit, max(due - now, .zero))
            case .asked(let at):
                guard now - at < Self.answerLimit else {
                    throw LoadError("no answer for \(Self.answerLimit)")
                }
                waiting.append(pollfd(fd: client.connection.descriptor, events: Int16(POLLIN), revents: 0))
                indices.append(index)
            }
        }
        // Rounded up: a pause that is not over yet must not make us turn in circles.
        let milliseconds = Int32((limit / .milliseconds(1)).rounded(.up))
        guard poll(&waiting, nfds_t(waiting.count), milliseconds) >= 0 || errno == EINTR else {
            throw LoadError("poll failed: \(errno)")
        }
        return zip(indices, waiting).filter { $0.1.revents != 0 }.map(\.0)
    }
}

/// One client: a connection and what it is doing.
struct Client {
    enum State {
        case idle
        case asked(at: ContinuousClock.Instant)
        case pausing(HTTPText, until: ContinuousClock.Instant)
    }

    let connection: Connection
    private(set) var state = State.idle
    private var script: ClientScript
    private var reader = AnswerReader()
    private var began = ContinuousClock.now

    init(_ connection: Connection, _ script: ClientScript) {
        self.connection = connection
        self.script = script
    }

    mutating func begin() throws(LoadError) {
        began = .now
        try ask(script.first)
    }

    /// - Returns: how long it took, once one is done.
    mutating func read() throws(LoadError) -> Duration? {
        reader.append(try connection.read())
        guard let answer = try reader.next(), case .asked(let at) = state else { return nil }
        let now = ContinuousClock.now
        state = .idle
        switch script.next(after: answer, waited: now - at) {
        case .done: return now - began
        case .ask(let request, after: .zero): try ask(request)
        case .ask(let request, let pause): state = .pausing(request, until: now + pause)
        case .fail(let reason): throw LoadError(reason)
        }
        return nil
    }

    mutating func askWhenDue() throws(LoadError) {
        if case .pausing(let request, let due) = state, due <= .now { try ask(request) }
    }

    private mutating func ask(_ request: HTTPText) throws(LoadError) {
        state = .asked(at: .now)
        try connection.write(request.bytes)
    }
}
