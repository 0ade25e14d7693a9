import MarketData

/// What the exchange says about symbols, asked before a queue is created.
package struct SymbolCatalog: Sendable {
    package struct Answer: Sendable {
        /// Those of the asked symbols that the exchange does not know.
        package var unknown: [Symbol]
        /// The exchange's clock, Unix milliseconds.
        package var serverTime: Int64

        package init(unknown: [Symbol], serverTime: Int64) {
            self.unknown = unknown
            self.serverTime = serverTime
        }
    }

    /// - Throws: when the exchange cannot be asked; the message is shown to the user.
    package var check: @Sendable ([Symbol]) async throws -> Answer

    package init(check: @escaping @Sendable ([Symbol]) async throws -> Answer) {
        self.check = check
    }
}
