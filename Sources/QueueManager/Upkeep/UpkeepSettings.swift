import ServiceRuntime
import Workflow

/// Settings of retention and projection.
package enum UpkeepSettings {
    /// A hundred years are as good as for ever.
    private static let daysMax = 36_500

    package static let historyKeepDays = Setting<Int>.integer(
        "HISTORY_KEEP_DAYS", in: 1...daysMax, example: "30",
        doc: "A queue's events are deleted this many days after its end; with the queue where that is sooner."
    ).fallback("90").unit("days")
    package static let queuesKeepDays = Setting<Int>.integer(
        "QUEUES_KEEP_DAYS", in: 1...daysMax, example: "365",
        doc: "A queue is deleted this many days after its end, with its instances, attempts and dead letters."
    ).fallback("365").unit("days")
    package static let archiveDirectory = Setting.path(
        "ARCHIVE_DIR", example: "/var/lib/streamforge/archive",
        doc:
            "Queues are written here as lines of JSON before anything of them is deleted; the same folder for all "
            + "replicas. Not set: they are not."
    ).optional()
    package static let queuesCollection = Setting.text(
        "QUEUES_COLLECTION", example: "queues",
        doc: "Queues are shown as documents of this collection of the document store. Not set: they are not."
    ).typed(
        expects: "1 to \(CollectionName.bytesMax) of A-Z, a-z, 0-9, _ and -, beginning with a letter"
    ) { CollectionName($0) }.optional()

    package static let group = SettingsGroup(
        "Retention and projection", [historyKeepDays, queuesKeepDays, archiveDirectory, queuesCollection])
}
