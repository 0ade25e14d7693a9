/// Where a loader takes records of the exchange from.
package enum FeedSource: String, Sendable, Hashable, CaseIterable {
    /// The REST API.
    case rest
    /// The files that the exchange publishes for whole days and months; what they do not hold is an error.
    case archive
    /// The files where there are any, else the REST API.
    case auto
}
