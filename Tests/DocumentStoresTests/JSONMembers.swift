import Foundation
import Testing

@testable import ArangoStandIn

/// The text of a member of a JSON object.
func member(_ name: String, of text: String) throws -> String {
    try #require(try members(of: text)[name]?.string)
}

func memberNames(of text: String) throws -> [String] {
    try members(of: text).keys.sorted()
}

private func members(of text: String) throws -> [String: JSON] {
    try #require(JSON(parsing: text.utf8)?.object)
}
