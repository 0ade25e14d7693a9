import Glibc

/// What the kernel grants a process and its children at the most (setrlimit(2)); nil is our own limit.
package struct ProcessLimits: Sendable, Equatable {
    /// Address space; memory beyond it is refused, which ends most programs.
    package var addressSpaceBytes: UInt64?
    package var openFiles: UInt64?
    /// Of any file it writes. A program that does not ignore SIGXFSZ is ended by a write beyond it.
    package var fileBytes: UInt64?

    package init(addressSpaceBytes: UInt64? = nil, openFiles: UInt64? = nil, fileBytes: UInt64? = nil) {
        self.addressSpaceBytes = addressSpaceBytes
        self.openFiles = openFiles
        self.fileBytes = fileBytes
    }

    /// The command that sets them and becomes the program that follows.
    var prefix: [String] {
        let options = [("as", addressSpaceBytes), ("nofile", openFiles), ("fsize", fileBytes)]
            .compactMap { name, limit in limit.map { "--\(name)=\($0)" } }
        return options.isEmpty ? [] : ["/usr/bin/prlimit"] + options
    }

    /// The first of them that is above our own hard limit, which only root may exceed: a process with it
    /// would not start.
    package var problem: String? {
        let wanted = [
            ("address space", addressSpaceBytes, RLIMIT_AS), ("open files", openFiles, RLIMIT_NOFILE),
            ("file size", fileBytes, RLIMIT_FSIZE),
        ]
        guard geteuid() != 0 else { return nil }
        for (name, limit, resource) in wanted {
            var own = rlimit()
            guard let limit, getrlimit(__rlimit_resource_t(resource.rawValue), &own) == 0 else { continue }
            if limit > own.rlim_max {
                return "\(name): \(limit) is above this process's own limit, \(own.rlim_max)"
            }
        }
        return nil
    }
}
