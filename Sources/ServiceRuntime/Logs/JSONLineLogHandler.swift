import Logging

/// Writes one JSON object a line: `time` (RFC 3339, UTC, milliseconds), `level`, `service`, `message`, then
/// the metadata as members of their own.
///
/// A metadata key that is one of those four becomes `field_<key>`. Nothing global is set up: make a logger
/// with ``logger(service:level:output:)`` and hand it on.
package struct JSONLineLogHandler: LogHandler {
    package var metadataProvider: Logger.MetadataProvider?
    package var metadata: Logger.Metadata = [:]
    package var logLevel: Logger.Level

    private let service: String
    private let output: LogOutput

    private static let reserved: Set<String> = ["time", "level", "service", "message"]

    package init(service: String, level: Logger.Level, output: LogOutput) {
        self.service = service
        logLevel = level
        self.output = output
    }

    package static func logger(
        service: String, level: Logger.Level, output: LogOutput = .standardError
    ) -> Logger {
        Logger(label: service) { _ in JSONLineLogHandler(service: service, level: level, output: output) }
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var fields = metadata
        if let provided = metadataProvider?.get() { fields.merge(provided) { _, new in new } }
        if let own = event.metadata { fields.merge(own) { _, new in new } }
        if let error = event.error { fields["error"] = "\(error)" }
        var line = JSONText()
        line.raw("{\"time\":")
        line.string(UTCTimestamp.now().description)
        line.raw(",\"level\":")
        line.string(event.level.rawValue)
        line.raw(",\"service\":")
        line.string(service)
        line.raw(",\"message\":")
        line.string("\(event.message)")
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            line.raw(",")
            line.string(Self.reserved.contains(key) ? "field_\(key)" : key)
            line.raw(":")
            append(value, to: &line)
        }
        line.raw("}\n")
        output.write(line.bytes)
    }

    private func append(_ value: Logger.Metadata.Value, to line: inout JSONText) {
        switch value {
        case .string(let text): line.string(text)
        case .stringConvertible(let value):
            switch value {
            case let number as any FixedWidthInteger: line.raw(String(number))
            case let flag as Bool: line.raw(flag ? "true" : "false")
            default: line.string(value.description)
            }
        case .array(let values):
            line.raw("[")
            for (index, value) in values.enumerated() {
                if index > 0 { line.raw(",") }
                append(value, to: &line)
            }
            line.raw("]")
        case .dictionary(let members):
            line.raw("{")
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                if index > 0 { line.raw(",") }
                line.string(member.key)
                line.raw(":")
                append(member.value, to: &line)
            }
            line.raw("}")
        }
    }
}
