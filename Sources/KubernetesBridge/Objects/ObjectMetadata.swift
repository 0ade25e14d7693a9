/// What every object of the API server tells about itself, as far as we read it.
package struct ObjectMetadata: Sendable, Hashable, Decodable {
    package struct Owner: Sendable, Hashable, Decodable {
        package var kind: String
        package var uid: String
    }

    package var name: String
    package var namespace: String?
    /// No other object ever has it, also not one of the same name.
    package var uid: String
    /// Opaque; only ever handed back.
    package var resourceVersion: String
    package var labels: [String: String]
    package var annotations: [String: String]
    /// RFC 3339, the server's clock, whole seconds.
    package var creationTimestamp: String?
    /// Set once somebody asked for its deletion.
    package var deletionTimestamp: String?
    package var owners: [Owner]

    private enum CodingKeys: String, CodingKey {
        case name, namespace, uid, resourceVersion, labels, annotations, ownerReferences
        case creationTimestamp, deletionTimestamp
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        // A bookmark has none but the version.
        name = try container.decodeIfPresent(String.self, forKey: .name) ?? ""
        namespace = try container.decodeIfPresent(String.self, forKey: .namespace)
        uid = try container.decodeIfPresent(String.self, forKey: .uid) ?? ""
        resourceVersion = try container.decodeIfPresent(String.self, forKey: .resourceVersion) ?? ""
        labels = try container.decodeIfPresent([String: String].self, forKey: .labels) ?? [:]
        annotations = try container.decodeIfPresent([String: String].self, forKey: .annotations) ?? [:]
        creationTimestamp = try container.decodeIfPresent(String.self, forKey: .creationTimestamp)
        deletionTimestamp = try container.decodeIfPresent(String.self, forKey: .deletionTimestamp)
        owners = try container.decodeIfPresent([Owner].self, forKey: .ownerReferences) ?? []
    }
}

/// An object of the API server, with the fields that somebody here reads.
package protocol KubernetesObject: Decodable, Sendable {
    var metadata: ObjectMetadata { get }
}

/// A piece of a list; `next` asks for the piece after it.
package struct ObjectPage<Object: KubernetesObject>: Sendable {
    package var items: [Object]
    /// Of the whole list, for the watch that follows.
    package var resourceVersion: String
    package var next: String?
}

extension ObjectPage: Decodable {
    private struct ListMetadata: Decodable {
        var resourceVersion: String?
        var `continue`: String?
    }

    private enum CodingKeys: String, CodingKey { case metadata, items }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        items = try container.decodeIfPresent([Object].self, forKey: .items) ?? []
        let metadata = try container.decode(ListMetadata.self, forKey: .metadata)
        resourceVersion = metadata.resourceVersion ?? ""
        next = metadata.continue.flatMap { $0.isEmpty ? nil : $0 }
    }
}

/// Where objects of one kind are found, and as what they are read.
package struct ResourceKind<Object: KubernetesObject>: Sendable {
    /// e.g. `apis/batch/v1` or `api/v1`.
    package var groupPath: String
    /// e.g. `jobs`.
    package var plural: String

    package init(groupPath: String, plural: String) {
        self.groupPath = groupPath
        self.plural = plural
    }
}

extension ResourceKind where Object == JobObject {
    package static var jobs: Self { Self(groupPath: "apis/batch/v1", plural: "jobs") }
}

extension ResourceKind where Object == PodObject {
    package static var pods: Self { Self(groupPath: "api/v1", plural: "pods") }
}

extension ResourceKind where Object == EventObject {
    package static var events: Self { Self(groupPath: "api/v1", plural: "events") }
}

/// An object of which only the metadata is read.
package struct PlainObject: KubernetesObject, Hashable {
    package var metadata: ObjectMetadata
}

extension ResourceKind where Object == PlainObject {
    package static var configMaps: Self { Self(groupPath: "api/v1", plural: "configmaps") }
    package static var secrets: Self { Self(groupPath: "api/v1", plural: "secrets") }
}
