import FoundationEssentials

/// JSON of messages and stored values: stable member order, so that equal values are equal bytes.
package enum MessageCodec {
    /// The longest message accepted, in bytes; a telemetry event is a few hundred.
    package static let bytesMax = 262_144

    package static func encode(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }

    package static func encodeText(_ value: some Encodable) throws -> String {
        String(decoding: try encode(value), as: UTF8.self)
    }

    /// The same bytes, at a small part of the cost.
    package static func encode(_ value: JSONValue) throws -> [UInt8] { try JSONText(value).bytes }

    package static func encodeText(_ value: JSONValue) throws -> String {
        String(decoding: try encode(value), as: UTF8.self)
    }

    /// - Throws: ``MessageError`` when the bytes are too long or not such a message.
    package static func decode<Value: Decodable>(
        _ type: Value.Type, from bytes: some Collection<UInt8>, bytesMax: Int = Self.bytesMax
    ) throws(MessageError) -> Value {
        guard bytes.count <= bytesMax else {
            throw MessageError(detail: "\(bytes.count) bytes, at most \(bytesMax) are read")
        }
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw MessageError(detail: Self.describe(error))
        } catch {
            throw MessageError(detail: "\(error)")
        }
    }

    package static func decode<Value: Decodable>(
        _ type: Value.Type, fromText text: String
    ) throws(MessageError) -> Value {
        try decode(type, from: Array(text.utf8))
    }

    private static func describe(_ error: DecodingError) -> String {
        switch error {
        case .keyNotFound(let key, let context): "\(path(context.codingPath + [key])) is missing"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            "\(path(context.codingPath)): \(context.debugDescription)"
        case .dataCorrupted(let context):
            context.codingPath.isEmpty
                ? "is no JSON" : "\(path(context.codingPath)): \(context.debugDescription)"
        @unknown default: "cannot be read"
        }
    }

    private static func path(_ keys: [any CodingKey]) -> String {
        keys.map(\.stringValue).joined(separator: ".")
    }
}

/// Why a message cannot be read.
package struct MessageError: Error, Sendable, Equatable, CustomStringConvertible {
    package var detail: String

    package init(detail: String) {
        self.detail = detail
    }

    package var description: String { detail }
}
