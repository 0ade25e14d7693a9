/// The topics that queues with `transport: shared` write to.
package enum SharedTopicSettings {
    package static let candles = Setting.text(
        "SHARED_CANDLES_TOPIC", example: "market-candles",
        doc: "Topic of the candles of all queues with `transport: shared`; dead letters go to the same with "
            + "`-dead` behind it."
    ).fallback("market-candles")
    package static let trades = Setting.text(
        "SHARED_TRADES_TOPIC", example: "market-trades",
        doc: "Topic of the trades of all queues with `transport: shared`; dead letters as with candles."
    ).fallback("market-trades")

    package static let group = SettingsGroup("Shared topics", [candles, trades])
}
