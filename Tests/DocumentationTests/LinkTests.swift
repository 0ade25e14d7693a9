import Foundation
import Testing

@Suite struct LinkTests {
    @Test func `every relative link of the documentation leads to a file`() throws {
        let pages = try Self.markdownFiles()
        #expect(pages.count > 8)
        for page in pages {
            let text = try String(contentsOf: page, encoding: .utf8)
            for match in text.matches(of: /\]\(([^)#\s]+)(?:#[^)]*)?\)/) {
                let target = String(match.output.1)
                guard !target.contains("://") else { continue }
                let file = page.deletingLastPathComponent().appending(path: target)
                #expect(
                    FileManager.default.fileExists(atPath: file.path(percentEncoded: false)),
                    "\(page.lastPathComponent) links to \(target)")
            }
        }
    }

    private static func markdownFiles() throws -> [URL] {
        let top = try FileManager.default.contentsOfDirectory(
            at: projectFolder, includingPropertiesForKeys: nil)
        let docs = FileManager.default.enumerator(
            at: projectFolder.appending(path: "docs"), includingPropertiesForKeys: nil)
        let below = docs?.compactMap { $0 as? URL } ?? []
        return (top + below).filter { $0.pathExtension == "md" }
    }
}
