/// An array of which elements may be null, for `unnest` and `= ANY`.
package struct PostgresNullableArray: PostgresEncodable {
    package let postgresValue: PostgresValue

    package init(_ elements: [String?]) {
        var text: [UInt8] = [UInt8(ascii: "{")]
        for (index, element) in elements.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            guard let element else {
                text += Array("NULL".utf8)
                continue
            }
            // Every element is quoted: then commas, braces, spaces and the word NULL need no care.
            text.append(UInt8(ascii: "\""))
            for byte in element.utf8 {
                if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") {
                    text.append(UInt8(ascii: "\\"))
                }
                text.append(byte)
            }
            text.append(UInt8(ascii: "\""))
        }
        text.append(UInt8(ascii: "}"))
        postgresValue = .text(String(decoding: text, as: UTF8.self))
    }

    package init<Number: FixedWidthInteger>(_ elements: [Number?]) {
        let words = elements.map { $0.map { String($0) } ?? "NULL" }
        postgresValue = .text("{\(words.joined(separator: ","))}")
    }

    package init(_ elements: [Bool]) {
        postgresValue = .text("{\(elements.map { $0 ? "t" : "f" }.joined(separator: ","))}")
    }
}
