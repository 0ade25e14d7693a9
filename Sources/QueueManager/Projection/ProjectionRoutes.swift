import Hummingbird
import Workflow

/// `POST /admin/projection/rebuild`.
package struct ProjectionRoutes: Sendable {
    let store: ProjectionStore
    /// nil: the projection is off.
    let collection: CollectionName?

    package func add(to router: Router<BasicRequestContext>) {
        router.post("admin/projection/rebuild") { _, _ in try await rebuild() }
    }

    private func rebuild() async throws -> Response {
        guard let collection else {
            throw RequestError(
                .conflict, "There is no projection", hint: "Set QUEUES_COLLECTION, e.g. to queues")
        }
        try await store.requestRebuild(of: collection.rawValue)
        return try JSONAnswer.response(.accepted, .object(["collection": .string(collection.rawValue)]))
    }
}
