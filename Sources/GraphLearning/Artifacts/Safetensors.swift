internal import Foundation

/// The safetensors format: the length of a JSON header in 8 bytes, the header, the values.
///
/// Written and read here for 32-bit floats, little-endian, row-major; the header is padded with spaces so that values
/// begin at a multiple of 8. The specification: https://github.com/huggingface/safetensors
package struct Safetensors: Sendable, Equatable {
    package struct Tensor: Sendable, Equatable {
        package var name: String
        package var shape: [Int]
        package var values: [Float]

        package init(_ name: String, shape: [Int], _ values: [Float]) {
            self.name = name
            self.shape = shape
            self.values = values
        }
    }

    /// Why bytes are no safetensors file that can be read here.
    package struct FormatError: Error, Sendable, Equatable, CustomStringConvertible {
        package var description: String
    }

    package static let headerBytesMax = 64 << 20

    /// In the order of the file.
    package var tensors: [Tensor]
    package var metadata: [String: String]

    package init(_ tensors: [Tensor], metadata: [String: String] = [:]) {
        self.tensors = tensors
        self.metadata = metadata
    }

    package subscript(name: String) -> Tensor? { tensors.first { $0.name == name } }

    /// The same bytes for the same content.
    package func encoded() -> [UInt8] {
        var header: [String: Any] = [:]
        if !metadata.isEmpty { header["__metadata__"] = metadata }
        var end = 0
        for tensor in tensors {
            let start = end
            end += tensor.values.count * 4
            header[tensor.name] = ["dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end]]
        }
        let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
        var json = (try? JSONSerialization.data(withJSONObject: header, options: options)) ?? Data()
        json.append(contentsOf: [UInt8](repeating: 0x20, count: (8 - json.count % 8) % 8))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 + json.count + end)
        withUnsafeBytes(of: UInt64(json.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: json)
        for tensor in tensors {
            for value in tensor.values {
                withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
            }
        }
        return bytes
    }

    private struct Entry: Decodable {
        var dtype: String
        var shape: [Int]
        var dataOffsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case dataOffsets = "data_offsets"
        }
    }

    private enum Header: Decodable {
        case tensor(Entry)
        case metadata([String: String])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let entry = try? container.decode(Entry.self) {
                self = .tensor(entry)
            } else {
                self = .metadata(try container.decode([String: String].self))
            }
        }
    }

    /// - Throws: ``FormatError`` when the bytes are not what they say they are.
    package init(decoding bytes: [UInt8]) throws(FormatError) {
        guard bytes.count >= 8 else {
            throw FormatError(description: "\(bytes.count) bytes; 8 are the least")
        }
        let length = bytes.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(Self.headerBytesMax), Int(length) <= bytes.count - 8 else {
            throw FormatError(description: "a header of \(length) bytes in a file of \(bytes.count)")
        }
        let start = 8 + Int(length)
        let header: [String: Header]
        do {
            header = try JSONDecoder().decode([String: Header].self, from: Data(bytes[8..<start]))
        } catch {
            throw FormatError(description: "the header is no JSON of tensors: \(error)")
        }
        tensors = []
        metadata = [:]
        var found: [(name: String, entry: Entry)] = []
        for (name, value) in header {
            switch value {
            case .metadata(let values): metadata = values
            case .tensor(let entry): found.append((name, entry))
            }
        }
        var end = 0
        for (name, entry) in found.sorted(by: {
            $0.entry.dataOffsets.first ?? 0 < $1.entry.dataOffsets.first ?? 0
        }) {
            tensors.append(try Self.tensor(name, entry, after: &end, in: bytes[start...]))
        }
        guard start + end == bytes.count else {
            throw FormatError(description: "\(bytes.count - start) bytes of values, but tensors have \(end)")
        }
    }

    /// - Parameter end: where the tensor before ended: there may be no holes.
    private static func tensor(
        _ name: String, _ entry: Entry, after end: inout Int, in values: ArraySlice<UInt8>
    ) throws(FormatError) -> Tensor {
        guard entry.dtype == "F32" else {
            throw FormatError(description: "\(name) has values of type \(entry.dtype); only F32 is read here")
        }
        var count = 1
        for size in entry.shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow, product <= values.count / 4 else {
                throw FormatError(description: "\(name) has the shape \(entry.shape), more than is there")
            }
            count = product
        }
        let offsets = entry.dataOffsets
        guard offsets.count == 2, offsets[0] == end, offsets[1] == end + count * 4, offsets[1] <= values.count
        else {
            throw FormatError(
                description: "\(name) of shape \(entry.shape) lies at \(offsets), not at \(end)")
        }
        let first = values.startIndex + end
        end = offsets[1]
        return Tensor(
            name, shape: entry.shape,
            (0..<count).map { place in
                let at = first + place * 4
                let bits = (0..<4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32(values[at + $1]) }
                return Float(bitPattern: bits)
            })
    }
}
