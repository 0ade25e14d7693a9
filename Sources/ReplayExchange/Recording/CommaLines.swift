/// Walks the lines of a comma-separated file without quotes, giving each field as a byte range.
///
/// The recordings hold numbers and nothing else, so quoting does not occur; a field that is no number is
/// found by whoever reads the field.
struct CommaLines {
    /// More columns than any recording has.
    static let fieldsMax = 32

    private let bytes: UnsafeRawBufferPointer
    private var position = 0
    /// The number of the line last read, from 1.
    private(set) var lineNumber = 0
    private(set) var fields: [Range<Int>] = []

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
        fields.reserveCapacity(Self.fieldsMax)
    }

    /// Reads the next line that is not empty into ``fields``; false at the end.
    mutating func next() -> Bool {
        while position < bytes.count {
            lineNumber += 1
            fields.removeAll(keepingCapacity: true)
            var start = position
            while position < bytes.count, bytes[position] != UInt8(ascii: "\n") {
                if bytes[position] == UInt8(ascii: ","), fields.count < Self.fieldsMax {
                    fields.append(start..<position)
                    start = position + 1
                }
                position += 1
            }
            let end = position > start && bytes[position - 1] == UInt8(ascii: "\r") ? position - 1 : position
            fields.append(start..<end)
            position += 1
            if fields.count > 1 || end > start { return true }
        }
        return false
    }

    /// The bytes of a field; empty when the line has fewer.
    func field(_ index: Int) -> UnsafeRawBufferPointer.SubSequence {
        index < fields.count ? bytes[fields[index]] : bytes[0..<0]
    }

    /// The whole number in a field; nil when it is none or does not fit.
    func number(_ index: Int) -> Int64? {
        let text = field(index)
        guard (1...18).contains(text.count) else { return nil }
        var value: Int64 = 0
        for byte in text {
            guard (0x30...0x39).contains(byte) else { return nil }
            value = value * 10 + Int64(byte - 0x30)
        }
        return value
    }
}
