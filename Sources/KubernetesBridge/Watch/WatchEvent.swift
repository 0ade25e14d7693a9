import FoundationEssentials

/// One line of a watch.
package enum WatchEvent<Object: KubernetesObject>: Sendable {
    /// Added or modified: how it is now.
    case set(Object)
    /// How it was last.
    case removed(Object)
    /// Nothing happened up to this version.
    case bookmark(version: String)
    case failed(KubernetesError)
}

extension WatchEvent {
    private struct Wire: Decodable {
        enum Key: String, CodingKey { case type, object }
        var event: WatchEvent

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            switch try container.decode(String.self, forKey: .type) {
            case "ADDED", "MODIFIED": event = .set(try container.decode(Object.self, forKey: .object))
            case "DELETED": event = .removed(try container.decode(Object.self, forKey: .object))
            case "BOOKMARK":
                let object = try container.decode(PlainObject.self, forKey: .object)
                event = .bookmark(version: object.metadata.resourceVersion)
            case "ERROR":
                let status = try container.decode(StatusObject.self, forKey: .object)
                event = .failed(KubernetesError(status, code: status.code ?? 500, operation: "watch"))
            case let type:
                throw DecodingError.dataCorruptedError(
                    forKey: .type, in: container, debugDescription: "there is no event \(type)")
            }
        }
    }

    /// - Throws: ``KubernetesError`` `malformed`.
    package static func parse(_ line: [UInt8]) throws(KubernetesError) -> WatchEvent {
        do {
            return try JSONDecoder().decode(Wire.self, from: Data(line)).event
        } catch {
            throw KubernetesError(.malformed, operation: "watch", detail: "an event cannot be read: \(error)")
        }
    }

    /// Where a watch that follows goes on; nil after a failure.
    var version: String? {
        switch self {
        case .set(let object), .removed(let object): object.metadata.resourceVersion
        case .bookmark(let version): version
        case .failed: nil
        }
    }
}
