import HTTPBridge

/// An HTTP client that is closed at the end.
func withClient<Value>(
    _ configuration: HTTPClient.Configuration = .init(), _ body: (HTTPClient) async throws -> Value
) async throws -> Value {
    let client = HTTPClient(configuration)
    do {
        let value = try await body(client)
        await client.close()
        return value
    } catch {
        await client.close()
        throw error
    }
}
