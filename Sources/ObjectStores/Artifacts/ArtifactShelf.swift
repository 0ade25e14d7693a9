import Crypto
import Foundation
import MarketData
import Workflow

/// Publishes sets of files in one place of an object store, and reads the one that is published.
///
/// The files go under a folder of their own; one small object, put last, names that folder and makes all of
/// them visible at once. A writer that dies before leaves nothing that anybody reads, and the next one
/// removes it.
package struct ArtifactShelf: Sendable {
    private let store: any ObjectStore
    /// E.g. `models/btc-direction/wf-candles_to_model-20240801-abc123`.
    package let place: ObjectPrefix

    package init(_ store: any ObjectStore, at place: ObjectPrefix) {
        self.store = store
        self.place = place
    }

    /// Puts all files and then makes them visible, in place of an older set; what earlier attempts left is
    /// removed.
    ///
    /// - Parameters:
    ///   - attempt: a set of a higher attempt is not replaced. Two attempts that publish in the same moment must be
    ///     kept apart by their lease: object stores know no transaction.
    ///   - willShow: called when all files are there and nobody sees them yet.
    /// - Throws: ``ObjectStoreError``; `superseded` when a higher attempt has published. The older set is
    ///   then as it was.
    @discardableResult
    package func publish(
        _ artifacts: [Artifact], attempt: Int, willShow: () -> Void = {}
    ) async throws(ObjectStoreError) -> ArtifactSet {
        let operation = "publish \(place)"
        guard artifacts.count <= ArtifactSet.entriesMax, Set(artifacts.map(\.name)).count == artifacts.count
        else {
            throw ObjectStoreError(
                .invalid, operation: operation, detail: "too many files, or two of one name")
        }
        try await refuse(attempt, operation)
        // Now, not at the end: a later attempt may be writing by then.
        try await store.discardUnfinished(under: place)
        let random = String(UInt64.random(in: 0 ... .max), radix: 36)
        var set = ArtifactSet(
            attempt: attempt, folder: "\(ArtifactSet.folderWord)-\(attempt)-\(random)", artifacts: [])
        for artifact in artifacts {
            let key = try key(artifact.name, in: set, operation)
            let sha256 = try await digest(artifact, operation)
            try await store.put(key, artifact.content)
            set.artifacts.append(
                ArtifactSet.Entry(
                    name: artifact.name, bytes: artifact.content.byteCount, sha256: sha256,
                    mediaType: artifact.content.mediaType))
        }
        do throws(ObjectStoreError) {
            try await refuse(attempt, operation)
        } catch {
            if error.code == .superseded {
                try await removeFolders(operation) { [folder = set.folder] in $0 == folder }
            }
            throw error
        }
        let json: [UInt8]
        do { json = try set.json } catch {
            throw ObjectStoreError(
                .invalid, operation: operation, detail: "the set cannot be encoded: \(error)")
        }
        willShow()
        try await store.put(try pointer(operation), ObjectContent(json, mediaType: "application/json"))
        try await removeOlder(than: set, operation)
        return set
    }

    /// - Throws: ``ObjectStoreError``: `superseded` when a higher attempt has published.
    private func refuse(_ attempt: Int, _ operation: String) async throws(ObjectStoreError) {
        guard let present = try await published(), present.attempt > attempt else { return }
        throw ObjectStoreError(
            .superseded, operation: operation, detail: "attempt \(present.attempt) has published already")
    }

    /// The set that is visible; nil when there is none.
    ///
    /// - Throws: ``ObjectStoreError``: `corrupt` when it cannot be understood.
    package func published() async throws(ObjectStoreError) -> ArtifactSet? {
        let operation = "read the artifacts of \(place)"
        let pointer = try pointer(operation)
        do {
            let bytes = try await store.bytes(pointer, bytesMax: ArtifactSet.bytesMax)
            let set = try JSONDecoder().decode(ArtifactSet.self, from: Data(bytes))
            guard set.version == ArtifactSet.versionNow else {
                let detail = "\(pointer) is of version \(set.version), known is \(ArtifactSet.versionNow)"
                throw ObjectStoreError(.corrupt, operation: operation, detail: detail)
            }
            return set
        } catch let error as ObjectStoreError {
            if error.code == .notFound { return nil }
            throw error
        } catch {
            throw ObjectStoreError(.corrupt, operation: operation, detail: "\(pointer): \(error)")
        }
    }

    /// Passes a file of a set to `body` in pieces, and checks it against the set.
    ///
    /// - Throws: ``ObjectStoreError``: `notFound`, also when another set has taken this one's place meanwhile;
    ///   `corrupt`, after the pieces, when they are not what was published.
    package func read(
        _ name: String, of set: ArtifactSet, body: @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        let operation = "read \(name) of \(place)"
        guard let entry = set.entry(name) else {
            throw ObjectStoreError(.notFound, operation: operation, detail: "the set has no such file")
        }
        let hash = RunningHash()
        try await store.get(try key(name, in: set, operation), range: nil) { piece in
            await hash.add(piece)
            try await body(piece)
        }
        guard await hash.hexText == entry.sha256 else {
            throw ObjectStoreError(.corrupt, operation: operation, detail: "it does not fit its SHA-256")
        }
    }

    /// Removes one set of the place, first what makes it visible; a set that another writer has published meanwhile
    /// stays.
    ///
    /// A repeat finishes what was begun: while the folder is named by nobody, nobody reads it.
    ///
    /// - Parameter folder: ``ArtifactSet/folder`` of the set.
    /// - Throws: ``ObjectStoreError``.
    package func remove(folder: String) async throws(ObjectStoreError) {
        let operation = "remove \(folder) of \(place)"
        if try await published()?.folder == folder { try await store.delete(try pointer(operation)) }
        try await removeFolders(operation) { $0 == folder }
    }

    /// Removes the folders that earlier attempts left.
    private func removeOlder(than set: ArtifactSet, _ operation: String) async throws(ObjectStoreError) {
        try await removeFolders(operation) { folder in
            let parts = folder.split(separator: "-")
            guard folder != set.folder, parts.count == 3, parts[0] == ArtifactSet.folderWord else {
                return false
            }
            return Int(parts[1]).map { $0 <= set.attempt } ?? false
        }
    }

    private func removeFolders(
        _ operation: String, where isGone: @escaping @Sendable (String) -> Bool
    ) async throws(ObjectStoreError) {
        let length = place.rawValue.utf8.count
        let gone = Collected()
        do {
            try await store.list(place) { infos in
                await gone.add(
                    infos.map(\.key).filter { key in
                        let rest = key.rawValue.utf8.dropFirst(length)
                        guard let slash = rest.firstIndex(of: UInt8(ascii: "/")) else { return false }
                        return isGone(String(rest[..<slash]) ?? "")
                    })
            }
        } catch {
            throw error as? ObjectStoreError
                ?? ObjectStoreError(.unavailable, operation: operation, detail: "\(error)")
        }
        for key in await gone.keys { try await store.delete(key) }
    }

    private func digest(_ artifact: Artifact, _ operation: String) async throws(ObjectStoreError) -> String {
        let pieceBytes: Int64 = 1 << 20
        var hash = SHA256()
        var start: Int64 = 0
        do {
            while start < artifact.content.byteCount {
                let end = min(start + pieceBytes, artifact.content.byteCount)
                hash.update(data: try await artifact.content.read(start..<end))
                start = end
            }
        } catch {
            let detail = "\(artifact.name) cannot be read: \(error)"
            throw ObjectStoreError(.invalid, operation: operation, detail: detail)
        }
        return hash.finalize().hexText
    }

    private func key(
        _ name: String, in set: ArtifactSet, _ operation: String
    ) throws(ObjectStoreError) -> ObjectKey {
        guard !name.contains("/"), let key = place.folder(set.folder)?.key(name) else {
            throw ObjectStoreError(
                .invalid, operation: operation, detail: "\(name.prefix(128)) is no file's name")
        }
        return key
    }

    private func pointer(_ operation: String) throws(ObjectStoreError) -> ObjectKey {
        guard let key = place.key(ArtifactSet.pointerName) else {
            throw ObjectStoreError(.invalid, operation: operation, detail: "the place's name is too long")
        }
        return key
    }
}

private actor RunningHash {
    private var hash = SHA256()

    func add(_ bytes: [UInt8]) { hash.update(data: bytes) }
    var hexText: String { hash.finalize().hexText }
}

private actor Collected {
    private(set) var keys: [ObjectKey] = []

    func add(_ more: [ObjectKey]) { keys += more }
}
