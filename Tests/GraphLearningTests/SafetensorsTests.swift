import GraphLearning
import Testing

struct SafetensorsTests {
    private let file = Safetensors(
        [
            Safetensors.Tensor("b.weight", shape: [2, 2], [1, -2, 3.5, .infinity]),
            Safetensors.Tensor("a", shape: [], [7]), Safetensors.Tensor("none", shape: [0, 3], []),
        ], metadata: ["format": "pt", "quote": "\"\\ü"])

    @Test func `what is written is read back, in order`() throws {
        let bytes = file.encoded()
        #expect(bytes == file.encoded())
        let read = try Safetensors(decoding: bytes)
        #expect(Set(read.tensors.map(\.name)) == ["b.weight", "a", "none"])
        #expect(read["b.weight"] == file.tensors[0])
        #expect(read["a"] == file.tensors[1])
        #expect(read["none"]?.shape == [0, 3])
        #expect(read.metadata == file.metadata)
    }

    @Test func `values begin at a multiple of 8`() {
        let bytes = file.encoded()
        let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(length % 8 == 0)
        #expect(bytes.count == 8 + length + 5 * 4)
        #expect(bytes[8] == UInt8(ascii: "{"))
    }

    @Test func `damaged bytes are refused, wherever they are cut`() {
        let bytes = file.encoded()
        for count in 0..<bytes.count {
            #expect(throws: Safetensors.FormatError.self) {
                try Safetensors(decoding: Array(bytes.prefix(count)))
            }
        }
        #expect(throws: Safetensors.FormatError.self) { try Safetensors(decoding: bytes + [0]) }
        #expect(throws: Safetensors.FormatError.self) {
            try Safetensors(decoding: [UInt8](repeating: 0xFF, count: 100))
        }
    }

    @Test(arguments: [
        #"{"a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#,
        #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#,
        #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,4]}}"#,
        #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}}"#,
        #"{"a":7}"#,
    ])
    func `a header that contradicts itself is refused`(header: String) {
        var bytes = [UInt8](header.utf8)
        bytes.insert(contentsOf: [UInt8(bytes.count), 0, 0, 0, 0, 0, 0, 0], at: 0)
        bytes += [0, 0, 0, 0, 0, 0, 0, 0]
        #expect(throws: Safetensors.FormatError.self) { try Safetensors(decoding: bytes) }
    }
}
