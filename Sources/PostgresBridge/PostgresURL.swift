internal import CPQ

/// Where the database is and who we are: a URL (`postgresql://user:password@host:5432/database`) or
/// libpq's `host=… dbname=…` form, checked.
///
/// Printing it never shows the password.
package struct PostgresURL: Sendable, Hashable, CustomStringConvertible {
    /// libpq's keywords and their values, in libpq's order.
    private(set) var options: [Option]

    struct Option: Sendable, Hashable {
        var keyword: String
        var value: String
    }

    /// - Throws: ``PostgresError`` `invalid`, without repeating the text: it may hold a password.
    package init(_ text: String) throws(PostgresError) {
        guard let parsed = PQconninfoParse(text, nil) else {
            throw PostgresError(
                .invalid, operation: "read the PostgreSQL URL",
                message: "not of the form postgresql://user:password@host:5432/database")
        }
        defer { PQconninfoFree(parsed) }
        options = []
        var option = parsed
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val {
                options.append(Option(keyword: String(cString: keyword), value: String(cString: value)))
            }
            option += 1
        }
    }

    /// - Parameters:
    ///   - host: a name, an address, or the folder of a Unix socket.
    ///   - password: nil for none.
    package init(host: String, port: Int, database: String, user: String, password: String?) {
        options = [
            Option(keyword: "host", value: host), Option(keyword: "port", value: String(port)),
            Option(keyword: "dbname", value: database), Option(keyword: "user", value: user),
        ]
        if let password { options.append(Option(keyword: "password", value: password)) }
    }

    package var host: String { self["host"] ?? self["hostaddr"] ?? "localhost" }
    package var port: Int { self["port"].flatMap { Int($0) } ?? 5432 }
    package var user: String { self["user"] ?? "" }
    package var database: String { self["dbname"] ?? user }

    /// The same server and user, another database.
    /// Follows a text that may change, e.g. a rotated secret; one that is no URL leaves this one in force.
    package func following(_ text: @escaping @Sendable () -> String?) -> @Sendable () -> PostgresURL {
        { text().flatMap { try? PostgresURL($0) } ?? self }
    }

    package func with(database: String) -> PostgresURL {
        setting("dbname", to: database)
    }

    package var description: String { "\(host):\(port)/\(database)" }

    /// The whole URL with the password, for a child process's environment; never for a log.
    package var revealed: String {
        var authority = Self.percentEncoded(user)
        if let password = self["password"] { authority += ":\(Self.percentEncoded(password))" }
        return
            "postgresql://\(authority)@\(Self.percentEncoded(host)):\(port)/\(Self.percentEncoded(database))"
    }

    subscript(keyword: String) -> String? {
        options.first { $0.keyword == keyword }?.value
    }

    func setting(_ keyword: String, to value: String) -> PostgresURL {
        var copy = self
        copy.options.removeAll { $0.keyword == keyword }
        copy.options.append(Option(keyword: keyword, value: value))
        return copy
    }

    /// Keeps the unreserved characters of RFC 3986 and escapes every other byte.
    private static func percentEncoded(_ text: String) -> String {
        text.utf8.map { byte in
            let scalar = Unicode.Scalar(byte)
            let isKept = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
            if isKept || "-._~".unicodeScalars.contains(scalar) { return String(Character(scalar)) }
            let digits = String(byte, radix: 16, uppercase: true)
            return byte < 16 ? "%0\(digits)" : "%\(digits)"
        }.joined()
    }
}
