internal import CMalloc

/// Keeps a reader's memory flat.
package enum MemoryPolicy {
    private static let mappedBytesMin: Int32 = 256 << 10
    private static let arenasMax: Int32 = 2

    /// Lets large buffers go back to the system as soon as they are freed. Once a program, before its work.
    ///
    /// glibc raises its threshold for mapped memory each time a large block is freed, up to 32 MiB: answers of
    /// the broker and batches would then be cut from heaps that fragment, one for each thread. A threshold that
    /// is set stays (mallopt(3)).
    package static func apply() {
        _ = cmalloc_set_mapped_bytes_min(mappedBytesMin)
        _ = cmalloc_set_arenas_max(arenasMax)
    }
}
