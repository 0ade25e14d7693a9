import HTTPBridge

/// What a ``Reflector`` tells.
package enum ReflectorNews<Object: KubernetesObject>: Sendable {
    /// All there is: what is not among these is gone.
    case replaced([Object])
    case set(Object)
    case removed(Object)
    /// A watch was opened: what happens is told from now on, until `failed`.
    case connected
    /// The list or the watch failed or ended early; told once each, then it is begun anew.
    case failed(KubernetesError)
}

/// Keeps somebody informed of all objects with some labels: one list, then one watch, for ever.
///
/// The watch goes on from the last version it saw when it ends, is cut or falls silent; 410 Gone, on opening or
/// in the middle, brings a new list. Objects are also listed anew now and then, in case an event was missed.
package struct Reflector<Object: KubernetesObject>: Sendable {
    package struct Timing: Sendable {
        /// A watch without a word, also without a bookmark, for so long is taken for dead. Servers send a
        /// bookmark about once a minute.
        package var silenceMax = Duration.seconds(90)
        /// The server is asked to end a watch after this.
        package var watchMax = Duration.seconds(300)
        /// Between lists.
        package var resync = Duration.seconds(900)
        package var backoff = Backoff()

        package init() {}
    }

    private let client: KubernetesClient
    private let kind: ResourceKind<Object>
    private let selector: LabelSelector
    private let timing: Timing
    private let tell: @Sendable (ReflectorNews<Object>) async -> Void

    package init(
        _ client: KubernetesClient, _ kind: ResourceKind<Object>, _ selector: LabelSelector,
        timing: Timing = Timing(), tell: @escaping @Sendable (ReflectorNews<Object>) async -> Void
    ) {
        self.client = client
        self.kind = kind
        self.selector = selector
        self.timing = timing
        self.tell = tell
    }

    /// Runs until its task is cancelled.
    package func run() async {
        var state = ReflectorState(backoff: timing.backoff)
        var step = ReflectorState.first
        var listed: [Object] = []
        var listedAt = ContinuousClock.now
        while !Task.isCancelled {
            let input: ReflectorState.Input
            switch step {
            case .wait(let wait):
                // Cancelled: the loop ends at its head.
                try? await Task.sleep(for: wait)
                input = .waited
            case .list(let after):
                if after == nil {
                    listed = []
                    listedAt = .now
                }
                input = await list(after, &listed)
            case .watch(let version):
                input = await watch(from: version, until: listedAt + timing.resync, &state)
            }
            if let next = state.apply(input, draw: .random(in: 0...1)) { step = next }
        }
    }

    private func list(_ after: String?, _ listed: inout [Object]) async -> ReflectorState.Input {
        do throws(KubernetesError) {
            let page = try await client.page(kind, selector, after: after, for: .watch)
            listed += page.items
            if page.next == nil {
                await tell(.replaced(listed))
                listed = []
            }
            return .listed(version: page.resourceVersion, next: page.next)
        } catch {
            if error.code != .cancelled { await tell(.failed(error)) }
            return .listFailed(error)
        }
    }

    private func watch(
        from version: String, until resync: ContinuousClock.Instant, _ state: inout ReflectorState
    ) async -> ReflectorState.Input {
        let started = ContinuousClock.now
        let life = max(min(timing.watchMax, resync - started), .seconds(1))
        let (seen, failure) = await read(from: version, for: life)
        _ = state.apply(.seen(version: seen), draw: 0)
        if let failure, failure.code != .cancelled { await tell(.failed(failure)) }
        let now = ContinuousClock.now
        return .watchEnded(lived: now - started, failure, isOld: now >= resync)
    }

    /// - Returns: the last version seen, and why it ended early; nil when the server ended it in good order.
    private func read(
        from version: String, for life: Duration
    ) async -> (seen: String, KubernetesError?) {
        var call = KubernetesClient.Call(verb: "watch", resource: kind.plural, path: client.path(kind))
        call.purpose = .watch
        call.query = [
            ("watch", "1"), ("allowWatchBookmarks", "true"), ("resourceVersion", version),
            ("timeoutSeconds", String(max(1, Int(life.components.seconds)))),
        ]
        if !selector.labels.isEmpty { call.query.append(("labelSelector", selector.text)) }
        let operation = call.operation
        var seen = version
        do {
            try await client.waitForTurn(call, waitMax: KubernetesError.pauseMax)
            let timeouts = HTTPTimeouts(connect: .seconds(5), whole: nil, idle: timing.silenceMax)
            let started = ContinuousClock.now
            try await client.http.stream(try client.request(call, timeouts)) { head, chunks in
                client.note(call, status: head.status, since: started)
                guard head.status == 200 else {
                    throw await KubernetesClient.refusal(head, chunks, operation)
                }
                await tell(.connected)
                var splitter = LineSplitter(lineBytesMax: client.limits.bodyBytesMax)
                for try await chunk in chunks {
                    guard let lines = splitter.append(chunk) else {
                        throw KubernetesError(
                            .malformed, operation: operation,
                            detail: "a line is longer than \(splitter.lineBytesMax) bytes")
                    }
                    for line in lines { try await take(WatchEvent<Object>.parse(line), &seen) }
                }
            }
            return (seen, nil)
        } catch let error as KubernetesError {
            return (seen, error)
        } catch let error as HTTPError {
            return (seen, KubernetesError(error, operation: operation))
        } catch {
            return (seen, KubernetesError(.cancelled, operation: operation, detail: "\(error)"))
        }
    }

    private func take(_ event: WatchEvent<Object>, _ seen: inout String) async throws(KubernetesError) {
        switch event {
        case .set(let object): await tell(.set(object))
        case .removed(let object): await tell(.removed(object))
        case .bookmark: break
        case .failed(let error): throw error
        }
        if let version = event.version, !version.isEmpty { seen = version }
    }
}
