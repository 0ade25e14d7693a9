import Testing
import Workflow

@Suite struct KeyPartitionTests {
    /// The values Kafka's own unit test of its hash names.
    @Test(arguments: [
        ("21", Int32(-973_932_308)), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
    ])
    func `hashes as Kafka does`(text: String, hash: Int32) {
        #expect(Int32(bitPattern: KeyPartition.murmur2(Array(text.utf8))) == hash)
    }

    @Test func `stays within the partitions, also for hashes with the sign bit`() {
        #expect(KeyPartition.of("21", count: 12) == (Int32(-973_932_308) & Int32.max) % 12)
        #expect(KeyPartition.of("abc", count: 1) == 0)
    }
}
