extension DerivedName {
    /// The topic that offers the attempts of a target to its pool; the prefix `sf-` is what the ACLs allow.
    package static func poolTopic(_ target: Target) -> String { "sf-pool-\(target.rawValue)" }

    /// The consumer group of a pool has its topic's name.
    package static func poolGroup(topic: String) -> String { topic }
}

extension Target {
    /// Whether a long-lived worker may run several of it at once, beside each other in one process.
    ///
    /// Not so: the loader, whose count of request weight is the process's, and the connector, which sets the
    /// process's memory policy and sizes its buffers for a process of its own.
    package var mayRunPooled: Bool { self == .dummyService }
}
