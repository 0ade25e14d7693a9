import Testing

@testable import KafkaBridge

/// How long to rest after which answer.
struct IdleBrakeTests {
    private let brake = IdleBrake(fetchWaitMax: .milliseconds(100), restMax: .milliseconds(10))

    private func answers(
        _ lengths: [Int], broker: Int32 = 1, took: Duration = .milliseconds(1)
    ) -> [Int64] {
        lengths.map { brake.answered(broker: broker, length: $0, took: took) }
    }

    @Test func `an answer as long as the one before it is followed by a rest, an eighth longer each time`() {
        let rests = answers(Array(repeating: 90, count: 27))
        #expect(rests.prefix(6) == [0, 625, 703, 790, 888, 999])
        #expect(rests.suffix(3) == [9_329, 10_000, 10_000])
    }

    @Test func `an answer of another length goes on at once, and rests begin anew`() {
        #expect(answers([90, 90, 90, 300, 90, 90]) == [0, 625, 703, 0, 0, 625])
    }

    @Test func `an answer that was held back needs no rest`() {
        #expect(answers([90, 90, 90], took: .milliseconds(50)) == [0, 0, 0])
        #expect(answers([90], took: .milliseconds(49)) == [625])
    }

    @Test func `a long answer holds records`() {
        #expect(answers([256 * 1_024 + 1, 256 * 1_024 + 1]) == [0, 0])
        #expect(answers([256 * 1_024, 256 * 1_024]) == [0, 625])
    }

    @Test func `each broker is judged by its own answers`() {
        #expect(answers([90], broker: 1) + answers([80], broker: 2) == [0, 0])
        #expect(answers([90], broker: 1) + answers([80], broker: 2) == [625, 625])
        // A broker that is not known yet has the number -1.
        #expect(answers([70, 70], broker: -1) == [0, 625])
    }
}

/// Which ends a caller is told.
struct ToldEndsTests {
    private let left = TopicPartition("t", 0)
    private let right = TopicPartition("t", 1)

    @Test func `an end is told once, and again when it moved, after records, or when the partition is new`() {
        var ends = ToldEnds()
        ends.assignmentChanged(from: [], to: [left, right])
        var told = [5, 5, 6].map { ends.endCame(left, offset: $0) }
        ends.recordsCame(from: left)
        told.append(ends.endCame(left, offset: 6))
        ends.assignmentChanged(from: [left, right], to: [right])
        ends.assignmentChanged(from: [right], to: [left, right])
        told.append(ends.endCame(left, offset: 6))
        #expect(told == [true, false, true, true, true])
    }

    @Test func `an end of a partition that stays is not told again when others change`() {
        var ends = ToldEnds()
        ends.assignmentChanged(from: [], to: [left])
        var told = [ends.endCame(left, offset: 5)]
        ends.assignmentChanged(from: [left], to: [left, right])
        told.append(ends.endCame(left, offset: 5))
        #expect(told == [true, false])
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

    @Test func `records behind an end that went back are new`() {
        var reader = reading(from: 10)
        var given = [10, 11, 12, 13].filter { reader.isNew(place, offset: $0) }
        reader.wentBack(place, end: 12)
        given += [11, 12, 13].filter { reader.isNew(place, offset: $0) }
        #expect(given == [10, 11, 12, 13, 12, 13])
    }

    @Test func `what the group gives is new, wherever it begins`() {
        var reader = reading(from: 10)
        reader.forget([place])
        let given = [4, 5, 5].filter { reader.isNew(place, offset: $0) }
        #expect(given == [4, 5])
    }

    @Test func `off, it lets everything through and believes every end`() {
        var reader = reading(from: 10, isOn: false)
        let given = [3, 3].filter { reader.isNew(place, offset: $0) }
        let again = reader.mustReread(place, end: 1_000)
        #expect(given == [3, 3] && !again)
    }
}
