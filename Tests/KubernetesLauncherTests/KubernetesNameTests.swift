import JobLaunchers
import Testing
import Workflow

struct KubernetesNameTests {
    private let mine = Installation(name: "mine", database: "0123456789abcdef")

    @Test func `a name tells target, symbol, queue, instance and attempt`() throws {
        let name = KubernetesName.job(try job(target: .arangoConnector, step: "store"))
        #expect(name.hasPrefix("job-arango-connector-btcusdt-abc123-"))
        #expect(name.hasSuffix("-1"))
        #expect(isDNSLabel(name))
    }

    @Test(arguments: [
        "BTCUSDT", "1INCHUSDT", "BTC_USDT", "a", "", "---", "币安人生USDT", "Ünï.cødé",
        String(repeating: "X", count: 200), "BTCUSDT-1mo-20240801", "A/B\n C", "-A-",
    ])
    func `names and labels are legal for any symbol, and another one's differ`(symbol: String) throws {
        for attempt in [1, 999_999] {
            let job = try job(symbol, attempt: attempt)
            #expect(isDNSLabel(KubernetesName.job(job)), "\(KubernetesName.job(job))")
            for value in JobLabels(job, installation: mine).labels.values {
                #expect(isLabelValue(value), "\(value)")
            }
        }
        let other = try job(symbol + "x", environment: ["SYMBOL": symbol])
        #expect(KubernetesName.job(other) != KubernetesName.job(try job(symbol)))
    }

    @Test func `5,000 instances of one symbol have names of their own`() throws {
        let names = try (0..<5_000).map {
            KubernetesName.job(try job("BTCUSDT-\($0)", environment: ["SYMBOL": "BTCUSDT"]))
        }
        #expect(Set(names).count == 5_000)
    }

    @Test func `a legal label stays as it is, and what was changed does not meet another`() {
        #expect(KubernetesName.labelValue("BTCUSDT-5m-20240801") == "BTCUSDT-5m-20240801")
        #expect(KubernetesName.labelValue("") == "")
        let (one, two) = (KubernetesName.labelValue("A B"), KubernetesName.labelValue("A/B"))
        #expect(one != two && isLabelValue(one) && isLabelValue(two))
    }

    @Test func `the attempt is read back from labels and annotation, whatever its name`() throws {
        for instance in ["BTCUSDT-5m", "币安人生USDT"] {
            let job = try job(instance, attempt: 3)
            let manifest = JobManifest(job, JobManifestSettings(image: "i", secret: "s", installation: mine))
                .json
            let annotations = manifest.at("metadata.annotations")?.members?.compactMapValues(\.string) ?? [:]
            let labels = manifest.at("metadata.labels")?.members?.compactMapValues(\.string) ?? [:]
            let key = JobLabels.key(labels: labels, annotations: annotations)
            #expect(key == JobKey(queueID: job.queueID, id: job.id, attempt: 3))
        }
        #expect(JobLabels.key(labels: ["queue_id": "other"], annotations: [:]) == nil)
    }

    @Test func `labels that name an attempt are a part of those it has`() throws {
        let job = try job()
        let all = JobLabels(job, installation: mine).labels
        let key = JobKey(queueID: job.queueID, id: job.id, attempt: 1)
        for (name, value) in JobLabels.identity(key, installation: mine) { #expect(all[name] == value) }
        #expect(all["app"] == "streamforge")
        #expect(all["streamforge.io/installation"] == "mine")
        #expect(all["streamforge.io/database"] == "0123456789abcdef")
        #expect(all["queue_id"] == job.queueID.rawValue)
        #expect(all["streamforge.io/step"] == "load")
        #expect(all["streamforge.io/instance"] == "BTCUSDT")
        #expect(all["streamforge.io/attempt"] == "1")
        #expect(all["streamforge.io/target"] == "loader-api-candles")
    }

    @Test func `of two engines that are called the same each sees its own Jobs only`() throws {
        let other = Installation(name: mine.name, database: "fedcba9876543210")
        let theirs = JobLabels(try job(), installation: other).labels
        let ours = JobLabels.everyJob(installation: mine)
        #expect(ours.contains { theirs[$0.key] != $0.value })
    }
}
