import KafkaBridge
import Workflow

/// Why a connector cannot go on, and what that means for the next attempt.
package struct ConnectorError: Error, Sendable, Equatable, CustomStringConvertible {
    package var reason: EndReason
    /// For people, with the other side's own words.
    package var detail: String

    package init(_ reason: EndReason, _ detail: String) {
        self.reason = reason
        self.detail = detail
    }

    package var description: String { detail }

    /// The broker had confirmed records that are not there.
    static func dataLost(_ partition: TopicPartition, _ detail: String) -> ConnectorError {
        ConnectorError(.dataLost, "\(partition) has lost records: \(detail)")
    }

    /// The topic holds what no loader of ours writes; reading it again changes nothing.
    static func corruptStream(_ partition: TopicPartition, _ detail: String) -> ConnectorError {
        ConnectorError(.final, "corrupt stream \(partition): \(detail)")
    }
}

extension ConnectorError {
    init(_ error: StoreError) {
        switch error.code {
        case .superseded, .conflict: self.init(.superseded, error.description)
        case .unavailable, .notFound: self.init(.retriable, error.description)
        case .denied, .invalid, .corrupt: self.init(.final, error.description)
        }
    }

    init(_ error: KafkaError) {
        switch error.code {
        case .offsetOutOfRange:
            self.init(.dataLost, error.description)
        case .unauthenticated, .unauthorized, .invalidSetting, .invalidState, .recordTooLarge:
            self.init(.final, error.description)
        case .timedOut, .unreachable, .unknownTopic, .topicExists, .fenced, .rebalanced, .withdrawn,
            .cancelled, .closed, .other:
            self.init(.retriable, error.description)
        }
    }
}
