import HTTPBridge
import Testing
import Workflow

@testable import ObjectStores

/// Keys, XML, addresses and what an answer means.
struct S3PartsTests {
    @Test(arguments: [
        "a", "models/btc/model.safetensors", "A-Z_0.9=+@x", String(repeating: "a", count: 128),
    ])
    func `a key is made of plain parts`(text: String) {
        #expect(ObjectKey(text)?.rawValue == text)
    }

    @Test(arguments: [
        "", "/a", "a/", "a//b", ".a", "a/.b", "..", "a/../b", "a b", "a\nb", "ä", "a%2Fb", "a?b", "a<b",
        String(repeating: "a", count: 129), String(repeating: "ab/", count: 200) + "c",
    ])
    func `what could leave the folder or need escaping is no key`(text: String) {
        #expect(ObjectKey(text) == nil)
    }

    @Test func `a prefix is a folder, not a beginning of names`() throws {
        let prefix = try #require(ObjectPrefix("models/a"))
        #expect(prefix.contains(try #require(ObjectKey("models/a/b"))))
        #expect(!prefix.contains(try #require(ObjectKey("models/ab"))))
        #expect(ObjectPrefix.all.contains(try #require(ObjectKey("x"))))
        #expect(prefix.key("x/y")?.rawValue == "models/a/x/y")
        #expect(ObjectPrefix("a/") == nil)
    }

    @Test func `elements, texts and entities are read`() throws {
        let text = """
            <?xml version="1.0" encoding="UTF-8"?>
            <!-- a comment -->
            <List xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Empty/><IsTruncated>true</IsTruncated>
              <Contents><Key>a&amp;b</Key><ETag>&#34;x&#x41;&quot;</ETag></Contents>
              <Contents><Key>c</Key></Contents></List>
            """
        let list = try #require(S3XML.parse(Array(text.utf8)))
        #expect(list.name == "List")
        #expect(list.first("IsTruncated") == "true")
        #expect(list.first("Empty") == "")
        #expect(list.all("Contents").map { $0.first("Key") } == ["a&b", "c"])
        #expect(list.all("Contents").first?.first("ETag") == "\"xA\"")
    }

    @Test(arguments: [
        "", "<a>", "</a>", "<a></b>", "text", "<a><b></a>", String(repeating: "<a>", count: 50),
    ])
    func `what is not well formed is not understood`(text: String) {
        #expect(S3XML.parse(Array(text.utf8)) == nil)
    }

    @Test(arguments: [
        ("http://127.0.0.1:9000", "127.0.0.1:9000", "", "http://127.0.0.1:9000"),
        (
            "https://s3.eu-central-1.amazonaws.com/", "s3.eu-central-1.amazonaws.com", "",
            "https://s3.eu-central-1.amazonaws.com"
        ),
        ("https://host:443", "host", "", "https://host:443"),
        ("http://host:80", "host", "", "http://host:80"),
        ("http://host:443/s3/v1", "host:443", "/s3/v1", "http://host:443"),
    ])
    func `the host that is signed is the one that is sent`(
        endpoint: String, host: String, path: String, origin: String
    ) {
        let settings = S3Settings(
            endpoint: endpoint, bucket: "b", credentials: { S3Credentials(accessKey: "a", secretKey: "s") },
            now: { 0 })
        #expect(settings.host == host)
        #expect(settings.pathPrefix == path)
        #expect(settings.origin == origin)
    }

    @Test(arguments: [
        (403, "SignatureDoesNotMatch", ObjectStoreError.Code.refused, false),
        (403, "InvalidAccessKeyId", .refused, false), (403, "RequestTimeTooSkewed", .refused, false),
        (404, "NoSuchBucket", .noContainer, false), (404, "NoSuchKey", .notFound, false),
        (500, "InternalError", .unavailable, true), (503, "SlowDown", .unavailable, true),
        (400, "RequestTimeout", .unavailable, true), (400, "BadDigest", .unavailable, true),
        (507, "XMinioStorageFull", .full, false), (412, "PreconditionFailed", .corrupt, false),
        (400, "EntityTooLarge", .invalid, false), (301, "PermanentRedirect", .invalid, false),
    ])
    func `an answer says what was wrong`(
        status: Int, word: String, code: ObjectStoreError.Code, isRetriable: Bool
    ) {
        let text = "<Error><Code>\(word)</Code><Message>In words.</Message></Error>"
        let failure = S3Failure(
            HTTPResponse(status: status, headers: [:], body: Array(text.utf8)),
            S3Call(.get, operation: "get it"), bucket: "models")
        #expect(failure.error.code == code)
        #expect(failure.isRetriable == isRetriable)
        #expect(failure.error.detail.contains("status \(status) \(word): In words."))
        #expect(failure.error.detail.contains("models") == (code == .noContainer))
    }
}
