import ServiceRuntime
import ZlibBridge

/// Why a file of the archive could not be used. Reading the same stretch from the REST API is always
/// possible.
struct ArchiveFault: Error, Sendable, Equatable {
    enum Reason: Sendable, Equatable {
        /// No whole file after all tries, or no room to keep it.
        case unavailable
        /// Longer than this loader takes.
        case tooLarge
        /// What came whole is not what it should be.
        case corrupt
    }

    var reason: Reason
    var path: String
    var detail: String

    init(_ reason: Reason, _ file: ArchiveFile, _ detail: String) {
        self.reason = reason
        path = file.path
        self.detail = detail
    }

    init(_ error: ZipError, _ file: ArchiveFile) { self.init(.corrupt, file, error.detail) }
    init(_ error: SpoolError, _ file: ArchiveFile) { self.init(.unavailable, file, error.description) }

    /// As it is told where nothing but files was wanted.
    var feedError: FeedError {
        let code: FeedError.Code =
            switch reason {
            case .unavailable: .unavailable
            case .tooLarge: .refused
            case .corrupt: .corrupt
            }
        return FeedError(code, operation: "archive \(path)", detail: detail)
    }

    static func missing(_ file: ArchiveFile) -> ArchiveFault {
        ArchiveFault(
            .unavailable, file, "there is no such file; with the source auto it would be read from the API")
    }
}
