/// The name that the versions of a model share, e.g. `btc_direction`; part of object keys and of addresses.
package struct ModelName: ValidatedName {
    package static let charactersMax = 63
    package static let rules =
        "1 to \(charactersMax) of A-Z, a-z, 0-9, _ and -, beginning with a letter, e.g. market_direction"

    package let rawValue: String

    package init?(_ rawValue: String) {
        let bytes = rawValue.utf8
        guard let first = bytes.first, bytes.count <= Self.charactersMax, first.isASCIILetter,
            bytes.allSatisfy({ $0.isASCIILetter || $0.isASCIIDigit || $0 == 0x5f || $0 == 0x2d })
        else { return nil }
        self.rawValue = rawValue
    }
}

/// Where a trained model is kept in the object store: `models/<name>/<id>`.
///
/// The id follows from what the model was trained with, so the same training has the same place.
package struct ModelPlace: ValidatedName {
    package static let rules = "models/<name>/<16 hexadecimal digits>"
    private static let folder = "models"

    package let name: ModelName
    /// 16 hexadecimal digits.
    package let id: String

    package var rawValue: String { "\(Self.folder)/\(name)/\(id)" }

    package init?(_ rawValue: String) {
        let parts = rawValue.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0] == Self.folder, let name = ModelName(String(parts[1])) else {
            return nil
        }
        self.init(name, id: String(parts[2]))
    }

    /// nil unless `id` is 16 hexadecimal digits.
    package init?(_ name: ModelName, id: String) {
        guard GraphVersionID(id) != nil else { return nil }
        self.name = name
        self.id = id
    }
}
