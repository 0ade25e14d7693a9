/// A decimal with eight places as a whole number of hundred-millionths: sums are exact.
///
/// 128 bits hold a year of the busiest pair (about 10^16 units a month, 10^24 hundred-millionths).
struct DecimalAmount: Sendable, Hashable, Comparable {
    static let places = 8
    static let zero = DecimalAmount(units: 0)

    var units: Int128

    init(units: Int128) {
        self.units = units
    }

    /// Reads `digits(.digits)?`; nil for any other form, more than 8 places or more than 30 digits.
    init?(_ text: some Collection<UInt8>) {
        guard (1...30).contains(text.count) else { return nil }
        var units: Int128 = 0
        var placesLeft: Int?
        var digitCount = 0
        for byte in text {
            if byte == UInt8(ascii: ".") {
                guard placesLeft == nil, digitCount > 0 else { return nil }
                placesLeft = Self.places
                continue
            }
            guard (0x30...0x39).contains(byte), placesLeft != 0 else { return nil }
            units = units * 10 + Int128(byte - 0x30)
            digitCount += 1
            placesLeft = placesLeft.map { $0 - 1 }
        }
        guard digitCount > 0, placesLeft != Self.places else { return nil }
        for _ in 0..<(placesLeft ?? Self.places) { units *= 10 }
        self.units = units
    }

    /// The text with all eight places, as the exchange writes it: `61686.00000000`.
    func write(to output: inout [UInt8]) {
        let digits = Array(String(units).utf8)
        if digits.count <= Self.places {
            output.append(contentsOf: [UInt8(ascii: "0"), UInt8(ascii: ".")])
            output.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: Self.places - digits.count))
            output.append(contentsOf: digits)
        } else {
            output.append(contentsOf: digits.dropLast(Self.places))
            output.append(UInt8(ascii: "."))
            output.append(contentsOf: digits.suffix(Self.places))
        }
    }

    var text: String {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The product cut to eight places, as the exchange's quote quantities are.
    func times(_ other: DecimalAmount) -> DecimalAmount {
        DecimalAmount(units: units * other.units / 100_000_000)
    }

    static func + (left: DecimalAmount, right: DecimalAmount) -> DecimalAmount {
        DecimalAmount(units: left.units + right.units)
    }

    static func < (left: DecimalAmount, right: DecimalAmount) -> Bool { left.units < right.units }
}

extension [UInt8] {
    /// Appends `text`, a decimal, with zeros up to eight places: no arithmetic, so nothing can change.
    ///
    /// - Returns: false, with `self` unchanged, when `text` is no plain decimal or has more than 8 places.
    mutating func appendPadded(_ text: UnsafeRawBufferPointer.SubSequence) -> Bool {
        var pointAt: Int?
        for index in text.indices {
            let byte = text[index]
            if byte == UInt8(ascii: "."), pointAt == nil, index > text.startIndex {
                pointAt = index
            } else if !(0x30...0x39).contains(byte) {
                return false
            }
        }
        let placeCount = pointAt.map { text.endIndex - $0 - 1 } ?? 0
        guard !text.isEmpty, text.count <= 30, placeCount <= DecimalAmount.places,
            pointAt == nil || placeCount > 0
        else { return false }
        append(contentsOf: text)
        if pointAt == nil { append(UInt8(ascii: ".")) }
        append(contentsOf: repeatElement(UInt8(ascii: "0"), count: DecimalAmount.places - placeCount))
        return true
    }

    /// Appends a whole number in decimal.
    mutating func appendNumber(_ value: Int64) {
        append(contentsOf: String(value).utf8)
    }

    mutating func appendText(_ text: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }
}
