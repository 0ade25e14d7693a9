import GNNTraining
import ObjectStores
import Workflow

/// Keeps the trainer's checkpoints in the object store, so that an attempt on another machine goes on from them.
///
/// A checkpoint belongs to one training, which is repeatable: an old attempt that writes an older one costs the
/// next one time and changes no result.
actor CheckpointMirror {
    static let bytesMax = 1 << 30
    private static let mediaType = "application/octet-stream"

    private let store: any ObjectStore
    private let place: ObjectPrefix
    private let folder: DurableFolder
    private let names: [String]
    /// As they were when they were copied.
    private var copied: [String: FileVersion] = [:]

    init(_ store: any ObjectStore, at place: ObjectPrefix, _ folder: DurableFolder, names: [String]) {
        self.store = store
        self.place = place
        self.folder = folder
        self.names = names
    }

    /// Brings those that are there here.
    ///
    /// - Throws: ``ObjectStoreError``, ``TrainingError`` `storage`.
    func fetch() async throws {
        for name in names {
            guard let key = place.key(name), try await store.info(key) != nil else { continue }
            try folder.write(name, try await store.bytes(key, bytesMax: Self.bytesMax))
            copied[name] = FileVersion(path: "\(folder.path)/\(name)")
        }
    }

    /// Copies those that have changed since.
    ///
    /// - Throws: ``ObjectStoreError``, ``ObjectFileError``.
    func copy() async throws {
        for name in names {
            let path = "\(folder.path)/\(name)"
            guard let key = place.key(name), let version = FileVersion(path: path), version != copied[name]
            else { continue }
            try await store.put(key, try .file(path, mediaType: Self.mediaType))
            copied[name] = version
        }
    }

    /// Removes what a training left at `place`, also one that another attempt ended: nobody needs it any more.
    static func remove(
        _ names: [String], at place: ObjectPrefix, of store: any ObjectStore
    ) async throws(ObjectStoreError) {
        for name in names {
            if let key = place.key(name) { try await store.delete(key) }
        }
    }
}
