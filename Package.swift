// swift-tools-version: 6.2
import PackageDescription

// The module picture of docs/architecture.md: imports point down only. The build checks it
// (`--explicit-target-dependency-import-check error` in scripts/build).

let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

func module(
    _ name: String, path: String? = nil, exclude: [String] = [], _ dependencies: [Target.Dependency] = [],
    linking libraries: [String] = []
) -> Target {
    .target(
        name: name, dependencies: dependencies, path: path, exclude: exclude, swiftSettings: strict,
        linkerSettings: libraries.map { .linkedLibrary($0) })
}

func program(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name, dependencies: dependencies, path: "Sources/Executables/\(name)", swiftSettings: strict)
}

func tests(_ name: String, resources: [Resource] = [], _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(
        name: name, dependencies: dependencies + ["TestSupport"], resources: resources, swiftSettings: strict)
}

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")

let package = Package(
    name: "streamforge",
    products: [
        .executable(name: "queue-manager", targets: ["queue-manager"]),
        .executable(name: "streamforge-worker", targets: ["streamforge-worker"]),
        .executable(name: "streamforge-graph", targets: ["streamforge-graph"]),
        .executable(name: "gnn-trainer", targets: ["gnn-trainer"]),
        .executable(name: "streamforge", targets: ["streamforge"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // Executables: thin, each wires adapters behind ports and nothing else.
        program(
            "queue-manager",
            [
                "QueueManager", "Workflow", "MarketData", "JobLaunchers", "DocumentStores", "ObjectStores",
                "HTTPBridge",
                "KafkaBridge", "KubernetesBridge", "PostgresBridge", "ExchangeBudget", "ServiceRuntime",
                argumentParser, logging, lifecycle,
            ]),
        program(
            "streamforge-worker",
            [
                "WorkerKit", "LoaderAPICandles", "LoaderAPITrades", "ArangoConnector", "DummyService",
                "ServiceRuntime", argumentParser,
            ]),
        program(
            "streamforge",
            [
                "LocalStack", "ReplayExchange", "DebugProducer", "Workflow", "MarketData", "HTTPBridge",
                "KafkaBridge", "ServiceRuntime", argumentParser, logging,
            ]),

        // Links OpenBLAS, which the other workers do without.
        program(
            "streamforge-graph", ["GraphBuilder", "WorkerKit", "ServiceRuntime", argumentParser]),

        // Links libtorch.
        program("gnn-trainer", ["GNNTrainer", "WorkerKit", "ServiceRuntime", argumentParser]),

        // Measurements, run by hand.
        program("bench-kafka", ["KafkaBridge", "LocalStack", "ServiceRuntime"]),
        program("bench-start", ["KafkaBridge", "LocalStack", "ServiceRuntime", "Workflow"]),
        program("bench-graph", ["GraphModel", "BLASBridge", argumentParser]),
        program("bench-engine", ["KafkaBridge", "Workflow", argumentParser]),
        program("bench-gnn", ["GNNTraining", "GraphLearning", "TorchBridge"]),
        program(
            "bench-connector",
            [
                "ArangoConnector", "DocumentStores", "KafkaBridge", "LocalStack", "MarketData",
                "PostgresBridge", "ServiceRuntime", "Workflow",
            ]),

        // The engine and the workers.
        module(
            "QueueManager",
            [
                "Workflow", "MarketData", "RecordChecks", "ServiceRuntime", "ServiceEndpoints",
                "KafkaBridge", "PostgresBridge", "ExchangeBudget", crypto, httpTypes, hummingbird, logging,
                metrics, lifecycle,
            ]),
        module(
            "WorkerKit", path: "Sources/Workers/WorkerKit",
            [
                "Workflow", "ServiceRuntime", "ServiceEndpoints", "KafkaBridge", logging, metrics, lifecycle,
            ]),
        // What loaders of all kinds of records have in common.
        module(
            "LoaderKit", path: "Sources/Workers/LoaderKit",
            [
                "WorkerKit", "Workflow", "MarketData", "ServiceRuntime", "KafkaBridge", "BinanceFeed",
                "ExchangeBudget", "HTTPBridge", "PostgresBridge", logging, metrics,
            ]),
        module(
            "LoaderAPICandles", path: "Sources/Workers/LoaderAPICandles",
            ["LoaderKit", "WorkerKit", "Workflow", "MarketData", "ServiceRuntime", "BinanceFeed"]),
        module(
            "LoaderAPITrades", path: "Sources/Workers/LoaderAPITrades",
            ["LoaderKit", "WorkerKit", "Workflow", "MarketData", "ServiceRuntime", "BinanceFeed"]),
        module(
            "DummyService", path: "Sources/Workers/DummyService",
            ["WorkerKit", "Workflow", "ServiceRuntime", metrics]),
        module(
            "ArangoConnector", path: "Sources/Workers/ArangoConnector",
            [
                "WorkerKit", "Workflow", "MarketData", "RecordChecks", "ServiceRuntime", "ServiceEndpoints",
                "KafkaBridge", "DocumentStores", logging, metrics, lifecycle,
            ]),

        // Training and asking graph networks; only what does that links it, for libtorch's sake.
        module("GNNTraining", ["GraphLearning", "TorchBridge"]),
        module(
            "GNNTrainer", path: "Sources/Workers/GNNTrainer",
            [
                "WorkerKit", "Workflow", "MarketData", "ServiceRuntime", "DocumentStores", "ObjectStores",
                "GNNTraining", "GraphLearning", "TorchBridge", logging, metrics,
            ]),
        module(
            "GraphBuilder", path: "Sources/Workers/GraphBuilder",
            [
                "WorkerKit", "Workflow", "MarketData", "ServiceRuntime", "DocumentStores", "GraphModel",
                "BLASBridge", crypto,
            ]),

        // What a graph is made of: aligned returns, features, relations. Pure, on BLAS.
        module("GraphModel", ["BLASBridge"]),

        // Commands to workers by hand.
        module("DebugProducer", ["Workflow", "ServiceRuntime", "KafkaBridge"]),

        // One machine: the local stack and the replay exchange.
        module("LocalStack", ["ServiceRuntime", "KafkaBridge", "PostgresBridge", "HTTPBridge", lifecycle]),
        module("ReplayExchange", ["MarketData", "ZlibBridge", crypto, hummingbird, logging, lifecycle]),

        // Adapters: each implements a port of the domain.
        module(
            "DocumentStores",
            ["Workflow", "MarketData", "ServiceRuntime", "PostgresBridge", "HTTPBridge", crypto]),
        module(
            "ObjectStores", ["Workflow", "MarketData", "ServiceRuntime", "HTTPBridge", crypto]),
        module(
            "JobLaunchers",
            [
                "Workflow", "ServiceRuntime", "KafkaBridge", "KubernetesBridge", crypto, logging, metrics,
                lifecycle,
            ]),
        module(
            "BinanceFeed", ["Workflow", "MarketData", "ServiceRuntime", "HTTPBridge", "ZlibBridge", crypto]),
        module("ExchangeBudget", ["Workflow", "PostgresBridge"]),

        // Bridges: each wraps one C library; no C type leaves its bridge.
        module("KafkaBridge", exclude: ["CRdkafka"], ["CRdkafka", "ServiceRuntime", logging, metrics]),
        .target(
            name: "CRdkafka", path: "Sources/KafkaBridge/CRdkafka",
            linkerSettings: [.linkedLibrary("rdkafka")]),
        module("PostgresBridge", exclude: ["CPQ"], ["CPQ", "ServiceRuntime"]),
        .systemLibrary(
            name: "CPQ", path: "Sources/PostgresBridge/CPQ", pkgConfig: "libpq",
            providers: [.apt(["libpq-dev"])]),
        module("ZlibBridge", exclude: ["CZlib"], ["CZlib"]),
        .systemLibrary(name: "CZlib", path: "Sources/ZlibBridge/CZlib", providers: [.apt(["zlib1g-dev"])]),
        module("HTTPBridge", exclude: ["CCurl"], ["CCurl", "ServiceRuntime"]),
        .target(
            name: "CCurl", path: "Sources/HTTPBridge/CCurl", linkerSettings: [.linkedLibrary("curl")]),
        // Only what trains or predicts links it: libtorch takes 170 MB of memory.
        module("TorchBridge", exclude: ["CTorch"], ["CTorch"]),
        .target(
            name: "CTorch", path: "Sources/TorchBridge/CTorch",
            linkerSettings: ["torch_cpu", "c10", "m"].map { .linkedLibrary($0) }),
        module("BLASBridge", exclude: ["COpenBLAS"], ["COpenBLAS"]),
        .systemLibrary(
            name: "COpenBLAS", path: "Sources/BLASBridge/COpenBLAS", pkgConfig: "openblas",
            providers: [.apt(["libopenblas-dev"])]),
        // On HTTPBridge; Yams reads kubeconfig files.
        module("KubernetesBridge", ["HTTPBridge", "ServiceRuntime", yams]),

        // Base.
        module("ServiceEndpoints", ["ServiceRuntime", hummingbird, logging, metrics, lifecycle]),
        module("ServiceRuntime", exclude: ["CPosix"], ["CPosix", logging, metrics, lifecycle]),
        .target(name: "CPosix", path: "Sources/ServiceRuntime/CPosix"),

        // Domain: values, plans, state machines, names, ports. No I/O, no clock, no C.
        module("Workflow", ["MarketData"]),
        module("MarketData", [crypto]),
        // Learning on graphs as far as it is pure: snapshots, splits, measures, baselines, the weights' file format.
        module("GraphLearning", []),
        // Whether the bytes of a record are a document of its stream: the connector's hot path.
        module("RecordChecks", ["MarketData"]),

        // Tests.
        module(
            "TestSupport", path: "Tests/TestSupport",
            ["LocalStack", "ServiceRuntime", "KafkaBridge", "PostgresBridge"]),
        // A real S3 server for tests.
        module(
            "ObjectStoreSupport", path: "Tests/ObjectStoreSupport",
            ["ObjectStores", "LocalStack", "HTTPBridge", "ServiceRuntime", "Workflow"]),
        tests("MarketDataTests", ["MarketData"]),
        tests("WorkflowTests", ["Workflow", "MarketData"]),
        tests(
            "ServiceRuntimeTests",
            ["ServiceRuntime", "ServiceEndpoints", "HTTPBridge", logging, metrics, lifecycle]),
        // A program for tests that need a real process of their own.
        .executableTarget(
            name: "test-probe", dependencies: ["ServiceRuntime", "WorkerKit", "Workflow"],
            path: "Tests/Probe", swiftSettings: strict),
        // The engine over a simulated world; also run by hand over many seeds (scripts/simulate).
        module(
            "EngineSimulation", path: "Tests/EngineSimulation",
            ["QueueManager", "Workflow", "MarketData", "ServiceRuntime", logging, metrics]),
        .executableTarget(
            name: "simulate-engine", dependencies: ["EngineSimulation", argumentParser],
            path: "Tests/SimulateEngine", swiftSettings: strict),
        // Also runs that program.
        tests("EngineSimulationTests", ["EngineSimulation"]),
        tests("KafkaBridgeTests", ["KafkaBridge", "CRdkafka"]),
        tests(
            "TorchBridgeTests", resources: [.copy("torch_reference.py")], ["TorchBridge"]),
        tests("GraphLearningTests", resources: [.copy("metrics_reference.py")], ["GraphLearning"]),
        // A trainer's process for tests that kill it.
        .executableTarget(
            name: "training-probe", dependencies: ["GNNTraining", "GraphLearning", "TorchBridge"],
            path: "Tests/TrainingProbe", swiftSettings: strict),
        tests(
            "GNNTrainingTests", resources: [.copy("network_reference.py")],
            ["GNNTraining", "GraphLearning", "TorchBridge", "ServiceRuntime"]),
        tests("PostgresBridgeTests", ["PostgresBridge", "LocalStack"]),
        tests(
            "HTTPBridgeTests", resources: [.copy("http2_server.py")],
            ["HTTPBridge", "ServiceRuntime", hummingbird, logging]),
        tests("KubernetesBridgeTests", ["KubernetesBridge", "HTTPBridge", "ServiceRuntime"]),
        tests(
            "KubernetesLauncherTests",
            ["JobLaunchers", "KubernetesBridge", "Workflow", "ServiceRuntime", logging, lifecycle]),
        // An ArangoDB server in memory, held to recorded answers of a real one by DocumentStoresTests.
        module("ArangoStandIn", path: "Tests/ArangoStandIn", [hummingbird, logging]),
        tests(
            "DocumentStoresTests", resources: [.copy("Fixtures"), .copy("python_arango_check.py")],
            [
                "ArangoStandIn", "DocumentStores", "Workflow", "MarketData", "PostgresBridge", "HTTPBridge",
                "ServiceRuntime", hummingbird, logging,
            ]),
        // Also runs SeaweedFS.
        tests(
            "ObjectStoresTests", resources: [.copy("cutting_proxy.py")],
            [
                "ObjectStores", "ObjectStoreSupport", "Workflow", "MarketData", "HTTPBridge",
                "ServiceRuntime", crypto, hummingbird, logging,
            ]),
        tests(
            "BinanceFeedTests",
            [
                "BinanceFeed", "ReplayExchange", "Workflow", "MarketData", "HTTPBridge", "ZlibBridge",
                "ServiceRuntime", crypto, hummingbird, logging,
            ]),
        tests("ExchangeBudgetTests", ["ExchangeBudget", "QueueManager", "Workflow", "PostgresBridge"]),
        tests(
            "ReplayExchangeTests", resources: [.copy("Fixtures"), .copy("real_clients.py")],
            ["ReplayExchange", "MarketData", "HTTPBridge", "ServiceRuntime"]),
        tests(
            "WorkerKitTests",
            ["WorkerKit", "Workflow", "KafkaBridge", "ServiceRuntime", "LocalStack", "HTTPBridge"]),
        // Also runs the worker program itself.
        tests(
            "PoolTests",
            ["JobLaunchers", "DebugProducer", "Workflow", "KafkaBridge", "ServiceRuntime", "HTTPBridge"]),
        tests(
            "LoaderTests",
            [
                "LoaderAPICandles", "LoaderAPITrades", "LoaderKit", "WorkerKit", "Workflow", "MarketData",
                "ReplayExchange", "KafkaBridge",
                "BinanceFeed", "HTTPBridge", "ServiceRuntime", "ExchangeBudget", "PostgresBridge",
                "QueueManager",
            ]),
        tests(
            "GraphModelTests", resources: [.copy("reference.py")],
            ["GraphModel", "BLASBridge", "ServiceRuntime"]),
        tests(
            "GraphBuilderTests",
            [
                "GraphBuilder", "GraphModel", "DocumentStores", "WorkerKit", "Workflow", "MarketData",
                "ServiceRuntime",
            ]),
        // Also runs the trainer itself.
        tests(
            "GNNTrainerTests",
            [
                "GNNTrainer", "GNNTraining", "GraphLearning", "TorchBridge", "DocumentStores", "ObjectStores",
                "ObjectStoreSupport", "WorkerKit", "Workflow", "KafkaBridge", "PostgresBridge",
                "ServiceRuntime",
            ]),
        tests("DummyServiceTests", ["DummyService", "WorkerKit", "Workflow", "ServiceRuntime"]),
        tests(
            "ArangoConnectorTests",
            [
                "ArangoConnector", "WorkerKit", "Workflow", "MarketData", "RecordChecks", "DocumentStores",
                "KafkaBridge", "PostgresBridge", "ServiceRuntime",
            ]),
        tests(
            "QueueManagerTests",
            [
                "QueueManager", "EngineSimulation", "Workflow", "MarketData", "DocumentStores",
                "ServiceRuntime", "KafkaBridge", "PostgresBridge", logging,
            ]),
        tests(
            "DocumentationTests",
            [
                "QueueManager", "WorkerKit", "LoaderAPICandles", "LoaderAPITrades", "ArangoConnector",
                "DummyService", "GraphBuilder", "GNNTrainer", "LocalStack", "ServiceRuntime", "Workflow",
            ]),
        // What k8s/ says, compared with the code; and the Role it ships, on a cluster.
        tests(
            "ManifestTests",
            [
                "QueueManager", "JobLaunchers", "KubernetesBridge", "HTTPBridge", "WorkerKit",
                "LoaderAPICandles",
                "LoaderAPITrades", "ArangoConnector", "DummyService", "GraphBuilder", "GNNTrainer",
                "ServiceRuntime", "Workflow", yams, logging, lifecycle,
            ]),
        tests("LocalStackTests", ["LocalStack", "HTTPBridge", "ServiceRuntime", logging, lifecycle]),
        tests(
            "EndToEndTests",
            [
                "ArangoStandIn", "LocalStack", "HTTPBridge", "KafkaBridge", "KubernetesBridge", "MarketData",
                "Workflow", "PostgresBridge", "ServiceRuntime", logging, lifecycle,
            ]),
    ],
    swiftLanguageModes: [.v6],
    // libtorch's headers.
    cxxLanguageStandard: .cxx17
)
