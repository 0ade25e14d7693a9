extension DerivedName {
    /// The queues that a topic may belong to, by its name alone; none for a topic that is no queue's.
    ///
    /// The name does not say where the queue's id ends and the step begins: `wf-x-aaaaaa-load12-data` is the
    /// topic of step `load12` of one queue, or the only one of another.
    package static func possibleOwners(ofTopic topic: String) -> Set<QueueID> {
        guard let stem = dataTopicStem(topic) else { return [] }
        var owners = Set([QueueID(String(stem))].compactMap(\.self))
        for dash in stem.indices where stem[dash] == "-" {
            guard StepID(String(stem[stem.index(after: dash)...])) != nil,
                let id = QueueID(String(stem[..<dash]))
            else { continue }
            owners.insert(id)
        }
        return owners
    }

    /// What stands before `-data`, `-data-r<run>` and the same with `-dead` behind it.
    private static func dataTopicStem(_ topic: String) -> Substring? {
        let ending = "-data"
        var name = topic[...]
        if name.hasSuffix("-dead") { name = name.dropLast("-dead".count) }
        if !name.hasSuffix(ending), let dash = name.lastIndex(of: "-"), name[dash...].hasPrefix("-r"),
            Int(name[dash...].dropFirst(2)) != nil
        {
            name = name[..<dash]
        }
        return name.hasSuffix(ending) ? name.dropLast(ending.count) : nil
    }
}
