import ZlibBridge

/// Why the replay exchange cannot start or keep what it was given.
package struct ReplayError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// A file or folder is missing, damaged or too large.
        case unreadable
        /// A file was read but does not hold what its name says.
        case malformed
        /// A setting is outside its range.
        case invalidSetting
        /// The server did not come up, e.g. because its port is taken.
        case notStarted
    }

    package var code: Code
    /// What was being done, e.g. `read data/sample/candles/BTCUSDT-5m.csv.gz`.
    package var operation: String
    package var detail: String

    init(_ code: Code, _ operation: String, _ detail: String) {
        self.code = code
        self.operation = operation
        self.detail = detail
    }

    package var description: String { "\(code.rawValue): \(operation): \(detail)" }
}

extension ReplayError {
    /// The unpacked bytes of a file; what is wrong with it as an error of this module.
    static func reading(_ path: String) throws(ReplayError) -> [UInt8] {
        do throws(ZipError) {
            return try CompressedFile.read(path)
        } catch {
            throw ReplayError(.unreadable, "read \(path)", error.detail)
        }
    }
}
