internal import CCurl

/// The transfers that run and those that wait for their turn. Lives on the loop's thread.
struct TransferTable {
    private struct Waiter {
        var id: TransferID
        var request: HTTPRequest
        var sink: any ResponseSink
        var deadline: ContinuousClock.Instant
    }

    private let multi: MultiHandle
    private let configuration: HTTPClient.Configuration
    private var running: [TransferID: Transfer] = [:]
    private var idByHandle: [OpaquePointer: TransferID] = [:]
    /// In order of arrival, so in order of deadline too.
    private var waiting: [Waiter] = []

    init(_ multi: MultiHandle, _ configuration: HTTPClient.Configuration) {
        self.multi = multi
        self.configuration = configuration
        // As many kept-alive connections as there may be transfers.
        ccurl_multi_set_long(multi.pointer, CURLMOPT_MAXCONNECTS, max(1, configuration.transfersMax))
    }

    var timeToNextDeadline: Duration? { waiting.first.map { ContinuousClock.now.duration(to: $0.deadline) } }

    mutating func handle(_ message: TransferLoop.Message) {
        switch message {
        case .start(let id, let request, let sink): enqueue(id, request, sink)
        case .cancel(let id): cancel(id)
        case .resume(let id):
            if let transfer = running[id] { curl_easy_pause(transfer.easy, CURLPAUSE_CONT) }
        case .stop: break
        }
    }

    /// Moves all transfers as far as they go without waiting, and reports those that ended.
    mutating func perform() {
        dropOverdueWaiters()
        repeat {
            startWaiters()
            var count: Int32 = 0
            curl_multi_perform(multi.pointer, &count)
        } while reportFinished() && !waiting.isEmpty
    }

    /// Ends everything with `closed`.
    mutating func endAll() {
        for transfer in running.values {
            curl_multi_remove_handle(multi.pointer, transfer.easy)
            transfer.sink.end(.failure(transfer.error(.closed, "the client was closed")))
        }
        running.removeAll()
        idByHandle.removeAll()
        for waiter in waiting { end(waiter, .closed, "the client was closed") }
        waiting.removeAll()
    }

    private mutating func enqueue(_ id: TransferID, _ request: HTTPRequest, _ sink: any ResponseSink) {
        let waiter = Waiter(id: id, request: request, sink: sink, deadline: .now + configuration.waitMax)
        if running.count < configuration.transfersMax, waiting.isEmpty {
            start(waiter)
        } else if waiting.count < configuration.waitersMax {
            waiting.append(waiter)
        } else {
            end(waiter, .overloaded, "\(configuration.waitersMax) requests wait already")
        }
    }

    private mutating func start(_ waiter: Waiter) {
        do throws(HTTPError) {
            let transfer = try Transfer(waiter.id, waiter.request, waiter.sink, configuration: configuration)
            let code = curl_multi_add_handle(multi.pointer, transfer.easy)
            precondition(code == CURLM_OK, "libcurl refused a fresh handle")
            running[waiter.id] = transfer
            idByHandle[transfer.easy] = waiter.id
        } catch {
            waiter.sink.end(.failure(error))
        }
    }

    private mutating func startWaiters() {
        let count = min(waiting.count, max(0, configuration.transfersMax - running.count))
        guard count > 0 else { return }
        let next = waiting.prefix(count)
        waiting.removeFirst(count)
        for waiter in next { start(waiter) }
    }

    private mutating func dropOverdueWaiters() {
        guard !waiting.isEmpty else { return }
        let now = ContinuousClock.now
        let overdue = waiting.prefix { $0.deadline <= now }
        waiting.removeFirst(overdue.count)
        for waiter in overdue { end(waiter, .overloaded, "waited \(configuration.waitMax) for its turn") }
    }

    private mutating func cancel(_ id: TransferID) {
        if let transfer = running[id] {
            // Removing an unfinished transfer closes its connection (HTTP/1) or resets its stream (HTTP/2).
            forget(transfer)
            transfer.sink.end(.failure(transfer.error(.cancelled, "the caller gave up")))
        } else if let index = waiting.firstIndex(where: { $0.id == id }) {
            end(waiting.remove(at: index), .cancelled, "the caller gave up")
        }
    }

    /// True when at least one transfer ended.
    private mutating func reportFinished() -> Bool {
        var easy: OpaquePointer?
        var code = CURLE_OK
        var hasAny = false
        while ccurl_multi_next_finished(multi.pointer, &easy, &code) {
            guard let easy, let id = idByHandle[easy], let transfer = running[id] else { continue }
            hasAny = true
            let outcome = transfer.outcome(code)
            forget(transfer)
            transfer.sink.end(outcome)
        }
        return hasAny
    }

    private mutating func forget(_ transfer: Transfer) {
        curl_multi_remove_handle(multi.pointer, transfer.easy)
        idByHandle[transfer.easy] = nil
        running[transfer.id] = nil
    }

    private func end(_ waiter: Waiter, _ code: HTTPError.Code, _ detail: String) {
        let operation = (try? RequestTarget(waiter.request))?.operation ?? waiter.request.method.rawValue
        waiter.sink.end(.failure(HTTPError(code, operation: operation, detail: detail)))
    }
}
