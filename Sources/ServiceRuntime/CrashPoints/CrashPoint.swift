/// The places of a program where a sudden end matters: before and after each durable effect.
///
/// The numbers are part of the page layout (see ``CrashPoints``) and never change.
package enum CrashPoint: UInt32, Sendable, CaseIterable {
    case beforeProduce = 1
    case afterProduce = 2
    case beforeTransactionCommit = 3
    case afterTransactionCommit = 4
    case beforeStoreWrite = 5
    case afterStoreWrite = 6
    case beforePositionCommit = 7
    case afterPositionCommit = 8
    case beforeFinalEvent = 9
    case afterFinalEvent = 10
    case beforeEventApply = 11
    case afterEventApply = 12
    case beforeLaunch = 13
    case afterLaunch = 14
}
