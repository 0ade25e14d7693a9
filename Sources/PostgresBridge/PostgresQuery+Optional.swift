extension PostgresQuery.StringInterpolation {
    /// Binds a value or NULL: `\(optional: reason)`. The label says so, since a bare optional in an
    /// interpolation is most often a mistake and the compiler warns of it.
    package mutating func appendInterpolation(optional value: (some PostgresEncodable)?) {
        appendInterpolation(value)
    }
}
