import Glibc

/// The numbers every Prometheus client library shows about its process, read from /proc (proc(5)).
enum ProcessNumbers {
    static func append(to text: inout PrometheusText) {
        // Fields behind the program's name in parentheses, which may itself hold spaces: 3 (state) is first.
        guard let stat = contents("/proc/self/stat"), let end = stat.lastIndex(of: ")") else { return }
        let fields = stat[end...].split(separator: " ").dropFirst().map(String.init)
        guard fields.count > 21 else { return }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        func field(_ number: Int) -> Double { Double(fields[number - 3]) ?? 0 }
        let values: [(String, String, String, Double)] = [
            ("process_cpu_seconds_total", "User and system time", "counter", (field(14) + field(15)) / ticks),
            ("process_threads", "Threads", "gauge", field(20)),
            ("process_virtual_memory_bytes", "Virtual memory", "gauge", field(23)),
            (
                "process_resident_memory_bytes", "Resident memory", "gauge",
                field(24) * Double(sysconf(Int32(_SC_PAGESIZE)))
            ),
            ("process_open_fds", "Open file descriptors", "gauge", Double(openDescriptors())),
        ]
        for (name, help, type, value) in values {
            text.head(name, help: help, type: type)
            text.sample(name, "", value)
        }
    }

    private static func contents(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4_096)
        let count = read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }

    private static func openDescriptors() -> Int {
        guard let folder = opendir("/proc/self/fd") else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while readdir(folder) != nil { count += 1 }
        // Not ".", ".." and the folder's own descriptor.
        return max(0, count - 3)
    }
}
