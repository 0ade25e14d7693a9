import ObjectStores
import QueueManager
import ServiceRuntime
import Workflow

extension ModelFiles {
    /// In the object store that workers are told of; it is opened when there is something to remove.
    ///
    /// Settings that do not fit each other end a removal, not the start: who removes nothing needs none.
    init(_ values: SettingValues) {
        self.init { (place, folder) throws(ObjectStoreError) in
            let operation = "remove \(place)"
            let choice: ObjectStoreChoice
            do throws(SettingsError) {
                choice = try ObjectStoreChoice(values)
            } catch {
                throw ObjectStoreError(
                    .invalid, operation: operation,
                    detail: error.problems.map { "\($0)" }.joined(separator: "; "))
            }
            guard let prefix = ObjectPrefix(place.rawValue) else {
                preconditionFailure("a model's place is legal in keys")
            }
            let store = choice.open()
            do throws(ObjectStoreError) {
                try await ArtifactShelf(store, at: prefix).remove(folder: folder)
            } catch {
                await store.close()
                throw error
            }
            await store.close()
        }
    }
}
