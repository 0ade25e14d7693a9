/// The corner of AQL that the store, the recordings and python-arango's cursor calls use:
///
///     FOR v IN (collection | @@bind | n..m) [FILTER c AND c …] [SORT v.attr] [LIMIT n]
///         [COLLECT WITH COUNT INTO x] RETURN (v | v.attr | x | UNSET(v, "a", …))
///
/// and, in place of COLLECT, `REMOVE v IN (collection | @@bind) [OPTIONS { waitForSync: true }] RETURN OLD.attr`.
/// Anything else is a syntax error (1501), as it would be for a server that does not know the language.
struct StandInQuery {
    struct Result {
        var values: [JSON]
        /// Before LIMIT.
        var fullCount: Int
        var filtered: Int
        var scanned: Int
        /// What the query takes away.
        var removal: (collection: String, keys: [String])?
    }

    private struct Condition {
        var left: String
        var comparison: String
        var right: String
    }

    private let bindVars: [String: JSON]
    private var usedBinds: Set<String> = []
    private var tokens: ArraySlice<String>
    private var variable = ""

    init(_ text: String, bindVars: [String: JSON]) {
        self.bindVars = bindVars
        tokens = Self.tokenize(text)[...]
    }

    mutating func run(_ documents: (String) throws(StandInError) -> [JSON]) throws(StandInError) -> Result {
        try expect("FOR")
        variable = next()
        try expect("IN")
        let source = try sourceValues(documents)
        var values = source
        while take("FILTER") {
            var conditions = [try condition()]
            while take("AND") || take("&&") { conditions.append(try condition()) }
            var kept: [JSON] = []
            for value in values where try holds(conditions, for: value) { kept.append(value) }
            values = kept
        }
        let filtered = source.count - values.count
        var scanned = usesCollection ? source.count : 0
        let isSorted = take("SORT")
        if isSorted {
            let path = next()
            values.sort { languageOrder(attribute(path, of: $0) ?? nil, attribute(path, of: $1) ?? nil) < 0 }
        }
        let fullCount = values.count
        if take("LIMIT") {
            guard let limit = try operand(next(), for: nil).int else { throw syntaxError() }
            values = Array(values.prefix(limit))
            // Reading stops at the limit when nothing has to be looked at first.
            if !isSorted, filtered == 0 { scanned = min(scanned, limit) }
        }
        if take("COLLECT") {
            for word in ["WITH", "COUNT", "INTO"] { try expect(word) }
            variable = next()
            values = [.int(Int64(values.count))]
        }
        let removal = take("REMOVE") ? try self.removal(of: values) : nil
        try expect("RETURN")
        let results = try projection(values)
        guard tokens.isEmpty else { throw syntaxError() }
        if let extra = bindVars.keys.first(where: { !usedBinds.contains($0) }) {
            throw StandInError(
                status: 400, number: 1_552, message: "bind parameter '\(extra)' was not declared in the query"
            )
        }
        return Result(
            values: results, fullCount: fullCount, filtered: filtered,
            scanned: scanned, removal: removal)
    }

    /// What follows is said of the removed documents.
    private mutating func removal(
        of values: [JSON]
    ) throws(StandInError) -> (collection: String, keys: [String]) {
        try expect(variable)
        try expect("IN")
        let source = next()
        let name = source.hasPrefix("@@") ? try bound(String(source.dropFirst())).string : source
        if take("OPTIONS") { for word in ["{", "waitForSync:", "true", "}"] { try expect(word) } }
        variable = "OLD"
        return (name ?? "", values.compactMap { $0["_key"]?.string })
    }

    private var usesCollection = false

    private mutating func sourceValues(
        _ documents: (String) throws(StandInError) -> [JSON]
    ) throws(StandInError) -> [JSON] {
        let source = next()
        if let range = source.firstRange(of: ".."), let first = Int64(source[..<range.lowerBound]),
            let last = Int64(source[range.upperBound...])
        {
            return first <= last ? (first...last).map(JSON.int) : []
        }
        usesCollection = true
        guard source.hasPrefix("@@") else {
            guard StandInCollection.isLegalName(source) else { throw syntaxError() }
            return try documents(source)
        }
        guard let name = try bound(String(source.dropFirst())).string else {
            throw StandInError(
                status: 400, number: 1_553, message: "bind parameter '\(source)' has an invalid value or type"
            )
        }
        return try documents(name)
    }

    private mutating func condition() throws(StandInError) -> Condition {
        let condition = Condition(left: next(), comparison: next(), right: next())
        guard ["==", "<", "<=", ">", ">="].contains(condition.comparison) else { throw syntaxError() }
        // Declared is declared, also where there is nothing to compare.
        for side in [condition.left, condition.right] where side.hasPrefix("@") {
            _ = try bound(String(side.dropFirst()))
        }
        return condition
    }

    private mutating func holds(_ conditions: [Condition], for value: JSON) throws(StandInError) -> Bool {
        for condition in conditions {
            let order = languageOrder(
                try operand(condition.left, for: value), try operand(condition.right, for: value))
            let holds =
                switch condition.comparison {
                case "==": order == 0
                case "<": order < 0
                case "<=": order <= 0
                case ">": order > 0
                default: order >= 0
                }
            if !holds { return false }
        }
        return true
    }

    private mutating func operand(_ token: String, for value: JSON?) throws(StandInError) -> JSON {
        if token.hasPrefix("@") { return try bound(String(token.dropFirst())) }
        if token.hasPrefix("\"") { return .string(String(token.dropFirst().dropLast())) }
        if let number = Int64(token) { return .int(number) }
        guard let value, let found = attribute(token, of: value) else { throw syntaxError() }
        return found
    }

    private mutating func projection(_ values: [JSON]) throws(StandInError) -> [JSON] {
        let first = next()
        if first == "UNSET" {
            try expect("(")
            try expect(variable)
            var names: Set<String> = []
            while take(",") { names.insert(String(next().dropFirst().dropLast())) }
            try expect(")")
            return values.map { .object(($0.object ?? [:]).filter { !names.contains($0.key) }) }
        }
        var results: [JSON] = []
        for value in values {
            guard let found = attribute(first, of: value) else { throw syntaxError() }
            results.append(found)
        }
        return results
    }

    /// `v` or `v.name`; a missing attribute is null; nil when the path does not begin with the variable.
    private func attribute(_ path: String, of value: JSON) -> JSON? {
        if path == variable { return value }
        guard path.hasPrefix(variable + ".") else { return nil }
        return value[String(path.dropFirst(variable.count + 1))] ?? .null
    }

    private mutating func bound(_ name: String) throws(StandInError) -> JSON {
        guard let value = bindVars[name] else {
            throw StandInError(
                status: 400, number: 1_551,
                message: "no value specified for declared bind parameter '\(name)'")
        }
        usedBinds.insert(name)
        return value
    }

    private mutating func next() -> String { tokens.popFirst() ?? "" }

    private mutating func take(_ word: String) -> Bool {
        guard tokens.first == word else { return false }
        tokens.removeFirst()
        return true
    }

    private mutating func expect(_ word: String) throws(StandInError) {
        guard take(word) else { throw syntaxError() }
    }

    private func syntaxError() -> StandInError {
        let rest = tokens.joined(separator: " ")
        return StandInError(
            status: 400, number: 1_501,
            message: "syntax error, unexpected token near '\(rest)' at position 1:1")
    }

    private static func tokenize(_ text: String) -> [String] {
        var tokens: [String] = []
        var current = ""
        var isInString = false
        for character in text {
            if isInString {
                current.append(character)
                isInString = character != "\""
            } else if character == "\"" {
                current.append(character)
                isInString = true
            } else if character.isWhitespace || "(),".contains(character) {
                if !current.isEmpty { tokens.append(current) }
                current = ""
                if !character.isWhitespace { tokens.append(String(character)) }
            } else {
                current.append(character)
            }
        }
        return current.isEmpty ? tokens : tokens + [current]
    }
}

/// AQL's order: null, booleans, numbers, strings; strings by language rules, where case decides last and
/// lower case comes first (the root collation). Negative: left comes first.
func languageOrder(_ left: JSON, _ right: JSON) -> Int {
    func rank(_ value: JSON) -> Int {
        switch value {
        case .null: 0
        case .bool: 1
        case .int, .double: 2
        case .string: 3
        case .array: 4
        case .object: 5
        }
    }
    func number(_ value: JSON) -> Double {
        switch value {
        case .int(let value): Double(value)
        case .double(let value): value
        case .bool(let value): value ? 1 : 0
        default: 0
        }
    }
    guard rank(left) == rank(right) else { return rank(left) - rank(right) }
    guard let leftText = left.string, let rightText = right.string else {
        let (left, right) = (number(left), number(right))
        return left < right ? -1 : left > right ? 1 : 0
    }
    return languageOrder(leftText, rightText)
}

private func languageOrder(_ left: String, _ right: String) -> Int {
    // Punctuation, digits, letters without regard to case; that is also the order in ASCII once folded.
    let (foldedLeft, foldedRight) = (left.lowercased(), right.lowercased())
    if foldedLeft != foldedRight {
        func weights(_ text: String) -> [UInt32] {
            text.unicodeScalars.map { scalar in
                scalar.properties.isAlphabetic
                    ? 2_000_000 + scalar.value
                    : ("0"..."9").contains(scalar) ? 1_000_000 + scalar.value : scalar.value
            }
        }
        return weights(foldedLeft).lexicographicallyPrecedes(weights(foldedRight)) ? -1 : 1
    }
    if left == right { return 0 }
    // Same letters: the first one that differs in case decides, lower case first.
    return left.unicodeScalars.lexicographicallyPrecedes(right.unicodeScalars) ? 1 : -1
}
