import Testing

@testable import KafkaBridge

/// The decision to rest, on a clock of the test's own.
struct IdleBrakeTests {
    private let left = TopicPartition("t", 0)
    private let right = TopicPartition("t", 1)
    private let start = ContinuousClock.now

    private func brake() -> IdleBrake {
        var brake = IdleBrake(fetchWaitMax: .milliseconds(100))
        brake.assignmentChanged([left, right], at: start)
        return brake
    }

    /// A reader that was told the end of both partitions.
    private func atEnd() -> IdleBrake {
        var brake = brake()
        _ = brake.endCame(left, offset: 5)
        _ = brake.endCame(right, offset: 7)
        return brake
    }

    @Test func `a reader that is not at the end of all its partitions goes on`() {
        var brake = brake()
        var rests = [brake.rest(at: start)]
        for partition in [left, right] {
            _ = brake.endCame(partition, offset: 5)
            rests.append(brake.rest(at: start))
        }
        #expect(rests == [nil, nil, .milliseconds(5)])
    }

    @Test func `a rest doubles up to its limit and begins anew with a record`() {
        var brake = brake()
        var rests: [Duration?] = []
        for round in 0..<6 {
            if round == 5 { brake.recordsCame(from: left, at: start) }
            _ = brake.endCame(left, offset: 5)
            _ = brake.endCame(right, offset: 7)
            rests.append(brake.rest(at: start))
            brake.fetchingStarted(at: start)
        }
        #expect(rests == [5, 10, 20, 40, 40, 5].map { .milliseconds($0) })
    }

    @Test func `an end that was held back needs no rest, but is tried again once a second`() {
        var brake = atEnd()
        let late = start + .milliseconds(90)
        let rests = [.zero, .milliseconds(999), .seconds(1)].map { brake.rest(at: late + $0) }
        #expect(rests == [nil, nil, .milliseconds(5)])
    }

    @Test func `an end is told once, and again when it moved or the partition is new`() {
        var brake = brake()
        var told = [5, 5, 6].map { brake.endCame(left, offset: $0) }
        brake.assignmentChanged([right], at: start)
        brake.assignmentChanged([left, right], at: start)
        told.append(brake.endCame(left, offset: 6))
        #expect(told == [true, false, true, true])
    }

    @Test func `without partitions there is nothing to rest from`() {
        var brake = atEnd()
        brake.assignmentChanged([], at: start)
        let rest = brake.rest(at: start)
        #expect(rest == nil)
    }
}

/// What is read twice and what is read again.
struct RereadGuardTests {
    private let place = TopicPartition("t", 0)

    private func reading(from offset: Int64, isOn: Bool = true) -> RereadGuard {
        var reader = RereadGuard(isOn: isOn)
        reader.assigned([place: offset])
        return reader
    }

    @Test func `an end further on than one marker is read again once`() {
        var reader = reading(from: 10)
        let again = [10, 11, 12, 12, 13].map { reader.mustReread(place, end: $0) }
        #expect(again == [false, false, true, false, true])
    }

    @Test func `what was given before is dropped, what is new comes through`() {
        var reader = reading(from: 10)
        let given = [8, 9, 10, 11, 10, 11, 13, 12, 14].filter { reader.isNew(place, offset: $0) }
        #expect(given == [10, 11, 13, 14])
    }

    @Test func `a position that is not known yet begins with the first record`() {
        var reader = reading(from: -1)
        var again = [reader.mustReread(place, end: 100)]
        let given = [50, 50].filter { reader.isNew(place, offset: $0) }
        again.append(reader.mustReread(place, end: 100))
        #expect(given == [50] && again == [false, true])
    }

    @Test func `a new assignment forgets what was confirmed`() {
        var reader = reading(from: 10)
        var again = [20, 20].map { reader.mustReread(place, end: $0) }
        reader.assigned([place: 10])
        again.append(reader.mustReread(place, end: 20))
        #expect(again == [true, false, true])
    }

    @Test func `off, it lets everything through and believes every end`() {
        var reader = reading(from: 10, isOn: false)
        let given = [3, 3].filter { reader.isNew(place, offset: $0) }
        let again = reader.mustReread(place, end: 1_000)
        #expect(given == [3, 3] && !again)
    }
}
