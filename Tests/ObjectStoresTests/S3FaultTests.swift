import Crypto
import Foundation
import MarketData
import Synchronization
import Testing
import Workflow

@testable import ObjectStores

/// What a real server does only when something goes wrong.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct S3FaultTests {
    private static func store(_ url: String, attempts: Int = 4) -> S3ObjectStore {
        var settings = S3Settings(
            endpoint: url, bucket: "b",
            credentials: { S3Credentials(accessKey: "key", secretKey: "the-secret") },
            now: { 1_369_353_600 })
        settings.retry.attemptMax = attempts
        settings.retry.backoffInitial = .milliseconds(1)
        settings.partBytes = 1 << 20
        return S3ObjectStore(settings)
    }

    /// Questions in the order they came, and answers by their number.
    private final class Script: Sendable {
        private let questions = Mutex<[ScriptedServer.Question]>([])
        private let answer: @Sendable (Int, ScriptedServer.Question) -> ScriptedServer.Answer

        init(_ answer: @escaping @Sendable (Int, ScriptedServer.Question) -> ScriptedServer.Answer) {
            self.answer = answer
        }

        var all: [ScriptedServer.Question] { questions.withLock { $0 } }

        func callAsFunction(_ question: ScriptedServer.Question) -> ScriptedServer.Answer {
            let number = questions.withLock { questions in
                questions.append(question)
                return questions.count
            }
            return answer(number, question)
        }
    }

    private static func run(
        _ script: Script, attempts: Int = 4, _ body: @escaping @Sendable (S3ObjectStore) async throws -> Void
    ) async throws {
        try await ScriptedServer.run {
            script($0)
        } _: { url in
            let store = store(url, attempts: attempts)
            try await body(store)
            await store.close()
        }
    }

    @Test(arguments: [(500, "InternalError"), (503, "SlowDown"), (400, "RequestTimeout"), (400, "BadDigest")])
    func `what may pass is tried again`(status: Int, word: String) async throws {
        let script = Script { number, _ in number < 3 ? .error(status, word) : ScriptedServer.Answer() }
        try await Self.run(script) { store in
            try await store.put(try key("a"), ObjectContent([1, 2], mediaType: "text/plain"))
        }
        #expect(script.all.count == 3)
        let last = try #require(script.all.last)
        #expect(last.body == [1, 2])
        #expect(
            last.headers["content-md5"]
                == Data(Insecure.MD5.hash(data: [1, 2] as [UInt8])).base64EncodedString())
        #expect(last.headers["x-amz-content-sha256"]?.count == 64)
    }

    @Test func `tries end, and the error has no secret in it`() async throws {
        let script = Script { _, _ in .error(503, "SlowDown") }
        try await Self.run(script) { store in
            let error = await #expect(throws: ObjectStoreError.self) {
                try await store.put(try key("a"), ObjectContent([1], mediaType: "text/plain"))
            }
            #expect(error?.description == "put a: unavailable: status 503 SlowDown: No.")
        }
        #expect(script.all.count == 4)
        #expect(script.all.allSatisfy { !"\($0)".contains("the-secret") })
    }

    @Test func `an upload that cannot be completed is an error although the status is 200`() async throws {
        let script = Script { _, question in
            if question.target.contains("uploads=") { return .text("<R><UploadId>u1</UploadId></R>") }
            if question.method == "PUT" { return ScriptedServer.Answer(headers: ["ETag": "\"t\""]) }
            return question.method == "POST"
                ? .error(200, "InternalError") : ScriptedServer.Answer(status: 204)
        }
        try await Self.run(script, attempts: 2) { store in
            let content = ObjectContent(pattern(3 << 20), mediaType: "text/plain")
            let error = await #expect(throws: ObjectStoreError.self) {
                try await store.put(try key("a"), content)
            }
            #expect(error?.code == .unavailable)
        }
        let kinds = script.all.map(\.method)
        #expect(kinds == ["POST", "PUT", "PUT", "PUT", "POST", "POST", "DELETE"])
        #expect(script.all.last?.target == "/b/a?uploadId=u1")
    }

    @Test(arguments: [true, false])
    func `the answer to a completion was lost: the object is looked for`(isThere: Bool) async throws {
        let script = Script { number, question in
            if question.target.contains("uploads=") { return .text("<R><UploadId>u1</UploadId></R>") }
            if question.method == "PUT" { return ScriptedServer.Answer(headers: ["ETag": "\"t\""]) }
            if question.method == "POST" {
                return number == 4 ? .error(500, "InternalError") : .error(404, "NoSuchUpload")
            }
            guard question.method == "HEAD", isThere else { return ScriptedServer.Answer(status: 404) }
            return ScriptedServer.Answer(headers: ["ETag": "\"x-2\""], body: pattern(2 << 20))
        }
        try await Self.run(script) { store in
            let content = ObjectContent(pattern(2 << 20), mediaType: "text/plain")
            if isThere {
                let info = try await store.put(try key("a"), content)
                #expect(info.byteCount == 2 << 20)
            } else {
                let error = await #expect(throws: ObjectStoreError.self) {
                    try await store.put(try key("a"), content)
                }
                #expect(error?.code == .superseded)
                #expect(error?.detail == "another attempt discarded what was written")
            }
        }
    }

    @Test(arguments: [true, false])
    func `an older object of the same length is not taken for the one that was put`(isOurs: Bool) async throws
    {
        let content = pattern(2 << 20)
        let parts = [content.prefix(1 << 20), content.suffix(1 << 20)].map {
            Data(Insecure.MD5.hash(data: Data($0)))
        }
        let whole = Insecure.MD5.hash(data: parts[0] + parts[1]).hexText
        let script = Script { _, question in
            if question.target.contains("uploads=") { return .text("<R><UploadId>u1</UploadId></R>") }
            if question.method == "PUT" {
                let part = parts[question.target.contains("partNumber=1") ? 0 : 1]
                return ScriptedServer.Answer(headers: ["ETag": "\"\(part.hexText)\""])
            }
            if question.method == "POST" { return .error(404, "NoSuchUpload") }
            guard question.method == "HEAD" else { return ScriptedServer.Answer(status: 204) }
            let tag = isOurs ? whole : String(whole.reversed())
            return ScriptedServer.Answer(headers: ["ETag": "\"\(tag)-2\""], body: content)
        }
        try await Self.run(script) { store in
            let put: @Sendable () async throws -> Void = {
                try await store.put(try key("a"), ObjectContent(content, mediaType: "text/plain"))
            }
            if isOurs { return try await put() }
            let error = await #expect(throws: ObjectStoreError.self) { try await put() }
            #expect(error?.code == .superseded)
        }
    }

    @Test(arguments: [true, false])
    func `a put that is denied because there is no bucket says so`(isThere: Bool) async throws {
        let script = Script { _, question in
            if question.method == "PUT" { return .error(403, "AccessDenied") }
            return isThere ? .text("<ListBucketResult></ListBucketResult>") : .error(404, "NoSuchBucket")
        }
        try await Self.run(script) { store in
            let error = await #expect(throws: ObjectStoreError.self) {
                try await store.put(try key("a"), ObjectContent([1], mediaType: "text/plain"))
            }
            #expect(error?.code == (isThere ? .refused : .noContainer))
        }
    }

    @Test func `credentials have no secret when they are printed`() {
        let credentials = S3Credentials(accessKey: "AKIATEST", secretKey: "the-secret")
        #expect("\(credentials) \(Optional(credentials).debugDescription)".contains("AKIATEST"))
        #expect(!"\(credentials) \(Optional(credentials).debugDescription)".contains("the-secret"))
    }

    @Test func `a download that is cut goes on behind the last byte`() async throws {
        let content = pattern(900_000)
        let script = Script { number, question in
            let start = question.headers["range"].flatMap { Int($0.dropFirst(6).prefix { $0 != "-" }) } ?? 0
            var answer = ScriptedServer.Answer(status: start == 0 ? 200 : 206, headers: ["ETag": "\"t\""])
            answer.body = Array(content[start...])
            if number < 4 { answer.cutAfter = 200_000 }
            return answer
        }
        try await Self.run(script) { store in
            let read = try await store.read(try key("a"))
            #expect(read == content)
        }
        #expect(script.all.count >= 4)
        #expect(script.all.dropFirst().allSatisfy { $0.headers["if-match"] == "\"t\"" })
    }

    @Test func `an object that changes during a download is not glued together`() async throws {
        let script = Script { number, _ in
            if number > 1 { return .error(412, "PreconditionFailed") }
            return ScriptedServer.Answer(
                headers: ["ETag": "\"t\""], body: pattern(500_000), cutAfter: 100_000)
        }
        try await Self.run(script) { store in
            let error = await #expect(throws: ObjectStoreError.self) { try await store.read(try key("a")) }
            #expect(error?.code == .corrupt)
        }
    }

    @Test func `a list that never ends is an error`() async throws {
        let text =
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
            + "<Contents><Key>a</Key><Size>1</Size></Contents></ListBucketResult>"
        let script = Script { _, _ in .text(text) }
        try await Self.run(script, attempts: 1) { store in
            _ = await #expect(throws: ObjectStoreError.self) { try await store.keys(.all) }
        }
        #expect(script.all.count == 2)
    }

    @Test func `nobody listens: the error says where`() async throws {
        let store = Self.store("http://127.0.0.1:9", attempts: 2)
        let error = await #expect(throws: ObjectStoreError.self) { try await store.check() }
        #expect(error?.code == .unavailable)
        #expect(error?.detail.contains("http://127.0.0.1:9/b") == true)
        await store.close()
    }
}
