internal import CPosix

/// How glibc's allocator hands out memory (mallopt(3)). Set once a program, before its work; a value set stays.
package enum MemoryPolicy {
    private static let mappedBytesMin: Int32 = 256 << 10

    /// One heap for all threads.
    ///
    /// glibc gives each busy thread a heap of its own, which grows by one system call a page and keeps what other
    /// threads freed. librdkafka allocates on one thread and frees on another, so one heap is quicker and
    /// smaller (measured by `scripts/bench-kafka`: docs/performance.md).
    package static func shareOneHeap() {
        _ = cposix_set_heaps_max(1)
    }

    /// Lets large buffers go back to the system as soon as they are freed, at the price of a system call each.
    ///
    /// glibc raises its threshold for mapped memory each time a large block is freed, up to 32 MiB: answers of
    /// the broker and batches would then be cut from a heap that fragments. For programs that must stay small.
    package static func returnLargeBlocks() {
        _ = cposix_set_mapped_bytes_min(mappedBytesMin)
    }
}
