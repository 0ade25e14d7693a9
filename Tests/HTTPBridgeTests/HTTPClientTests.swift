import HTTPBridge
import Testing

@Suite(.timeLimit(.minutes(1)))
struct HTTPClientTests {
    @Test func `sends method, headers and body and gives back status, headers and body`() async throws {
        try await withServer(.echo) { url in
            try await withClient { client in
                let sent = [UInt8]((0..<300_000).map { UInt8(truncatingIfNeeded: $0) })
                let response = try await client.execute(
                    HTTPRequest(.put, url + "/echo?x=1", headers: ["Content-Type": "text/x-own"], body: sent))
                #expect(response.status == 201)
                #expect(response.body == sent)
                #expect(response.headers["aCCept"] == "text/x-own")
                #expect(response.headers["age"] == "300000")
                #expect(response.headers["allow"] == "none")
            }
        }
    }

    @Test(arguments: [HTTPRequest.Method.get, .head, .post, .put, .patch, .delete])
    func `sends every method without a body`(method: HTTPRequest.Method) async throws {
        let server = RawServer { connection in
            let head = connection.readHead()
            let line = head.prefix { $0 != "\r\n" }
            connection.write(
                "HTTP/1.1 200 OK\r\nX-Line: \(line)\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        }
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(method, server.url + "/a?b=c"))
            #expect(response.headers["X-Line"] == "\(method.rawValue) /a?b=c HTTP/1.1")
        }
    }

    @Test func `keeps one connection for many requests one after the other`() async throws {
        let server = RawServer { connection in
            while !connection.readHead().isEmpty {
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        defer { server.stop() }
        try await withClient { client in
            for _ in 0..<50 {
                let response = try await client.execute(HTTPRequest(.get, server.url))
                #expect(response.body == [UInt8]("ok".utf8))
            }
        }
        #expect(server.connectionCount == 1)
    }

    @Test func `does not follow a redirect`() async throws {
        try await withServer(.redirect) { url in
            try await withClient { client in
                let response = try await client.execute(HTTPRequest(.get, url + "/from"))
                #expect(response.status == 302)
                #expect(response.headers["Location"] == "/to")
            }
        }
    }

    @Test func `unpacks gzip when it is offered`() async throws {
        // gzip of "hello hello hello hello", made with Python's gzip module.
        let packed: [UInt8] = [
            31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 203, 72, 205, 201, 201, 87, 200, 64, 39, 1, 227, 81, 61, 141, 23,
            0, 0, 0,
        ]
        let server = RawServer { connection in
            let offers = connection.readHead().contains("Accept-Encoding: gzip")
            connection.write(
                "HTTP/1.1 200 OK\r\nX-Offer: \(offers)\r\nContent-Encoding: gzip\r\n"
                    + "Content-Length: \(packed.count)\r\n\r\n"
            )
            connection.write(packed)
        }
        defer { server.stop() }
        try await withClient { client in
            let response = try await client.execute(HTTPRequest(.get, server.url, acceptsGzip: true))
            #expect(response.headers["x-offer"] == "true")
            #expect(String(decoding: response.body, as: UTF8.self) == "hello hello hello hello")
        }
    }

    @Test func `runs at most as many transfers as allowed and the rest in turn`() async throws {
        let gauge = Gauge()
        var configuration = HTTPClient.Configuration()
        configuration.transfersMax = 3
        try await withServer(.slow(gauge)) { [configuration] url in
            try await withClient(configuration) { client in
                try await withThrowingTaskGroup(of: Int.self) { group in
                    for _ in 0..<20 {
                        group.addTask { try await client.execute(HTTPRequest(.get, url + "/slow")).status }
                    }
                    for try await status in group { #expect(status == 200) }
                }
            }
        }
        #expect(await gauge.highest == 3)
    }

    @Test func `throws overloaded when a request waited too long for its turn`() async throws {
        let server = RawServer { connection in
            _ = connection.readHead()
            _ = connection.awaitClose()
        }
        defer { server.stop() }
        var configuration = HTTPClient.Configuration()
        configuration.transfersMax = 1
        configuration.waitMax = .milliseconds(50)
        try await withClient(configuration) { client in
            let error = await #expect(throws: HTTPError.self) {
                // Whichever of the two is second waits in vain.
                try await withThrowingTaskGroup(of: HTTPResponse.self) { group in
                    for _ in 0..<2 {
                        group.addTask { try await client.execute(HTTPRequest(.get, server.url)) }
                    }
                    for try await _ in group {}
                }
            }
            #expect(error?.code == .overloaded)
        }
    }

    @Test func `a closed client ends what runs and refuses what comes`() async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        let server = RawServer { connection in
            _ = connection.readHead()
            arrived.yield(())
            _ = connection.awaitClose()
        }
        defer { server.stop() }
        let client = HTTPClient()
        let ended = await #expect(throws: HTTPError.self) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { _ = try await client.execute(HTTPRequest(.get, server.url)) }
                _ = await awaitValue(arrivals)
                await client.close()
                try await group.next()
            }
        }
        #expect(ended?.code == .closed)
        let refused = await #expect(throws: HTTPError.self) {
            try await client.execute(HTTPRequest(.get, server.url))
        }
        #expect(refused?.code == .closed)
    }
}
