import ServiceLifecycle
import Workflow

/// Where the files of models are, as far as the queue-manager has to do with them.
package struct ModelFiles: Sendable {
    /// Removes the files in a folder of a model's place, what makes them visible first; what is gone is fine.
    package var remove: @Sendable (ModelPlace, _ folder: String) async throws(ObjectStoreError) -> Void

    package init(
        remove: @escaping @Sendable (ModelPlace, _ folder: String) async throws(ObjectStoreError) -> Void
    ) {
        self.remove = remove
    }

    /// For who has no object store.
    package static let nowhere = ModelFiles { (place, _) throws(ObjectStoreError) in
        throw ObjectStoreError(
            .invalid, operation: "remove \(place)", detail: "this queue-manager knows no object store")
    }
}

/// Removes models: the mark that hides one, then its files, then its row.
///
/// Killed anywhere between, a repeat goes on; who does not repeat it has it done by ``run()``.
struct ModelRemovals: Service {
    let store: ModelStore
    let files: ModelFiles
    let observe: UpkeepObserver

    static let interval = Duration.seconds(60)
    /// A round's; the next one goes on.
    private static let roundMax = 100

    func run() async throws {
        await upkeepLoop("model removal", every: Self.interval, observe: observe) { try await round() }
    }

    /// Goes on with what was begun. A model whose files cannot be removed holds up no other.
    func round() async throws {
        for removal in try await store.removals(limit: Self.roundMax) {
            do {
                try await finish(removal)
            } catch let error as ObjectStoreError {
                observe(.jobFailed(job: "model removal", error: error.description))
            }
        }
    }

    /// - Throws: ``RequestError`` with what is in the way; `unavailable` when the object store is.
    func remove(_ name: ModelName, version: Int) async throws {
        switch try await store.beginRemoval(name, version: version) {
        case .begun(let removal):
            do {
                try await finish(removal)
            } catch let error as ObjectStoreError {
                throw RequestError(
                    .unavailable,
                    "The model is not to be seen any more, but its files are not removed: \(error)",
                    hint: "It is tried again every minute, and by the same request")
            }
        case .missing: throw ModelRoutes.notFound(name, String(version))
        case .inStage(let stage):
            throw RequestError(
                .conflict, "Version \(version) of \(name) is in \(stage.rawValue)", field: "version",
                value: String(version), hint: "Promote another version, or put this one into archived first")
        case .inUse(let queueID):
            throw RequestError(
                .conflict, "The queue \(queueID) has trained version \(version) of \(name) or asks it",
                field: "version", value: String(version), hint: "Wait for its end, or stop it")
        }
    }

    private func finish(_ removal: ModelRemoval) async throws {
        // Without a folder nothing was ever published.
        if let folder = removal.folder { try await files.remove(removal.place, folder) }
        try await store.endRemoval(removal)
        observe(.modelRemoved(removal.place))
    }
}
