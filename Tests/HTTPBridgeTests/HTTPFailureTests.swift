import HTTPBridge
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1)))
struct HTTPFailureTests {
    @Test(arguments: [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nContent-",
        "",
    ])
    func `a cut answer is connectionBroken and retriable`(answer: String) async throws {
        let error = try await failure(of: answer)
        #expect(error.code == .connectionBroken)
        #expect(error.isRetriable)
    }

    @Test func `what is not HTTP is malformedResponse`() async throws {
        let error = try await failure(of: "SSH-2.0-OpenSSH_9.2 and no HTTP at all\r\n\r\n")
        #expect(error.code == .malformedResponse)
    }

    @Test func `endless header fields are refused`() async throws {
        let server = RawServer { connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 200 OK\r\n")
            while connection.write([UInt8]("X-More: and more and more and more\r\n".utf8)) {}
        }
        defer { server.stop() }
        let error = try await failure(HTTPRequest(.get, server.url))
        #expect(error.code == .malformedResponse)
    }

    @Test func `a body over the limit is bodyTooLarge`() async throws {
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + String(repeating: "x", count: 1_000)
        let server = RawServer { connection in
            _ = connection.readHead()
            connection.write(answer)
        }
        defer { server.stop() }
        try await withClient { client in
            let exact = try await client.execute(HTTPRequest(.get, server.url), bodyBytesMax: 1_000)
            #expect(exact.body.count == 1_000)
            let error = await #expect(throws: HTTPError.self) {
                try await client.execute(HTTPRequest(.get, server.url), bodyBytesMax: 999)
            }
            #expect(error?.code == .bodyTooLarge)
            #expect(error?.isRetriable == false)
        }
    }

    @Test func `a server that says nothing runs into the whole time-out`() async throws {
        let server = RawServer { connection in _ = connection.awaitClose() }
        defer { server.stop() }
        let timeouts = HTTPTimeouts(whole: .milliseconds(200), idle: nil)
        let error = try await failure(HTTPRequest(.get, server.url, timeouts: timeouts))
        #expect(error.code == .timeout)
        #expect(error.isRetriable)
    }

    @Test func `a body that stalls runs into the idle time-out`() async throws {
        let server = RawServer { connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            _ = connection.awaitClose()
        }
        defer { server.stop() }
        let timeouts = HTTPTimeouts(whole: nil, idle: .seconds(1))
        let error = try await failure(HTTPRequest(.get, server.url, timeouts: timeouts))
        #expect(error.code == .timeout)
    }

    @Test func `a port nobody listens on is connectFailed`() async throws {
        let port = ClosedPort()
        let error = try await failure(HTTPRequest(.get, "http://127.0.0.1:\(port.number)/x"))
        #expect(error.code == .connectFailed)
        #expect(error.isRetriable)
    }

    @Test func `a name that does not exist is nameNotResolved`() async throws {
        // RFC 6761: `.invalid` never resolves.
        let error = try await failure(HTTPRequest(.get, "http://streamforge.invalid/"))
        #expect(error.code == .nameNotResolved)
    }

    @Test func `plain bytes where TLS is due are tlsFailed`() async throws {
        let server = RawServer { connection in connection.write("HTTP/1.1 400 Bad Request\r\n\r\n") }
        defer { server.stop() }
        let error = try await failure(HTTPRequest(.get, "https://127.0.0.1:\(server.port)/"))
        #expect(error.code == .tlsFailed)
        #expect(!error.isRetriable)
    }

    @Test(arguments: [
        "ftp://127.0.0.1/x", "file:///etc/hostname", "no url at all", "", "http://user:secret@127.0.0.1/",
        "http://127.0.0.1:99999/", "http://127.0.0.1/a b",
    ])
    func `an illegal URL is invalidRequest and its user is not shown`(url: String) async throws {
        let error = try await failure(HTTPRequest(.get, url))
        #expect(error.code == .invalidRequest)
        #expect(!error.description.contains("secret"))
    }

    @Test(arguments: [
        HTTPHeaders.Field(name: "X-A", value: "1\r\nX-B: 2"), HTTPHeaders.Field(name: "X A", value: "1"),
        HTTPHeaders.Field(name: "", value: "1"), HTTPHeaders.Field(name: "Content-Length", value: "3"),
        HTTPHeaders.Field(name: "transfer-encoding", value: "chunked"),
    ])
    func `an illegal header is invalidRequest`(field: HTTPHeaders.Field) async throws {
        let error = try await failure(HTTPRequest(.get, "http://127.0.0.1:1/", headers: HTTPHeaders([field])))
        #expect(error.code == .invalidRequest)
    }

    @Test func `an error names method, host and path but not the query`() async throws {
        let port = ClosedPort()
        let error = try await failure(
            HTTPRequest(.post, "http://127.0.0.1:\(port.number)/v1/x?signature=secret#secret"))
        #expect(error.operation == "POST http://127.0.0.1:\(port.number)/v1/x")
        #expect(!error.description.contains("secret"))
    }

    private func failure(of answer: String) async throws -> HTTPError {
        let server = RawServer { connection in
            _ = connection.readHead()
            connection.write(answer)
        }
        defer { server.stop() }
        return try await failure(HTTPRequest(.get, server.url))
    }

    private func failure(_ request: HTTPRequest) async throws -> HTTPError {
        try await withClient { client in
            let error = await #expect(throws: HTTPError.self) { try await client.execute(request) }
            return try #require(error)
        }
    }
}
