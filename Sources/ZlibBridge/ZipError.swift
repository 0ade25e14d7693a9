/// Why bytes cannot be unpacked.
package struct ZipError: Error, Sendable, Equatable, CustomStringConvertible {
    package var detail: String

    package init(_ detail: String) { self.detail = detail }

    package var description: String { detail }
}
