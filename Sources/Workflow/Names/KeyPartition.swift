/// The partition a key goes to, as Kafka's Java producer chooses it (murmur2, KIP-480's keyed case).
///
/// All clients of queue-control and queue-events must agree on it: a worker reads one partition by number.
package enum KeyPartition {
    /// - Parameter count: the topic's partitions, at least 1.
    package static func of(_ key: String, count: Int32) -> Int32 {
        precondition(count > 0, "a topic has at least one partition")
        // "Positive" in Kafka means without the sign bit, not the absolute value.
        return Int32(bitPattern: murmur2(Array(key.utf8)) & 0x7fff_ffff) % count
    }

    /// MurmurHash2 by Austin Appleby, 32 bits, with the seed Kafka uses.
    package static func murmur2(_ bytes: [UInt8]) -> UInt32 {
        let multiplier: UInt32 = 0x5bd1_e995
        var hash = 0x9747_b28c ^ UInt32(truncatingIfNeeded: bytes.count)
        var index = 0
        while index + 4 <= bytes.count {
            var word =
                UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16
                | UInt32(bytes[index + 3]) << 24
            word = word &* multiplier
            word ^= word >> 24
            hash = (hash &* multiplier) ^ (word &* multiplier)
            index += 4
        }
        let tail = bytes.count - index
        if tail > 2 { hash ^= UInt32(bytes[index + 2]) << 16 }
        if tail > 1 { hash ^= UInt32(bytes[index + 1]) << 8 }
        if tail > 0 { hash = (hash ^ UInt32(bytes[index])) &* multiplier }
        hash = (hash ^ (hash >> 13)) &* multiplier
        return hash ^ (hash >> 15)
    }
}
