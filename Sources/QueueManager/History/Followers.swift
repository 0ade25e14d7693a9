import Synchronization

/// Those who follow a feed, each woken when there is something new.
final class Followers: Sendable {
    private let countMax: Int
    private let wakeups = Mutex<[UInt64: Wakeups]>([:])

    init(countMax: Int) {
        self.countMax = countMax
    }

    func signal() {
        for follower in wakeups.withLock({ Array($0.values) }) { follower.signal() }
    }

    /// nil when too many follow already.
    func register() -> (key: UInt64, wakes: Wakeups)? {
        let wakes = Wakeups()
        return wakeups.withLock { followers in
            guard followers.count < countMax else { return nil }
            let key = (followers.keys.max() ?? 0) + 1
            followers[key] = wakes
            return (key, wakes)
        }
    }

    func unregister(_ key: UInt64) {
        _ = wakeups.withLock { $0.removeValue(forKey: key) }
    }
}
