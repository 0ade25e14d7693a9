import ServiceLifecycle
import Workflow

/// Looks at queues that want it and brings each a step nearer to what its plan says (design decision 4).
///
/// A look is one transaction: it locks queues that are due, decides and writes. What is to be done outside
/// follows, under a claim; then the queue is looked at again with what came of it. A crash between any two of
/// these leaves a state from which the next look, by any replica, goes on.
package struct Reconciler: Service {
    let parts: ReconcilerParts
    let wakeups: Wakeups
    /// Commands to send were written.
    let commandWakeups: Wakeups
    let looker: Looker
    let state = ReconcilerState(claimsMax: Self.claimedMax)
    let held = HeldFollowUps()
    let stepwise = StepwiseClaims()
    let effects: EffectRunner
    private let followUps: GroupCommit<LookFollowUp, LookResult?>

    /// Queues looked at in one transaction.
    static let batchMax = 64
    /// Queues whose effects are carried out side by side.
    static let claimedMax = 256
    static let idleWaitMilliseconds: Int64 = 1_000
    /// Older ends of queue-control are as right: workers only read a little more.
    static let controlRefresh = Duration.seconds(5)
    static let renewInterval = Duration.seconds(1)
    /// See ``EndHints``: an attempt that says nothing before it ends is noticed no later than this.
    static let hintWindow = Duration.milliseconds(500)
    /// See ``HeldFollowUps`` and ``StepwiseClaims``.
    static let heldTick = Duration.milliseconds(50)

    package init(
        _ parts: ReconcilerParts, wakeups: Wakeups = Wakeups(), commandWakeups: Wakeups = Wakeups()
    ) {
        self.parts = parts
        self.wakeups = wakeups
        self.commandWakeups = commandWakeups
        let (state, looker) = (state, Looker(parts: parts))
        self.looker = looker
        effects = EffectRunner(parts: parts)
        followUps = GroupCommit(batchMax: Self.batchMax, waitingMax: Self.claimedMax) { requests in
            try await looker.look(again: requests, state.controlEnds)
        }
    }

    package func run() async throws {
        await withDiscardingTaskGroup { group in
            group.addTask {
                let hints = EndHints(window: Self.hintWindow) { id in
                    // If this fails the next poll sees the end all the same.
                    try? await parts.store.requestLook(at: id)
                    wakeups.signal()
                }
                await hints.run(parts.launcher.ends.cancelOnGracefulShutdown())
            }
            group.addTask {
                await loop("control ends", observe: parts.observe) {
                    try await refreshControlEnds()
                    try await Task.sleep(for: Self.controlRefresh)
                }
            }
            group.addTask {
                await loop("claims", observe: parts.observe) {
                    try await Task.sleep(for: Self.renewInterval)
                    try await renewClaims()
                }
            }
            group.addTask {
                let arrivals = Wakeups()
                setHeldTicker { arrivals.signalHere() }
                await loop("held", observe: parts.observe) {
                    if !isAnyHeld { return await arrivals.wait(atMost: .seconds(60)) }
                    try await Task.sleep(for: Self.heldTick)
                    tickHeld()
                }
            }
            group.addTask { await lookLoop() }
        }
    }

    /// Takes queues until shutdown; the effects of those that were taken are still carried out.
    private func lookLoop() async {
        let (claimed, feed) = AsyncStream<LookResult>.makeStream()
        setCarrier { if case .enqueued = feed.yield($0) { true } else { false } }
        await withDiscardingTaskGroup { group in
            group.addTask { await followUps.runUntilClosed() }
            group.addTask {
                await withDiscardingTaskGroup { queues in
                    for await result in claimed {
                        queues.addTask { await carryOut(result) { try await followUps.submit($0) } }
                    }
                }
                followUps.close()
            }
            await loop("reconcile", observe: parts.observe) {
                let results = try await take(Self.batchMax)
                for result in results where !result.plan.effects.isEmpty { feed.yield(result) }
                if results.count < Self.batchMax { try await waitForWork() }
            }
            setCarrier(nil)
            held.close()
            feed.finish()
        }
    }

    /// Looks once at queues that are due and carries out their effects; what the simulation and tests call.
    ///
    /// - Returns: how many queues were due.
    @discardableResult
    package func round() async throws -> Int {
        if state.controlEnds == nil { try? await refreshControlEnds() }
        let results = try await take(Self.batchMax)
        await withDiscardingTaskGroup { group in
            for result in results where !result.plan.effects.isEmpty {
                group.addTask { await carryOut(result) }
            }
        }
        return results.count
    }

    package func refreshControlEnds() async throws {
        do {
            state.controlEnds = try await parts.broker.controlEnds()
        } catch {
            // Without the broker nothing is launched: its worker could not be heard either.
            state.controlEnds = nil
            throw error
        }
    }

    package func renewClaims() async throws {
        let claims = state.claims
        if !claims.isEmpty { try await parts.store.renew(Array(claims)) }
    }

    private func take(_ limit: Int) async throws -> [LookResult] {
        let (granted, number) = state.reserve(limit)
        guard granted > 0 else { return [] }
        let results: [LookResult]
        do {
            results = try await looker.look(due: granted, token: token(number), state.controlEnds)
        } catch {
            state.settle(granted, [])
            throw error
        }
        state.settle(granted, results.filter { !$0.plan.effects.isEmpty }.map(\.claim))
        announce(results)
        return results
    }

    /// Names the claims of one look.
    func token(_ number: UInt64) -> String { "\(parts.replica)/\(number)" }

    private func waitForWork() async throws {
        // Without room only the end of some queue's effects brings work, and that is signalled.
        let wait =
            state.hasRoom
            ? try await parts.store.millisecondsToNextLook(limit: Self.idleWaitMilliseconds)
            : Self.idleWaitMilliseconds
        if wait > 0 { await wakeups.wait(atMost: .milliseconds(wait)) }
    }

    /// Carries out effects and looks again until a look has none.
    func carryOut(
        _ first: LookResult, _ lookAgain: @Sendable (LookFollowUp) async throws -> LookResult?
    ) async {
        var touched = TouchedEffects()
        var current = first
        defer {
            let wasFull = state.remove(first.claim)
            // What comes later the loop sees by itself; whoever waits for what this queue gave back may begin.
            if wasFull || current.plan.isSoon || parts.policy.limits.concern(first.queue.plan) {
                wakeups.signalHere()
            }
        }
        do {
            if first.queue.instances.count >= parts.stepwiseFrom {
                guard let last = try await carryOutStepwise(first, lookAgain) else {
                    return parts.observe(.claimLost(first.claim.queueID))
                }
                current = last
                return
            }
            while !current.plan.effects.isEmpty {
                var followUp = LookFollowUp(claim: first.claim)
                followUp.operations = await effects.carryOut(current)
                for effect in current.plan.effects { touched.insert(effect) }
                followUp.touched = touched
                if isHeld(current, followUp), case .looked(let next) = await held.hold(followUp) {
                    current = next
                    continue
                }
                guard let next = try await lookAgain(followUp) else {
                    return parts.observe(.claimLost(first.claim.queueID))
                }
                announce([next])
                current = next
            }
        } catch {
            parts.observe(.lookFailed(first.claim.queueID, error: "\(error)"))
            // The claim runs out by itself if this fails too.
            try? await parts.store.release(first.claim, lookAgain: 1_000)
        }
    }

    func announce(_ results: [LookResult]) { announce(results.map(\.queue)) }

    private func announce(_ queues: [QueueState]) {
        if queues.contains(where: { !$0.changes.commands.isEmpty }) { commandWakeups.signal() }
        let ended = queues.filter { $0.status.isFinal && !$0.changes.isEmpty }
        if !ended.isEmpty { parts.onEnd(ended.map(\.queueID)) }
    }
}
