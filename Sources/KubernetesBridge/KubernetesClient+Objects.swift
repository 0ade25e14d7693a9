import FoundationEssentials

/// Labels an object must have.
package struct LabelSelector: Sendable, Hashable {
    package var labels: [String: String]

    package init(_ labels: [String: String]) {
        self.labels = labels
    }

    package var text: String {
        labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ",")
    }
}

/// What becomes of an object's dependents, e.g. a Job's pods. Without one a Job's pods would stay.
package enum DeletionPropagation: String, Sendable {
    /// The object goes after they are gone.
    case foreground = "Foreground"
    /// They go after the object.
    case background = "Background"
}

private struct DeleteOptions: Encodable {
    struct Preconditions: Encodable { var uid: String }

    var apiVersion = "v1"
    var kind = "DeleteOptions"
    var preconditions: Preconditions
    var propagationPolicy: String
}

extension KubernetesClient {
    /// Creates an object from JSON; its name must be in it.
    ///
    /// - Throws: ``KubernetesError``: `alreadyExists`, also when an earlier try did create it unheard.
    package func create<Object>(
        _ kind: ResourceKind<Object>, name: String, json: [UInt8]
    ) async throws(KubernetesError) -> Object {
        var call = Call(verb: "create", resource: kind.plural, name: name, method: .post, path: path(kind))
        call.contentType = "application/json"
        call.body = json
        return try decode(Object.self, try await send(call).body, call.operation)
    }

    package func get<Object>(
        _ kind: ResourceKind<Object>, name: String
    ) async throws(KubernetesError) -> Object {
        let call = Call(verb: "get", resource: kind.plural, name: name, path: path(kind, name))
        return try decode(Object.self, try await send(call).body, call.operation)
    }

    /// The next piece of a list.
    ///
    /// - Parameters:
    ///   - fields: a field selector, e.g. `involvedObject.uid=…`; empty: none.
    ///   - page: ``ObjectPage/next`` of the piece before; nil begins.
    ///   - purpose: whose share of the rate limit it takes.
    /// - Throws: ``KubernetesError``: `expired` when the list took too long: begin anew.
    package func page<Object>(
        _ kind: ResourceKind<Object>, _ selector: LabelSelector, fields: String = "",
        after page: String? = nil, for purpose: RequestPurpose = .work
    ) async throws(KubernetesError) -> ObjectPage<Object> {
        var call = Call(verb: "list", resource: kind.plural, path: path(kind))
        call.purpose = purpose
        call.query = [("limit", String(limits.pageObjectsMax))]
        if !selector.labels.isEmpty { call.query.append(("labelSelector", selector.text)) }
        if !fields.isEmpty { call.query.append(("fieldSelector", fields)) }
        if let page { call.query.append(("continue", page)) }
        return try decode(ObjectPage<Object>.self, try await send(call).body, call.operation)
    }

    /// A whole list, piece by piece; begins anew when it expires under way.
    ///
    /// - Parameter objectsMax: more objects than this are an error: whoever asks keeps them in memory.
    package func list<Object>(
        _ kind: ResourceKind<Object>, _ selector: LabelSelector, fields: String = "",
        objectsMax: Int = 100_000
    ) async throws(KubernetesError) -> ObjectPage<Object> {
        var beginnings = 1
        var all = try await page(kind, selector, fields: fields)
        while let next = all.next {
            do throws(KubernetesError) {
                let more = try await page(kind, selector, fields: fields, after: next)
                all.items += more.items
                all.next = more.next
                all.resourceVersion = more.resourceVersion
            } catch  where error.code == .expired && beginnings < 3 {
                beginnings += 1
                all = try await page(kind, selector, fields: fields)
            }
            guard all.items.count <= objectsMax else {
                throw KubernetesError(
                    .malformed, operation: "list \(kind.plural)",
                    detail: "there are more than \(objectsMax) of \(selector.text)")
            }
        }
        return all
    }

    /// Deletes the object of that name if it still is the one with that uid.
    ///
    /// - Throws: ``KubernetesError``: `notFound`, or `conflict` when another object has the name now.
    package func delete<Object>(
        _ kind: ResourceKind<Object>, name: String, uid: String, _ propagation: DeletionPropagation
    ) async throws(KubernetesError) {
        var call = Call(
            verb: "delete", resource: kind.plural, name: name, method: .delete, path: path(kind, name))
        call.contentType = "application/json"
        call.body = try encode(
            DeleteOptions(preconditions: .init(uid: uid), propagationPolicy: propagation.rawValue),
            call.operation)
        _ = try await send(call)
    }

    /// Changes members of an object (RFC 7386).
    package func mergePatch<Object>(
        _ kind: ResourceKind<Object>, name: String, json: [UInt8]
    ) async throws(KubernetesError) -> Object {
        var call = patch(kind, name, json)
        call.contentType = "application/merge-patch+json"
        return try decode(Object.self, try await send(call).body, call.operation)
    }

    /// Server-side apply: what the JSON says is ours from now on; what it no longer says is dropped.
    ///
    /// - Throws: ``KubernetesError``: `conflict` when a field belongs to another manager.
    package func apply<Object>(
        _ kind: ResourceKind<Object>, name: String, json: [UInt8], manager: String
    ) async throws(KubernetesError) -> Object {
        var call = patch(kind, name, json)
        // JSON is YAML.
        call.contentType = "application/apply-patch+yaml"
        call.query = [("fieldManager", manager)]
        return try decode(Object.self, try await send(call).body, call.operation)
    }

    /// What the cluster noted about an object, the oldest first.
    package func events(about uid: String) async throws(KubernetesError) -> [EventObject] {
        let all = try await list(.events, LabelSelector([:]), fields: "involvedObject.uid=\(uid)")
        return all.items.sorted { ($0.lastTimestamp ?? "") < ($1.lastTimestamp ?? "") }
    }

    private func patch<Object>(_ kind: ResourceKind<Object>, _ name: String, _ json: [UInt8]) -> Call {
        var call = Call(
            verb: "patch", resource: kind.plural, name: name, method: .patch, path: path(kind, name))
        call.body = json
        return call
    }

    private func encode(_ value: some Encodable, _ operation: String) throws(KubernetesError) -> [UInt8] {
        do {
            return Array(try JSONEncoder().encode(value))
        } catch {
            throw KubernetesError(.invalid, operation: operation, detail: "it cannot be written: \(error)")
        }
    }
}
