import KafkaBridge
import ServiceRuntime
import Workflow

/// An offer that was read, and where the commands to its attempt are.
struct TakenOffer: Sendable, Equatable {
    var offer: PoolOffer
    var controlPartition: Int32
    /// Commands from here on concern it.
    var controlOffset: Int64

    /// - Throws: ``MessageError`` when it is no offer, or one that names no place of its commands.
    init(_ read: OfferBuffer.Read) throws(MessageError) {
        offer = try MessageCodec.decode(PoolOffer.self, from: read.value)
        let partition = WorkerSettings.controlPartition
        let offset = WorkerSettings.controlOffset
        guard let number = offer.environment[partition.name].flatMap(partition.parse) else {
            throw MessageError(detail: "environment.\(partition.name) is missing or not right")
        }
        controlPartition = number
        controlOffset = offer.environment[offset.name].flatMap(offset.parse) ?? 0
    }
}

/// What was taken with one commit.
struct TakenBatch: Sendable {
    var offers: [TakenOffer]
    /// The ends of the control partitions of these offers, asked for after the offers were read; nil: they could
    /// not be had.
    var ends: [Int32: Int64]?
}
