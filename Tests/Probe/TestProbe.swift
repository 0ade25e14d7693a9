import Glibc
import ServiceRuntime

/// A program for tests that need a real process: it does one thing, named by its first argument.
@main
struct TestProbe {
    static func main() async {
        switch CommandLine.arguments.dropFirst().first {
        case "crash-points": reachForEver()
        case "worker": await ProbeWorker.run()
        default: exit(2)
        }
    }

    /// Goes from point to point as a producer does.
    private static func reachForEver() {
        do {
            let directory = ProcessEnvironment.atStart()[ServiceSettings.crashPointsDirectory.name]
            let points = try CrashPoints(directory: directory, label: "probe")
            while true {
                points.reach(.beforeProduce)
                usleep(500)
                points.reach(.afterProduce)
                usleep(500)
            }
        } catch {
            exit(1)
        }
    }
}
