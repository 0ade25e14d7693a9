import PostgresBridge

/// Collects the parameters of a statement whose text depends on what is asked for.
struct QueryParts {
    private var parameters: [any PostgresEncodable] = []

    /// - Returns: the parameter's place in the text, `$n`.
    mutating func bind(_ value: some PostgresEncodable) -> String {
        parameters.append(value)
        return "$\(parameters.count)"
    }

    func query(_ sql: String) -> PostgresQuery { PostgresQuery(sql, parameters) }
}
