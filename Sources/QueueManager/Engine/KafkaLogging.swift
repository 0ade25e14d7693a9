import KafkaBridge
import Logging

extension KafkaObservation.LogLevel {
    /// Syslog's levels in swift-log's words.
    var loggerLevel: Logger.Level {
        switch self {
        case .emergency, .alert, .critical: .critical
        case .error: .error
        case .warning: .warning
        case .notice: .notice
        case .info: .info
        case .debug: .debug
        }
    }
}
