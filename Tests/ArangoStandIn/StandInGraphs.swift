/// A named graph of the stand-in.
struct StandInGraph: Sendable {
    var name: String
    var revision: String
    var edgeDefinitions: [JSON]

    var json: JSON {
        [
            "_key": .string(name), "_id": .string("_graphs/\(name)"), "_rev": .string(revision),
            "name": .string(name), "edgeDefinitions": .array(edgeDefinitions), "orphanCollections": [],
        ]
    }
}

extension StandInArangoDB {
    /// `/_api/gharial`: creates, shows, lists and drops named graphs.
    func graph(_ request: StandInRequest, _ rest: [String]) throws(StandInError) -> StandInReply {
        let graphs = databases[request.database]?.graphs ?? [:]
        guard let name = rest.first else {
            if request.method == "POST" { return try createGraph(request, graphs) }
            let all = graphs.values.sorted { $0.name < $1.name }.map(\.json)
            return .management(200, ["graphs": .array(all)])
        }
        guard let found = graphs[name] else {
            throw StandInError(status: 404, number: 1_924, message: "graph '\(name)' not found")
        }
        switch request.method {
        case "GET": return .management(200, ["graph": found.json])
        case "DELETE":
            databases[request.database]?.graphs[name] = nil
            if request.flag("dropCollections") {
                for collection in found.collections {
                    databases[request.database]?.collections[collection] = nil
                }
            }
            return .management(202, ["removed": true])
        default: throw .unknownPath
        }
    }

    private func createGraph(
        _ request: StandInRequest, _ graphs: [String: StandInGraph]
    ) throws(StandInError) -> StandInReply {
        guard let body = request.json, let name = body["name"]?.string,
            let definitions = body["edgeDefinitions"]?.array, StandInCollection.isLegalKey(name)
        else { throw .badRequest("a graph has a name and edge definitions") }
        guard graphs[name] == nil else {
            throw StandInError(status: 409, number: 1_925, message: "graph already exists")
        }
        let graph = StandInGraph(name: name, revision: makeRevision(), edgeDefinitions: definitions)
        for definition in definitions {
            let edges = definition["collection"]?.string ?? ""
            for collection in graph.collections
            where databases[request.database]?.collections[collection] == nil {
                save(
                    StandInCollection(
                        id: makeID(), name: collection, type: collection == edges ? 3 : 2, waitForSync: false),
                    in: request.database)
            }
            guard try find(edges, in: request.database).type == 3 else {
                throw StandInError(
                    status: 400, number: 1_218, message: "\(edges) is no collection of edges")
            }
        }
        databases[request.database]?.graphs[name] = graph
        var reply = StandInReply.management(
            request.flag("waitForSync") ? 201 : 202, ["graph": graph.json])
        reply.headers["etag"] = graph.revision
        return reply
    }
}

extension StandInGraph {
    /// Those of its edges and of what they join.
    var collections: Set<String> {
        Set(
            edgeDefinitions.flatMap { definition in
                let ends = (definition["from"]?.array ?? []) + (definition["to"]?.array ?? [])
                return ends.compactMap(\.string) + [definition["collection"]?.string].compactMap { $0 }
            })
    }
}
