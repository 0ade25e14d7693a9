import Crypto
import Workflow

/// Names and label values that the API server takes, whatever a symbol or instance is called.
package enum KubernetesName {
    /// Of a Job: its pods carry the name as a label.
    package static let bytesMax = 63
    private static let hashCharacters = 10

    /// `job-<target>-<symbol>-<suffix>-<hash of step and instance>-<attempt>`; the symbol is cut to fit.
    ///
    /// The hash is what tells instances apart: 40 bits, so that 5,000 instances of one symbol and target do not
    /// share one (a chance of 1 in 90,000; the launch then fails and says so).
    package static func job(_ job: Job) -> String {
        let target = cleaned(job.target.rawValue)
        let mark = hash("\(job.id.step)/\(job.id.instance)")
        let tail = "-\(job.queueID.suffix)-\(mark)-\(job.attempt)"
        let symbol = cleaned(job.environment["SYMBOL"] ?? job.id.instance)
        var head = "job-\(target)-\(symbol)"
        head = String(head.prefix(bytesMax - tail.utf8.count))
        while head.hasSuffix("-") { head.removeLast() }
        return head + tail
    }

    /// The text itself where it is a legal label value; else what is legal of it, and a hash.
    package static func labelValue(_ text: String) -> String {
        let bytes = text.utf8
        let isEdge = { (byte: UInt8) in byte.isASCIILetter || byte.isASCIIDigit }
        let isInner = { (byte: UInt8) in isEdge(byte) || [0x2d, 0x2e, 0x5f].contains(byte) }
        if bytes.count <= bytesMax, bytes.allSatisfy(isInner), bytes.first.map(isEdge) ?? true,
            bytes.last.map(isEdge) ?? true
        {
            return text
        }
        let cut = String(cleaned(text).prefix(bytesMax - hashCharacters - 1))
        return cut.isEmpty ? hash(text) : "\(cut)-\(hash(text))"
    }

    /// Lower case, with one dash for whatever else it holds, none at its ends.
    private static func cleaned(_ text: String) -> String {
        var result: [UInt8] = []
        for byte in text.lowercased().utf8 {
            if byte.isLowerAlphanumeric {
                result.append(byte)
            } else if let last = result.last, last != UInt8(ascii: "-") {
                result.append(UInt8(ascii: "-"))
            }
        }
        if result.last == UInt8(ascii: "-") { result.removeLast() }
        return String(decoding: result, as: UTF8.self)
    }

    private static func hash(_ text: String) -> String {
        let digest = SHA256.hash(data: Array(text.utf8))
        let hex = digest.prefix(hashCharacters / 2).map { byte in
            byte < 16 ? "0\(String(byte, radix: 16))" : String(byte, radix: 16)
        }
        return hex.joined()
    }
}

/// Whose Jobs they are: of several engines in one namespace each sees, and deletes, its own only.
package struct Installation: Sendable, Hashable {
    /// For people; as set.
    package var name: String
    /// The id of the engine's database, a label value: two engines that are called the same have not the same.
    package var database: String

    package init(name: String, database: String) {
        self.name = name
        self.database = database
    }
}

/// The labels of a Job and its pods; two Jobs with equal ones are the same attempt.
package struct JobLabels: Sendable, Hashable {
    package static let application = "streamforge"
    static let installationName = "streamforge.io/installation"
    static let databaseName = "streamforge.io/database"
    /// The instance's exact name, as an annotation: a label may have had to change it.
    static let instanceAnnotation = "streamforge.io/instance"
    private static let names = (
        step: "streamforge.io/step", instance: "streamforge.io/instance", attempt: "streamforge.io/attempt",
        target: "streamforge.io/target", symbol: "streamforge.io/symbol"
    )

    /// All of them.
    package let labels: [String: String]

    package init(_ job: Job, installation: Installation) {
        var labels = Self.identity(
            JobKey(queueID: job.queueID, id: job.id, attempt: job.attempt), installation: installation)
        labels[Self.names.target] = KubernetesName.labelValue(job.target.rawValue)
        labels[Self.names.symbol] = job.environment["SYMBOL"].map(KubernetesName.labelValue)
        self.labels = labels
    }

    /// What every Job of an installation has.
    package static func everyJob(installation: Installation) -> [String: String] {
        ["app": application, installationName: installation.name, databaseName: installation.database]
    }

    /// What only the Job of this attempt has.
    package static func identity(_ key: JobKey, installation: Installation) -> [String: String] {
        var labels = everyJob(installation: installation)
        labels["queue_id"] = key.queueID.rawValue
        labels[names.step] = key.id.step.rawValue
        labels[names.instance] = KubernetesName.labelValue(key.id.instance)
        labels[names.attempt] = String(key.attempt)
        return labels
    }

    /// The attempt that an object was made for; nil when it is none of ours.
    package static func key(labels: [String: String], annotations: [String: String]) -> JobKey? {
        guard let queueID = labels["queue_id"].flatMap(QueueID.init),
            let step = labels[names.step].flatMap(StepID.init),
            let instance = annotations[instanceAnnotation] ?? labels[names.instance],
            let attempt = labels[names.attempt].flatMap({ Int($0) })
        else { return nil }
        return JobKey(queueID: queueID, id: InstanceID(step: step, instance: instance), attempt: attempt)
    }
}
