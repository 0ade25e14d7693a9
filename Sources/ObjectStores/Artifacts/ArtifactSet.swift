import Foundation
import Workflow

/// The files of a run as they are visible: together or not at all.
///
/// JSON: `{"version": 1, "attempt": 2, "folder": "files-2-9fk3…", "artifacts": [{"name": "model.safetensors",
/// "bytes": 1048576, "sha256": "…", "media_type": "application/octet-stream"}]}`.
package struct ArtifactSet: Codable, Sendable, Equatable {
    package struct Entry: Codable, Sendable, Equatable {
        package var name: String
        package var bytes: Int64
        /// Lower-case hexadecimal.
        package var sha256: String
        package var mediaType: String

        enum CodingKeys: String, CodingKey {
            case name, bytes, sha256
            case mediaType = "media_type"
        }
    }

    static let versionNow = 1
    /// A set has some dozens of files.
    static let entriesMax = 1_000
    static let bytesMax = 1 << 20
    /// The object that makes a set visible.
    static let pointerName = "artifacts.json"
    static let folderWord = "files"

    package var version = versionNow
    package var attempt: Int
    /// Beside the pointer; holds this set's files and nothing else.
    package var folder: String
    package var artifacts: [Entry]

    package func entry(_ name: String) -> Entry? { artifacts.first { $0.name == name } }

    var json: [UInt8] {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
        }
    }
}

/// A file to be published.
package struct Artifact: Sendable {
    /// A legal part of a key, e.g. `model.safetensors`.
    package var name: String
    package var content: ObjectContent

    package init(_ name: String, _ content: ObjectContent) {
        self.name = name
        self.content = content
    }
}
