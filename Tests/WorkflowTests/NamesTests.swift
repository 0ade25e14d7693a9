import MarketData
import Testing
import Workflow

@Suite struct NamesTests {
    private let day = CivilDate(daysSince1970: 19_936)

    @Test func `a queue id follows the form of the design`() {
        let id = QueueID(subject: "BTCUSDT", type: "api_candles_1m", firstDay: day, suffix: "abc123")
        #expect(id?.rawValue == "wf-btcusdt-api_candles_1m-20240801-abc123")
        #expect(id?.suffix == "abc123")
    }

    @Test func `a long queue id is cut in the middle to 63 characters`() throws {
        let subject = String(repeating: "X", count: 80)
        let id = try #require(
            QueueID(subject: subject, type: "api_candles_1m", firstDay: day, suffix: "abc123"))
        #expect(id.rawValue.utf8.count == 63)
        #expect(id.rawValue.hasSuffix("-20240801-abc123"))
    }

    @Test(arguments: [
        "", "wf-", "wf-a-ABC123", "loader-a-abc123", "wf-a b-abc123", "wf-a/b-abc123", "wf-ab-cd-12",
    ])
    func `refuses what is no queue id`(text: String) {
        #expect(QueueID(text) == nil)
    }

    @Test func `collections never begin with a digit`() throws {
        let symbol = try #require(Symbol("1INCHUSDT"))
        let name = DerivedName.collection(symbol: symbol, type: "api_candles_5m", firstDay: day)
        #expect(name?.rawValue == "s_1inchusdt_api_candles_5m_2024_08_01")
    }

    @Test func `one producing step leaves its name out of the topic`() throws {
        let id = try #require(QueueID("wf-a-abc123"))
        let step = try #require(StepID("load"))
        #expect(DerivedName.dataTopic(id, producingStep: step, producingStepCount: 1) == "wf-a-abc123-data")
        #expect(
            DerivedName.dataTopic(id, producingStep: step, producingStepCount: 2) == "wf-a-abc123-load-data")
    }
}
