import Dispatch

/// Runs an actor's jobs on a Dispatch queue of its own, so that a blocking C call never holds one of
/// Swift's cooperative threads.
///
/// Give one executor to one actor: `nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }`.
///
/// As a task executor it lets code that calls the actor many times run on the actor's own thread: a call then
/// changes no thread. Two changes of thread are what a call costs otherwise.
package final class QueueExecutor: SerialExecutor, TaskExecutor {
    private let queue: DispatchQueue

    /// - Parameter label: shown by debuggers and crash reports, e.g. `kafka-producer`.
    package init(label: String) {
        queue = DispatchQueue(label: label)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async {
            job.runSynchronously(
                isolatedTo: self.asUnownedSerialExecutor(), taskExecutor: self.asUnownedTaskExecutor())
        }
    }

    package func asUnownedSerialExecutor() -> UnownedSerialExecutor {
        UnownedSerialExecutor(ordinary: self)
    }

    package func asUnownedTaskExecutor() -> UnownedTaskExecutor {
        UnownedTaskExecutor(ordinary: self)
    }
}
