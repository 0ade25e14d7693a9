import MarketData
import Testing

@Suite struct CivilDateTests {
    @Test(arguments: [
        ("1970-01-01", 0), ("2000-02-29", 11_016), ("2024-08-01", 19_936), ("2100-03-01", 47_541),
    ])
    func `counts days since 1970`(text: String, days: Int64) throws {
        let date = try #require(CivilDate(text))
        #expect(date.daysSince1970 == days)
        #expect(CivilDate(daysSince1970: days) == date)
        #expect(date.description == text)
    }

    @Test func `is the inverse of its day number for every day of 1970 to 2400`() throws {
        var previous = CivilDate(daysSince1970: 0)
        for days in Int64(1)...157_000 {
            let date = CivilDate(daysSince1970: days)
            #expect(date > previous && date.daysSince1970 == days)
            previous = date
        }
    }

    @Test(arguments: [
        "2024-02-30", "2023-02-29", "2100-02-29", "2024-13-01", "2024-00-10", "2024-1-01", "24-01-01",
        "2024-01-01 ", "２０２４-01-01", "", "1969-12-31", "2024/01/01",
    ])
    func `refuses what is no day`(text: String) {
        #expect(CivilDate(text) == nil)
    }

    @Test func `a range holds both days`() throws {
        let range = try #require(DayRange("2024-08-01:2024-08-07"))
        #expect(range.dayCount == 7)
        #expect(range.startMilliseconds == 1_722_470_400_000)
        #expect(range.endMilliseconds == 1_722_470_400_000 + 7 * 86_400_000)
        #expect(DayRange("2024-08-07:2024-08-01") == nil)
        #expect(DayRange("2024-08-07") == nil)
        #expect(DayRange("2024-08-01:2024-08-02:2024-08-03") == nil)
    }
}
