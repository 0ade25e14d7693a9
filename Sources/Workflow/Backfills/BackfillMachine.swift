/// The life of a backfill: event in, answer out, no clock and no I/O.
///
/// ```
/// running ◄─pause/resume─► paused       all shards over ─► finished, or failed when a shard failed
///    └──── cancel ────► cancelling ◄── cancel ── paused        failed ─ retry ─► running
///                           └─ all shards over ─► cancelled
/// ```
/// `finished` and `cancelled` are final. `failed` is at rest: only `retry` leaves it.
package struct BackfillMachine: Sendable, Hashable {
    package enum State: String, Sendable, Hashable, CaseIterable {
        case running, paused, cancelling, finished, failed, cancelled

        package var isFinal: Bool { self == .finished || self == .cancelled }
        /// Nothing happens until somebody asks for it.
        package var isAtRest: Bool { isFinal || self == .failed }
    }

    package enum Input: Sendable, Hashable {
        case pause, resume, cancel
        /// Run the failed shards again.
        case retry
        /// Every shard is over.
        case shardsOver(failed: Int)
    }

    package enum Answer: Sendable, Hashable {
        /// It is there already.
        case met
        case changed
        /// Failed shards wait again.
        case retryFailedShards
        /// It cannot get there from where it is.
        case refuse
    }

    package private(set) var state: State

    package init(_ state: State = .running) { self.state = state }

    package mutating func apply(_ input: Input) -> Answer {
        switch (input, state) {
        case (.pause, .running): return move(to: .paused)
        case (.pause, .paused): return .met
        case (.resume, .paused): return move(to: .running)
        case (.resume, .running): return .met
        case (.cancel, .running), (.cancel, .paused): return move(to: .cancelling)
        case (.cancel, .cancelling), (.cancel, .cancelled): return .met
        case (.retry, .failed):
            state = .running
            return .retryFailedShards
        // The others go on meanwhile.
        case (.retry, .running), (.retry, .paused): return .retryFailedShards
        case (.shardsOver(let failed), .running), (.shardsOver(let failed), .paused):
            return move(to: failed > 0 ? .failed : .finished)
        case (.shardsOver, .cancelling): return move(to: .cancelled)
        case (.shardsOver, _): return .met
        case (.pause, _), (.resume, _), (.cancel, _), (.retry, _): return .refuse
        }
    }

    private mutating func move(to next: State) -> Answer {
        state = next
        return .changed
    }
}
