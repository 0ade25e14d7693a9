/// Builds the Prometheus text exposition format, version 0.0.4.
struct PrometheusText {
    private(set) var text = ""

    mutating func head(_ name: String, help: String?, type: String) {
        let escaped = (help ?? name).replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        text += "# HELP \(name) \(escaped)\n# TYPE \(name) \(type)\n"
    }

    mutating func sample(_ name: String, _ labels: String, _ value: Double) {
        text += "\(name)\(labels) \(Self.number(value))\n"
    }

    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        return Int64(exactly: value).map(String.init) ?? String(value)
    }

    /// A legal metric name: `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    static func name(_ label: String, ending: String = "") -> String {
        let name = legal(label, allowing: ":")
        return name.hasSuffix(ending) ? name : name + ending
    }

    /// `{a="1",b="2"}` in the order of the names, empty without labels; of a repeated name the last counts.
    static func labels(_ pairs: [(String, String)]) -> String {
        let unique = Dictionary(pairs.map { (legal($0.0, allowing: ""), $0.1) }) { _, last in last }
        guard !unique.isEmpty else { return "" }
        let parts = unique.sorted { $0.key < $1.key }.map { "\($0.key)=\"\(escaped($0.value))\"" }
        return "{\(parts.joined(separator: ","))}"
    }

    static func adding(_ name: String, _ value: String, to labels: String) -> String {
        let last = "\(name)=\"\(value)\"}"
        return labels.isEmpty ? "{\(last)" : "\(labels.dropLast()),\(last)"
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private static func legal(_ label: String, allowing extra: String) -> String {
        var name = ""
        for scalar in label.unicodeScalars {
            let isLegal =
                switch scalar {
                case "a"..."z", "A"..."Z", "_": true
                case "0"..."9": !name.isEmpty
                default: extra.unicodeScalars.contains(scalar)
                }
            if !isLegal, name.isEmpty, ("0"..."9").contains(scalar) {
                name = "_\(scalar)"
            } else {
                name += isLegal ? "\(scalar)" : "_"
            }
        }
        return name.isEmpty ? "_" : name
    }
}
