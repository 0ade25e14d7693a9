import Glibc

extension ProcessTable {
    /// A live process that leads a process group, with some of its variables.
    package struct GroupLeader: Sendable {
        package var identity: ProcessIdentity
        package var variables: [String: String]
    }

    /// The live leaders of process groups that were started with every one of the variables `names`.
    ///
    /// Processes of other users are passed over unless we are root. Only these variables are given out: others
    /// may hold secrets.
    package static func groupLeaders(withVariables names: [String]) -> [GroupLeader] {
        processIDs().compactMap { pid in
            guard getpgid(pid) == pid else { return nil }
            let identity = ProcessIdentity.ofLiveProcess(pid)
            guard let variables = environment(of: pid)?.filter({ names.contains($0.key) }),
                variables.count == names.count, identity.isAlive
            else { return nil }
            return GroupLeader(identity: identity, variables: variables)
        }
    }
}
