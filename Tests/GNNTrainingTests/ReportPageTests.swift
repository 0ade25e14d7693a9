import Foundation
import GNNTraining
import GraphLearning
import TestSupport
import Testing

/// The report in a real browser.
@Suite(
    .serialized, .timeLimit(.minutes(5)),
    .enabled(if: HeadlessBrowser.isThere, "\(HeadlessBrowser.skipReason)"))
struct ReportPageTests {
    /// Looks for what a person would stumble over, and writes it into the page.
    private static let inspection = """
        <script>
        const faults = [];
        const box = e => e.getBoundingClientRect();
        const within = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
        const meet = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 2 && b.top < a.bottom - 2;
        const light = c => c.match(/[0-9.]+/g).slice(0, 3).map(Number)
            .map(v => v / 255 <= 0.03928 ? v / 3294.6 : ((v / 255 + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
        const pictures = [...document.querySelectorAll('svg')];
        for (const picture of pictures) {
            const name = picture.getAttribute('aria-label');
            if (box(picture).width < 100) faults.push(name + ' is not drawn');
            for (const part of picture.querySelectorAll('text, circle, line, rect, polyline'))
                if (!within(box(part), box(picture))) faults.push(name + ': outside: ' + (part.textContent || part.outerHTML));
            // Turned ones lie along rays: the boxes around them meet, they do not.
            const texts = [...picture.querySelectorAll('text:not([transform])')];
            texts.forEach((one, i) => texts.slice(i + 1).forEach(other => {
                if (meet(box(one), box(other))) faults.push(name + ': ' + one.textContent + ' on ' + other.textContent);
            }));
        }
        const style = getComputedStyle(document.body);
        const [one, other] = [light(style.color), light(style.backgroundColor)].sort((a, b) => b - a);
        if ((one + 0.05) / (other + 0.05) < 7) faults.push('text is hard to read: ' + style.color + ' on ' + style.backgroundColor);
        if (document.documentElement.scrollWidth > innerWidth) faults.push('wider than the window: ' + document.documentElement.scrollWidth);
        for (const table of document.querySelectorAll('.wide'))
            if (innerWidth > 1000 && table.scrollWidth > table.clientWidth) faults.push('a table is cut off: ' + table.textContent.slice(0, 40));
        document.body.dataset.ground = style.backgroundColor;
        document.body.dataset.result = pictures.length + ' pictures, faults: ' + faults.join('; ') + '.';
        </script>
        </body>
        """

    private static func html(_ kind: LearningTask.Kind, nodes: Int) throws -> String {
        var plan = TrainingTests.plan(epochs: 8)
        plan.task = LearningTask(kind, horizon: SyntheticMarket.step)
        var market = SyntheticMarket()
        market.nodes = nodes
        let artifacts = try ModelTrainer(try market.series(), plan, checkpoints: nil).run()
        return String(decoding: artifacts.files[ModelArtifacts.reportName] ?? [], as: UTF8.self)
    }

    @Test(arguments: [(LearningTask.Kind.direction, 12, 8), (.logReturn, 50, 6)])
    func `all pictures are drawn, nothing covers anything, by day and by night, wide and narrow`(
        kind: LearningTask.Kind, nodes: Int, pictures: Int
    ) async throws {
        let file = FileManager.default.temporaryDirectory.appending(path: "\(uniqueName("report")).html").path
        defer { try? FileManager.default.removeItem(atPath: file) }
        let html = try Self.html(kind, nodes: nodes).replacing("</body>", with: Self.inspection)
        try Data(html.utf8).write(to: URL(filePath: file))
        for (width, isDark) in [(1_200, false), (1_200, true), (500, false)] {
            let (page, console) = try await HeadlessBrowser.open(file, width: width, isDark: isDark)
            #expect(console == [])
            let result = page.firstMatch(of: /data-result="([^"]*)"/)?.1
            #expect(result == "\(pictures) pictures, faults: .", "\(width) pixels, dark: \(isDark)")
            let ground = page.firstMatch(of: /data-ground="([^"]*)"/)?.1
            #expect((ground == "rgb(255, 255, 255)") == !isDark)
        }
    }
}
