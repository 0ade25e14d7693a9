import MarketData
import Testing

@testable import ObjectStores

/// The worked examples of the Amazon S3 API reference, "Signature Calculations for the Authorization Header:
/// Transferring Payload in a Single Chunk", with the keys that AWS publishes for them.
struct SigV4Tests {
    private static let signer = SigV4(
        credentials: S3Credentials(
            accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        region: "us-east-1")
    private static let time = "20130524T000000Z"
    private static let emptyHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    private static func request(
        _ method: String = "GET", _ path: String = "/", query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)] = [], payloadHash: String = emptyHash
    ) -> SigV4.Request {
        SigV4.Request(
            method: method, path: path, query: query,
            headers: headers + [
                ("host", "examplebucket.s3.amazonaws.com"), ("x-amz-content-sha256", payloadHash),
                ("x-amz-date", time),
            ], payloadHash: payloadHash)
    }

    private static func signature(_ request: SigV4.Request) -> Substring {
        signer.authorization(request, time: time).split(separator: "Signature=").last ?? ""
    }

    @Test func `an object is read in part`() {
        let request = Self.request("GET", "/test.txt", headers: [("range", "bytes=0-9")])
        #expect(
            Self.signer.authorization(request, time: Self.time)
                == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
                + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
    }

    @Test func `an object with a dollar in its name is put`() {
        let request = Self.request(
            "PUT", SigV4.percentEncoded("/test$file.text", keepsSlash: true),
            headers: [
                ("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ], payloadHash: "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072")
        #expect(
            Self.signature(request) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd")
    }

    @Test func `a query without a value is signed with an equals sign`() {
        let request = Self.request(query: [("lifecycle", "")])
        #expect(
            Self.signature(request) == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    }

    @Test func `a query is signed in the order of its names`() {
        for query in [[("max-keys", "2"), ("prefix", "J")], [("prefix", "J"), ("max-keys", "2")]] {
            #expect(
                Self.signature(Self.request(query: query))
                    == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")
        }
    }

    /// AWS General Reference, "Examples of how to derive a signing key for Signature Version 4".
    @Test func `a signing key is derived from day, region and service`() {
        let signer = SigV4(
            credentials: S3Credentials(
                accessKey: "", secretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
            region: "us-east-1", service: "iam")
        #expect(
            signer.signingKey(day: "20120215").withUnsafeBytes { $0.hexText }
                == "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d")
    }

    @Test func `values are trimmed and names sorted`() {
        let request = SigV4.Request(
            method: "GET", path: "/", query: [("b", "1 2"), ("a/", "é")],
            headers: [("x-b", "  one   two "), ("host", "h")], payloadHash: "hash")
        #expect(
            SigV4.canonical(request) == "GET\n/\na%2F=%C3%A9&b=1%202\nhost:h\nx-b:one two\n\nhost;x-b\nhash")
    }

    @Test(arguments: [
        (0, "19700101T000000Z"), (1_369_353_600, "20130524T000000Z"), (1_735_689_599, "20241231T235959Z"),
        (1_709_210_096, "20240229T123456Z"),
    ])
    func `times are written in UTC without separators`(seconds: Int64, text: String) {
        #expect(SigV4.time(seconds) == text)
    }
}
