import Foundation

/// Where the stack's programs are.
package enum StackPrograms {
    /// The folder of the running program.
    package static var ownDirectory: String {
        let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return (link as NSString?)?.deletingLastPathComponent ?? "."
    }

    static func path(_ name: String, in directory: String) throws(StackError) -> String {
        let path = URL(fileURLWithPath: "\(directory)/\(name)").path
        guard FileManager.default.isExecutableFile(atPath: path) else {
            throw StackError(name, "the program \(path) is missing: build it with scripts/build")
        }
        return path
    }

    /// The folder `.streamforge/tools`, which `scripts/setup` fills: above the working folder or above the
    /// programs (a build folder lies in its checkout); the one in the working folder when there is none.
    static func toolsDirectory(programs: String) -> String {
        for start in [FileManager.default.currentDirectoryPath, programs] {
            var folder = URL(fileURLWithPath: start)
            for _ in 0..<levelsMax {
                let tools = folder.appendingPathComponent(".streamforge/tools").path
                if FileManager.default.fileExists(atPath: "\(tools)/bin") { return tools }
                folder.deleteLastPathComponent()
            }
        }
        return ".streamforge/tools"
    }

    /// The broker that `scripts/setup` installed.
    ///
    /// The program in `bin` is a script that starts the broker as its child, which would outlive us when we
    /// are killed; so the broker itself is taken where it is found.
    static func noidaDB(tools: String) -> String {
        let libraries = (try? FileManager.default.contentsOfDirectory(atPath: "\(tools)/lib")) ?? []
        let programs = libraries.map { "\(tools)/lib/\($0)/site-packages/noida_db/noida-db" }
        return programs.first { FileManager.default.isExecutableFile(atPath: $0) } ?? "\(tools)/bin/noida-db"
    }

    /// A built program lies at most this deep below its checkout.
    private static let levelsMax = 8
}
