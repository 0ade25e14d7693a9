import Foundation
import LocalStack
import PostgresBridge
import TestSupport
import Testing

@Suite(.serialized, .timeLimit(.minutes(3)))
struct PostgresClusterTests {
    @Test func `keeps its data over a stop and over a kill`() async throws {
        try await withFolder { folder in
            var durable = options(folder)
            durable.isDurable = true
            let first = try await PostgresCluster.start(durable)
            try await execute("CREATE TABLE t (id int)", on: first)
            try await execute("INSERT INTO t VALUES (1)", on: first)
            await first.stop()
            #expect(first.exit == .code(0))

            let second = try await PostgresCluster.start(durable)
            try await execute("INSERT INTO t VALUES (2)", on: second)
            // postmaster.pid stays behind, and the server's own processes end only after it.
            kill(second.processID, SIGKILL)
            let third = try await PostgresCluster.start(durable)
            #expect(try await execute("SELECT * FROM t", on: third).count == 2)
            await third.stop()
        }
    }

    @Test func `a second server on the same folder and a taken port are told in one line`() async throws {
        try await withFolder { folder in
            let cluster = try await PostgresCluster.start(options(folder))
            var second = options(folder)
            second.startTimeout = .seconds(2)
            let inUse = await #expect(throws: PostgresClusterError.self) {
                try await PostgresCluster.start(second)
            }
            #expect(inUse?.message.contains("in use by process") == true)
            #expect(inUse?.description.contains("\n") == false)

            try await withFolder { otherFolder in
                var other = options(otherFolder)
                other.port = cluster.url.port
                other.startTimeout = .seconds(4)
                let taken = await #expect(throws: PostgresClusterError.self) {
                    try await PostgresCluster.start(other)
                }
                let message = taken?.message ?? ""
                #expect(message.contains("Address already in use"), "\(message)")
                #expect(taken?.description.contains("\n") == false)
            }
            await cluster.stop()
        }
    }

    @Test func `works in a folder that only we may enter, and lets nobody in without the password`()
        async throws
    {
        try await withFolder { folder in
            // As root, the server's user has no right to walk through this one.
            let inner = "\(folder)/private"
            try FileManager.default.createDirectory(
                atPath: inner, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            let cluster = try await PostgresCluster.start(options("\(inner)/postgres"))
            #expect(try await execute("SELECT 1", on: cluster).count == 1)
            let url = cluster.url
            let stranger = PostgresURL(
                host: url.host, port: url.port, database: url.database, user: url.user, password: nil)
            let error = await #expect(throws: PostgresError.self) {
                try await PostgresConnection.open(PostgresConfiguration(url: stranger))
            }
            #expect(error?.isRefusedLogin == true)
            let mode = try FileManager.default.attributesOfItem(atPath: cluster.passwordFile)[
                .posixPermissions]
            #expect(mode as? Int == 0o600)
            await cluster.stop()
        }
    }

    @Test func `a half-made cluster is made anew, a lost password is told`() async throws {
        try await withFolder { folder in
            try FileManager.default.createDirectory(
                atPath: "\(folder)/data.new/base", withIntermediateDirectories: true)
            let cluster = try await PostgresCluster.start(options(folder))
            await cluster.stop()
            try "another".write(toFile: cluster.passwordFile, atomically: false, encoding: .utf8)
            let error = await #expect(throws: PostgresClusterError.self) {
                try await PostgresCluster.start(options(folder))
            }
            #expect(error?.message.contains("refuses our password") == true)
            #expect(error?.message.contains("another") == false)
        }
    }
}

private func options(_ folder: String) -> PostgresCluster.Options {
    var options = PostgresCluster.Options(folder: folder)
    options.isDurable = false
    options.connectionsMax = 20
    return options
}

@discardableResult
private func execute(_ query: PostgresQuery, on cluster: PostgresCluster) async throws -> PostgresResult {
    let connection = try await PostgresConnection.open(PostgresConfiguration(url: cluster.url))
    let result = try await connection.execute(query)
    await connection.close()
    return result
}

private func withFolder(_ body: (String) async throws -> Void) async throws {
    let folder = "/tmp/streamforge-cluster-\(UInt32.random(in: 0...UInt32.max))"
    try FileManager.default.createDirectory(
        atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try await body(folder)
}
