import Foundation

/// An ArangoDB server in memory, as far as the store under test and python-arango need one.
///
/// It is no authority of its own: `RecordedExchangeTests` holds it to what a real server answered, and
/// `PythonArangoTests` to what the real driver understands. Ids and revisions are counted, so runs are alike.
actor StandInArangoDB {
    struct Database {
        let id: String
        var collections: [String: StandInCollection] = [:]
        var graphs: [String: StandInGraph] = [:]
    }

    struct Cursor {
        var rest: [JSON]
        var batchSize: Int
        var count: Int?
        /// Every batch tells the statistics of the query.
        var extra: JSON
        /// The batch `POST /_api/cursor/{id}/{n}` may ask for again.
        var lastBatch: (id: Int, reply: StandInReply)?
        var nextBatchID = 2
    }

    /// Something to go wrong, once, at the next request it fits.
    enum Fault: Sendable {
        /// 503 without doing anything.
        case unavailable(path: String)
        /// Does what is asked, then breaks the connection instead of answering.
        case loseReply(path: String)
        /// An import reports a write-write conflict for documents with these keys.
        case conflictingKeys(Set<String>)
        /// Forgets all tokens it gave.
        case forgetTokens
        /// Answers 200 with counters that are one too low.
        case miscount
    }

    let password: String?
    let tokenSeconds: Int
    var databases: [String: Database]
    var cursors: [String: Cursor] = [:]
    var mode = "default"
    private(set) var faults: [Fault] = []
    private(set) var requestCounts: [String: Int] = [:]
    private var tokens: Set<String> = []
    private var lastID = 1_000

    /// - Parameter password: of the user `root`; nil lets everybody in.
    init(password: String? = nil, tokenSeconds: Int = 3_600) {
        self.password = password
        self.tokenSeconds = tokenSeconds
        databases = ["_system": Database(id: "1")]
    }

    func inject(_ fault: Fault) { faults.append(fault) }
    func setMode(_ mode: String) { self.mode = mode }

    /// Those of a collection by key, in whichever database it is; nil where it is not.
    func documents(of collection: String) -> [String: [String: JSON]]? {
        databases.values.lazy.compactMap { $0.collections[collection]?.documents }.first
    }

    /// How often a path was asked for, e.g. `/_api/import`.
    func requestCount(_ path: String) -> Int { requestCounts[path] ?? 0 }

    /// - Returns: the reply; nil to break the connection.
    func reply(to request: StandInRequest) -> StandInReply? {
        let path = "/" + request.path.joined(separator: "/")
        requestCounts[path, default: 0] += 1
        if takeFault({ if case .forgetTokens = $0 { true } else { false } }) { tokens = [] }
        if takeFault({ if case .unavailable(let prefix) = $0 { path.hasPrefix(prefix) } else { false } }) {
            return StandInError.unavailable.reply
        }
        let mustLose = takeFault {
            if case .loseReply(let prefix) = $0 { path.hasPrefix(prefix) } else { false }
        }
        let reply: StandInReply
        do {
            reply = try dispatch(request)
        } catch {
            reply = error.reply
        }
        return mustLose ? nil : reply
    }

    func takeFault(_ fits: (Fault) -> Bool) -> Bool {
        guard let index = faults.firstIndex(where: fits) else { return false }
        faults.remove(at: index)
        return true
    }

    func takeConflictingKeys() -> Set<String> {
        for (index, fault) in faults.enumerated() {
            if case .conflictingKeys(let keys) = fault {
                faults.remove(at: index)
                return keys
            }
        }
        return []
    }

    func makeID() -> String {
        lastID += 1
        return String(lastID)
    }

    func makeRevision() -> String { "_r\(makeID())---" }

    // MARK: Dispatch

    private func dispatch(_ request: StandInRequest) throws(StandInError) -> StandInReply {
        let (method, path) = (request.method, request.path)
        switch (method, path.first, path.dropFirst().first) {
        case ("POST", "_open", "auth"): return try signIn(request)
        case ("GET", "_admin", "server"):
            return .management(200, ["mode": .string(mode)])
        default: break
        }
        try authorize(request)
        guard databases[request.database] != nil else {
            throw StandInError(status: 404, number: 1_228, message: "database not found")
        }
        guard path.first == "_api", path.count > 1 else { throw .unknownPath }
        let rest = Array(path.dropFirst(2))
        switch path[1] {
        case "version": return version()
        case "database": return try database(request, rest)
        case "collection": return try collection(request, rest)
        case "index": return try index(request, rest)
        case "document": return try document(request, rest)
        case "import": return try importDocuments(request)
        case "cursor": return try cursor(request, rest)
        case "gharial": return try graph(request, rest)
        default: throw .unknownPath
        }
    }

    private func version() -> StandInReply {
        StandInReply(
            200,
            [
                "server": "arango", "license": "enterprise", "version": "3.12.10", "apiVersions": ["v0"],
                "deprecatedApiVersions": [], "requestedApiVersion": "v0",
            ])
    }

    private func signIn(_ request: StandInRequest) throws(StandInError) -> StandInReply {
        guard let body = request.json, let user = body["username"]?.string,
            let given = body["password"]?.string
        else { throw .badRequest("failed to parse json object") }
        guard user == "root", given == (password ?? given) else {
            throw StandInError(status: 401, number: 401, message: "Wrong credentials")
        }
        let now = Int64(Date().timeIntervalSince1970)
        let claims: JSON = [
            "iss": "arangodb", "preferred_username": .string(user), "iat": .int(now),
            "exp": .int(now + Int64(tokenSeconds)),
        ]
        let parts = [JSON.object(["alg": "HS256", "typ": "JWT"]), claims].map { Self.base64URL($0.text) }
        let token = (parts + [Self.base64URL(Array(makeID().utf8))]).joined(separator: ".")
        tokens.insert(token)
        return StandInReply(200, ["jwt": .string(token)])
    }

    private func authorize(_ request: StandInRequest) throws(StandInError) {
        guard let password else { return }
        let parts = (request.headers["authorization"] ?? "").split(separator: " ", maxSplits: 1).map(
            String.init)
        guard parts.count == 2 else { throw .notAuthorized }
        let isAllowed =
            switch parts[0].lowercased() {
            case "bearer": tokens.contains(parts[1])
            case "basic": Data(base64Encoded: parts[1]) == Data("root:\(password)".utf8)
            default: false
            }
        if !isAllowed { throw .notAuthorized }
    }

    private static func base64URL(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString().replacing("+", with: "-").replacing("/", with: "_").replacing(
            "=", with: "")
    }

    // MARK: Databases

    private func database(_ request: StandInRequest, _ rest: [String]) throws(StandInError) -> StandInReply {
        switch (request.method, rest.first) {
        case ("GET", "current"):
            let id = databases[request.database]?.id ?? ""
            return .management(
                200,
                [
                    "result": [
                        "id": .string(id), "name": .string(request.database),
                        "isSystem": .bool(request.database == "_system"), "path": "none",
                    ]
                ])
        case ("GET", nil), ("GET", "user"):
            return .management(200, ["result": .array(databases.keys.sorted().map(JSON.string))])
        case ("POST", nil):
            guard let name = request.json?["name"]?.string else { throw .badRequest("expecting a name") }
            guard databases[name] == nil else {
                throw StandInError(status: 409, number: 1_207, message: "duplicate name")
            }
            databases[name] = Database(id: makeID())
            return .management(201, ["result": true])
        case ("DELETE", let name?):
            guard databases.removeValue(forKey: name) != nil else {
                throw StandInError(status: 404, number: 1_228, message: "database not found")
            }
            return .management(200, ["result": true])
        default: throw .unknownPath
        }
    }
}
