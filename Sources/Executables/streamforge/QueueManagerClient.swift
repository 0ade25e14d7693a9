import ArgumentParser
import Foundation
import HTTPBridge
import Workflow

/// Where the queue-manager is; every command that asks it has these.
struct QueueManagerFlags: ParsableArguments {
    @Option(help: "The queue-manager. Default: STREAMFORGE_URL, else http://127.0.0.1:8080.")
    var address: String?

    @Flag(help: "Print the answer as JSON.")
    var json = false

    func client() throws -> QueueManagerClient {
        let variable = ProcessInfo.processInfo.environment["STREAMFORGE_URL"].flatMap {
            $0.isEmpty ? nil : $0
        }
        var base = address ?? variable ?? "http://127.0.0.1:8080"
        while base.hasSuffix("/") { base.removeLast() }
        guard base.hasPrefix("http://") || base.hasPrefix("https://") else {
            throw ValidationError("\(base) is no address: give one like http://127.0.0.1:8080")
        }
        return QueueManagerClient(base: base)
    }
}

/// The REST API of the queue-manager, as far as the commands need it.
struct QueueManagerClient: Sendable {
    let base: String
    private let http = HTTPClient()

    init(base: String) { self.base = base }

    func get(_ path: String) async throws -> JSONValue { try await send(HTTPRequest(.get, base + path)) }

    func put(_ path: String, _ body: [UInt8]) async throws -> JSONValue {
        try await send(
            HTTPRequest(.put, base + path, headers: ["Content-Type": "application/json"], body: body))
    }

    func delete(_ path: String) async throws -> JSONValue {
        try await send(HTTPRequest(.delete, base + path))
    }

    func post(
        _ path: String, _ body: [UInt8]? = nil, headers: HTTPHeaders = [:]
    ) async throws -> JSONValue {
        var headers = headers
        if body != nil { headers["Content-Type"] = "application/json" }
        return try await send(HTTPRequest(.post, base + path, headers: headers, body: body ?? []))
    }

    private func send(_ request: HTTPRequest) async throws -> JSONValue {
        let answer: HTTPResponse
        do {
            answer = try await http.execute(request)
        } catch {
            throw CommandFailure(
                status: Status.unreachable, isRetriable: error.isRetriable,
                message: "no answer from \(base): \(error.detail). Is it running (streamforge up)?")
        }
        let value = try? MessageCodec.decode(JSONValue.self, from: answer.body)
        guard (200..<300).contains(answer.status), let value else {
            throw CommandFailure.refused(answer.status, value)
        }
        return value
    }

    /// Reads the queue's events as they come; ends when the queue is final.
    ///
    /// - Parameter body: gets the JSON of one event.
    func follow(_ id: String, after: Int64, _ body: (JSONValue) throws -> Void) async throws {
        let request = HTTPRequest(
            .get, "\(base)/queues/\(id)/events?after=\(after)", headers: ["Accept": "text/event-stream"],
            timeouts: HTTPTimeouts(whole: nil, idle: .seconds(60)))
        do {
            try await http.stream(request) { head, chunks in
                guard head.status == 200 else {
                    var bytes: [UInt8] = []
                    for try await chunk in chunks where bytes.count < 65_536 { bytes += chunk }
                    throw CommandFailure.refused(
                        head.status, try? MessageCodec.decode(JSONValue.self, from: bytes))
                }
                var lines = LineSplitter()
                for try await chunk in chunks {
                    for line in try lines.add(chunk) where line.starts(with: Array("data: ".utf8)) {
                        try body(try MessageCodec.decode(JSONValue.self, from: Array(line.dropFirst(6))))
                    }
                }
            }
        } catch let error as HTTPError {
            throw CommandFailure(
                status: Status.unreachable, isRetriable: error.isRetriable,
                message: "the events of \(id) broke off: \(error.detail)")
        }
    }
}

/// Why a command ends: one line for people, and the exit status.
struct CommandFailure: Error, CustomStringConvertible {
    var status: ExitCode
    var isRetriable = false
    var message: String

    var description: String { message }

    /// From the API's error body `{error: {code, message, field, value, hint}}`.
    static func refused(_ status: Int, _ body: JSONValue?) -> CommandFailure {
        let error = body?["error"]
        var text = error?["message"]?.string ?? "the queue-manager answered \(status)"
        if let field = error?["field"]?.string, let value = error?["value"]?.string {
            text += " (\(field): \(value))"
        }
        if let hint = error?["hint"]?.string { text += ". \(hint)" }
        return CommandFailure(status: Status.refused, isRetriable: status >= 500, message: text)
    }

    /// Runs a command and turns what goes wrong into one line and the exit status.
    static func reporting(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let failure as CommandFailure {
            Output.note("streamforge: \(failure.message)")
            throw failure.status
        }
    }
}

/// Cuts a stream of bytes into lines.
private struct LineSplitter {
    private var rest: [UInt8] = []
    /// An event is a few hundred bytes; 8 MiB is what the broker allows a message.
    private static let bytesMax = 8 << 20

    mutating func add(_ chunk: [UInt8]) throws -> [[UInt8]] {
        rest += chunk
        var lines = rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(
            Array.init)
        rest = lines.popLast() ?? []
        guard rest.count <= Self.bytesMax else {
            throw CommandFailure(
                status: Status.refused, message: "an event is longer than \(Self.bytesMax) bytes")
        }
        return lines
    }
}
