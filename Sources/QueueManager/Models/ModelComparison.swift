import Workflow

/// Two versions side by side: every measure of each model of both runs, and the first less the second.
///
/// Runs on other test parts are not the same exam: then the answer says so, and differences mean little.
struct ModelComparison {
    let first: ModelRow
    let second: ModelRow

    var answer: JSONValue {
        let same = ["task", "horizon_ms", "graph", "graph_version"].filter {
            first.detail[$0] == second.detail[$0]
        }
        return .object([
            "models": .array([ModelAnswer.summary(first), ModelAnswer.summary(second)]),
            "is_same_test": .bool(same.count == 4),
            "metrics": .object(metrics),
        ])
    }

    private var metrics: [String: JSONValue] {
        let left = first.detail["metrics"]?.members ?? [:]
        let right = second.detail["metrics"]?.members ?? [:]
        var all: [String: JSONValue] = [:]
        for model in Set(left.keys).union(right.keys) {
            let (ours, theirs) = (left[model]?.members ?? [:], right[model]?.members ?? [:])
            var rows: [String: JSONValue] = [:]
            for name in Set(ours.keys).union(theirs.keys) {
                rows[name] = Self.row(ours[name], theirs[name])
            }
            all[model] = .object(rows)
        }
        return all
    }

    private static func row(_ left: JSONValue?, _ right: JSONValue?) -> JSONValue {
        let values = [left, right].map { $0?.members?["value"]?.measure }
        let difference = values[0].flatMap { a in values[1].map { a - $0 } }
        return .object([
            "first": left ?? .null, "second": right ?? .null,
            "difference": difference.map { .number($0) } ?? .null,
        ])
    }
}

/// JSON shapes of models.
enum ModelAnswer {
    /// Without measures and files.
    static func summary(_ row: ModelRow) -> JSONValue {
        var members: [String: JSONValue] = [
            "name": .string(row.place.name.rawValue), "version": .integer(Int64(row.version)),
            "id": .string(row.place.id), "place": .string(row.place.rawValue),
            "stage": .string(row.stage.rawValue), "stage_since": .string(row.stageSince),
            "queue_id": .string(row.queueID), "step": .string(row.step), "created_at": .string(row.createdAt),
        ]
        for name in ["task", "horizon_ms", "graph", "graph_version", "graph_helps", "summary"] {
            members[name] = row.detail[name] ?? .null
        }
        return .object(members)
    }

    static func model(_ row: ModelRow) -> JSONValue {
        var members = summary(row).members ?? [:]
        for name in ["metrics", "files", "folder", "bytes", "weights_sha256", "epochs", "best_epoch"] {
            members[name] = row.detail[name] ?? .null
        }
        return .object(members)
    }
}

extension JSONValue {
    /// A measure, whole or not; nil for what is no number.
    var measure: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .number(let value): value
        default: nil
        }
    }
}
