import ArgumentParser
import Foundation
import Workflow

#if canImport(Glibc)
    import Glibc
#endif

/// What the program writes for people and scripts; each call is one write, so that nothing is held back.
enum Output {
    static func line(_ text: String) { write(text + "\n", to: 1) }
    static func note(_ text: String) { write(text + "\n", to: 2) }

    /// Whether standard error is a terminal, where a line can be written over.
    static var isTerminal: Bool { isatty(2) == 1 }
    static func progress(_ text: String) { write(isTerminal ? "\r\u{1b}[K" + text : text + "\n", to: 2) }
    static func endProgress() { if isTerminal { write("\n", to: 2) } }

    static func json(_ value: JSONValue) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        line(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }
}

/// How the program ends; see the help of `streamforge`.
enum Status {
    static let refused = ExitCode(1)
    static let notFinished = ExitCode(2)
    static let unreachable = ExitCode(3)
}

/// Columns as wide as their widest cell; numbers to the right.
struct TextTable {
    private var rows: [[String]]
    private let numberColumns: Set<Int>

    /// - Parameter numberColumns: indices of the columns that are aligned to the right.
    init(_ headings: [String], numberColumns: Set<Int> = []) {
        rows = [headings]
        self.numberColumns = numberColumns
    }

    mutating func add(_ row: [String]) { rows.append(row) }

    var text: String {
        let columnCount = rows[0].count
        let widths = (0..<columnCount).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            let cells = row.enumerated().map { column, cell in
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                return numberColumns.contains(column) ? blanks + cell : cell + blanks
            }
            let line = cells.joined(separator: "  ")
            return String(line.reversed().drop { $0 == " " }.reversed())
        }.joined(separator: "\n")
    }
}

extension JSONValue {
    subscript(_ name: String) -> JSONValue? {
        if case .object(let fields) = self { fields[name] } else { nil }
    }

    var items: [JSONValue] {
        if case .array(let items) = self { items } else { [] }
    }

    /// The value of a cell: empty for null and for what is not there.
    static func cell(_ value: JSONValue?) -> String {
        switch value {
        case nil, .null: ""
        case .array(let items): items.map { cell($0) }.joined(separator: ",")
        case let value?: value.excerpt
        }
    }
}
