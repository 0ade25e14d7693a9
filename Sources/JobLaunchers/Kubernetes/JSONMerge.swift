import Workflow

extension JSONValue {
    /// This value changed by a JSON merge patch (RFC 7386): objects are merged, null removes a member, anything
    /// else replaces.
    package func merged(with patch: JSONValue) -> JSONValue {
        guard case .object(let changes) = patch else { return patch }
        var members = self.members ?? [:]
        for (name, change) in changes {
            members[name] = change == .null ? nil : (members[name] ?? .null).merged(with: change)
        }
        return .object(members)
    }
}
