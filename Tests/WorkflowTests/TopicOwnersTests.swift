import Testing
import Workflow

struct TopicOwnersTests {
    private func owners(_ topic: String) -> Set<String> {
        Set(DerivedName.possibleOwners(ofTopic: topic).map(\.rawValue))
    }

    @Test(
        arguments: [
            "", "-data", "wf-", "wf-data", "queue-control", "queue-events", "sf-pool-dummy-service",
            "market-candles",
            "wf-btc-abc123", "wf-btc-abc123-data-r", "wf-btc-abc123-data-rx", "wf-btc-abc123-data-r2-r3",
            "wf-btc-abc123-data-dead-dead", "wf-btc-abc123-Load-data", "WF-btc-abc123-data",
            "my-wf-btc-abc123-data",
            "wf-btc-abc123-data-copy", "wf-btc-abc12-data", "wf-btc-abc123--data",
        ])
    func `a topic of another kind has no owner`(topic: String) {
        #expect(owners(topic).isEmpty)
    }

    @Test(arguments: ["", "-r2", "-r17", "-dead", "-r2-dead"])
    func `the only producer's topics belong to the queue they begin with`(ending: String) {
        #expect(owners("wf-btc-abc123-data\(ending)") == ["wf-btc-abc123"])
    }

    @Test(arguments: ["", "-r2", "-dead", "-r2-dead"])
    func `so do those of one of several producers`(ending: String) {
        #expect(owners("wf-btc-abc123-load-data\(ending)") == ["wf-btc-abc123"])
        #expect(owners("wf-btc-abc123-load-old-data\(ending)") == ["wf-btc-abc123"])
    }

    @Test func `a step of six letters may be a queue's last word`() {
        #expect(owners("wf-btc-abc123-load12-data") == ["wf-btc-abc123", "wf-btc-abc123-load12"])
    }

    @Test func `a step named as an ending is told from the ending`() {
        #expect(owners("wf-btc-abc123-data-data") == ["wf-btc-abc123"])
        #expect(owners("wf-btc-abc123-data-dead-data-dead") == ["wf-btc-abc123"])
        #expect(owners("wf-btc-abc123-r2-data-r2") == ["wf-btc-abc123"])
    }

    @Test(arguments: [1, 2, 100], [1, 2])
    func `every topic's name leads to its queue`(run: Int, producers: Int) throws {
        let id = try #require(QueueID("wf-btcusdt-api_candles_1m-20240801-abc123"))
        for name in ["load", "a", "load-1", "load_1", "abcdef", "data", "r2", "dead"] {
            let topic = DerivedName.dataTopic(
                id, producingStep: try #require(StepID(name)), producingStepCount: producers, run: run)
            #expect(DerivedName.possibleOwners(ofTopic: topic).contains(id))
            let letters = DerivedName.deadLetterTopic(dataTopic: topic)
            #expect(DerivedName.possibleOwners(ofTopic: letters).contains(id))
        }
    }
}
