import ServiceRuntime

/// The settings of a pool worker beside those its kinds read.
package enum PoolSettings {
    package static let targets = Setting<[String]>.list(
        "POOL_TARGETS", example: "dummy-service",
        doc: "The targets whose offers it takes. Not set: every kind that may run pooled."
    ).optional()
    package static let slots = Setting<Int>.integer(
        "POOL_SLOTS", in: 1...1_000, example: "16", doc: "Instances it runs at the same time."
    ).fallback("16")
    package static let workerID = Setting.text(
        "POOL_WORKER_ID", example: "pool-0",
        doc:
            "A stable name of this worker among those of the pool (Kafka's `group.instance.id`), to be used by one "
            + "process at a time. Not set: a member that is known for as long as it lives, as it should be on Apache "
            + "Kafka where workers come and go; noida-db does not forget such a member when it dies."
    ).optional()

    package static let group = SettingsGroup("Pool", [targets, slots, workerID])
}
