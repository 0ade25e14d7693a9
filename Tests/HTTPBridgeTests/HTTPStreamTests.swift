import HTTPBridge
import Synchronization
import Testing

@Suite(.timeLimit(.minutes(1)))
struct HTTPStreamTests {
    @Test func `delivers every byte of a large body in order`() async throws {
        let size = 20_000_000
        let server = RawServer { connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            for start in stride(from: 0, to: size, by: 100_000) {
                connection.write((start..<(start + 100_000)).map { UInt8(truncatingIfNeeded: $0 / 7) })
            }
        }
        defer { server.stop() }
        try await withClient { client in
            let count = try await client.stream(HTTPRequest(.get, server.url), bufferBytesMax: 200_000) {
                head, body in
                #expect(head.status == 200)
                var position = 0
                for try await chunk in body {
                    #expect(chunk.count <= 200_000)
                    let isRight = chunk.enumerated().allSatisfy { index, byte in
                        byte == UInt8(truncatingIfNeeded: (position + index) / 7)
                    }
                    #expect(isRight)
                    position += chunk.count
                }
                return position
            }
            #expect(count == size)
        }
    }

    @Test func `holds the server back while the reader does not read`() async throws {
        // Far more than any socket buffer, libcurl and our bound hold together.
        let size = 200 << 20
        let sent = Mutex(0)
        let server = RawServer { connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: \(size)\r\n\r\n")
            let piece = [UInt8](repeating: 7, count: 1 << 16)
            while sent.withLock({ $0 }) < size, connection.write(piece) {
                sent.withLock { $0 += piece.count }
            }
        }
        defer { server.stop() }
        try await withClient { client in
            try await client.stream(HTTPRequest(.get, server.url), bufferBytesMax: 1 << 20) { _, _ in
                // The server is held back when its count stands still although it could send on.
                var last = -1
                while last != sent.withLock({ $0 }) {
                    last = sent.withLock { $0 }
                    try await Task.sleep(for: .milliseconds(200))
                }
                #expect(last < 64 << 20)
            }
        }
    }

    @Test func `a body cut in the middle gives its bytes and then connectionBroken`() async throws {
        let server = RawServer { connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        }
        defer { server.stop() }
        try await withClient { client in
            var bytes: [UInt8] = []
            let error = await #expect(throws: HTTPError.self) {
                try await client.stream(HTTPRequest(.get, server.url)) { _, body in
                    for try await chunk in body { bytes += chunk }
                }
            }
            #expect(error?.code == .connectionBroken)
            #expect(String(decoding: bytes, as: UTF8.self) == "only this")
        }
    }

    @Test func `an empty body ends at once`() async throws {
        let server = RawServer { connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 204 No Content\r\n\r\n")
        }
        defer { server.stop() }
        try await withClient { client in
            try await client.stream(HTTPRequest(.get, server.url)) { head, body in
                #expect(head.status == 204)
                for try await _ in body { Issue.record("a 204 has no body") }
            }
        }
    }

    @Test func `leaving early closes the connection`() async throws {
        let (closings, closing) = AsyncStream.makeStream(of: Bool.self)
        let server = RawServer { connection in
            _ = connection.readHead()
            connection.write("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
            closing.yield(connection.awaitClose())
        }
        defer { server.stop() }
        try await withClient { client in
            try await client.stream(HTTPRequest(.get, server.url)) { _, _ in }
            #expect(await awaitValue(closings) == true)
        }
    }
}

@Suite(.timeLimit(.minutes(1)))
struct HTTPCancellationTests {
    @Test func `cancelling the task closes the connection and throws cancelled`() async throws {
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        let (closings, closing) = AsyncStream.makeStream(of: Bool.self)
        let server = RawServer { connection in
            _ = connection.readHead()
            arrived.yield(())
            closing.yield(connection.awaitClose())
        }
        defer { server.stop() }
        try await withClient { client in
            let error = await #expect(throws: HTTPError.self) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { _ = try await client.execute(HTTPRequest(.get, server.url)) }
                    _ = await awaitValue(arrivals)
                    group.cancelAll()
                    try await group.next()
                }
            }
            #expect(error?.code == .cancelled)
            #expect(await awaitValue(closings) == true)
        }
    }

    @Test func `a task that is cancelled already sends nothing to wait for`() async throws {
        let server = RawServer { connection in _ = connection.awaitClose() }
        defer { server.stop() }
        try await withClient { client in
            let error = await #expect(throws: HTTPError.self) {
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.cancelAll()
                    group.addTask { _ = try await client.execute(HTTPRequest(.get, server.url)) }
                    try await group.next()
                }
            }
            #expect(error?.code == .cancelled)
        }
    }

    @Test func `many requests cancelled at random moments all end and the client works on`() async throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("seed \(seed)")
        let server = RawServer { connection in
            while !connection.readHead().isEmpty {
                connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            }
        }
        defer { server.stop() }
        try await withClient { client in
            var state = seed
            for _ in 0..<200 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let pause = Duration.microseconds(Int64(state >> 56) * 4)
                await withTaskGroup(of: HTTPError.Code?.self) { group in
                    group.addTask {
                        do throws(HTTPError) {
                            _ = try await client.execute(HTTPRequest(.get, server.url))
                            return nil
                        } catch { return error.code }
                    }
                    try? await Task.sleep(for: pause)
                    group.cancelAll()
                    for await code in group { #expect(code == nil || code == .cancelled) }
                }
            }
            let last = try await client.execute(HTTPRequest(.get, server.url))
            #expect(last.status == 200)
        }
    }
}
