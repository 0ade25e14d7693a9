internal import Foundation

/// Curves over a common axis.
struct LineChart {
    struct Curve {
        var name: String
        var points: [(x: Double, y: Double)]
        /// Marked with a ring, e.g. the best epoch.
        var marked: Int?
        /// One a point, shown to who points at it; empty: none.
        var hints: [String] = []
    }

    var title: String
    var xName: String
    var yName: String
    var curves: [Curve]
    /// A grey line from corner to corner: where predictions are as good as they say.
    var hasDiagonal = false
    /// A dashed line with its name, e.g. where guessing would be.
    var level: (y: Double, name: String)?
    /// nil: as the points need it.
    var range: (x: ClosedRange<Double>, y: ClosedRange<Double>)?

    private static let size = (width: 460.0, height: 280.0)
    private static let margin = (left: 62.0, right: 16.0, top: 46.0, bottom: 44.0)

    var svg: String {
        var picture = SVG(title, width: Self.size.width, height: Self.size.height)
        picture.text((Self.margin.left, 16), title, size: 13)
        let all = curves.flatMap(\.points).filter { $0.x.isFinite && $0.y.isFinite }
        guard !all.isEmpty else {
            picture.text((Self.margin.left, 60), "There is nothing to show.")
            return picture.text
        }
        let xAxis = range?.x ?? Self.range(all.map(\.x))
        let yAxis = range?.y ?? Self.range(all.map(\.y) + (level.map { [$0.y] } ?? []))
        axes(&picture, xAxis, yAxis)
        if hasDiagonal {
            picture.line(
                place((xAxis.lowerBound, yAxis.lowerBound), xAxis, yAxis),
                place((xAxis.upperBound, yAxis.upperBound), xAxis, yAxis), opacity: 0.4, isDashed: true)
        }
        if let level {
            let end = place((xAxis.upperBound, level.y), xAxis, yAxis)
            picture.line(
                place((xAxis.lowerBound, level.y), xAxis, yAxis), end, opacity: 0.5, isDashed: true)
        }
        legend(&picture)
        for (index, curve) in curves.enumerated() {
            draw(curve, SVG.colours[index % SVG.colours.count], &picture, xAxis, yAxis)
        }
        return picture.text
    }

    private func draw(
        _ curve: Curve, _ colour: String, _ picture: inout SVG, _ xAxis: ClosedRange<Double>,
        _ yAxis: ClosedRange<Double>
    ) {
        let shown = curve.points.indices.filter { curve.points[$0].x.isFinite && curve.points[$0].y.isFinite }
        let places = shown.map { place((curve.points[$0].x, curve.points[$0].y), xAxis, yAxis) }
        picture.path(places, colour)
        for (index, spot) in zip(shown, places) {
            let hint = curve.hints.indices.contains(index) ? curve.hints[index] : ""
            if index == curve.marked {
                picture.circle(spot, radius: 4, colour, hint: "best")
            } else if places.count <= 12 {
                picture.circle(spot, radius: 2.5, colour, hint: hint)
            }
        }
    }

    /// In a row above the curves, where it hides none of them.
    private func legend(_ picture: inout SVG) {
        var x = Self.margin.left
        let y = Self.margin.top - 12
        let names =
            curves.enumerated().map { ($1.name, SVG.colours[$0 % SVG.colours.count], false) }
            + (level.map { [($0.name, SVG.ink, true)] } ?? [])
        for (name, colour, isDashed) in names {
            picture.line(
                (x, y - 4), (x + 16, y - 4), colour, width: 2, opacity: isDashed ? 0.5 : 1, isDashed: isDashed
            )
            picture.text((x + 20, y), name, size: 10)
            x += 36 + 5.8 * Double(name.count)
        }
    }

    private func axes(
        _ picture: inout SVG, _ xAxis: ClosedRange<Double>, _ yAxis: ClosedRange<Double>
    ) {
        for tick in Self.ticks(xAxis) {
            let foot = place((tick, yAxis.lowerBound), xAxis, yAxis)
            picture.line(foot, place((tick, yAxis.upperBound), xAxis, yAxis), opacity: 0.12)
            picture.text((foot.0, foot.1 + 14), Self.text(tick), .middle, size: 10)
        }
        for tick in Self.ticks(yAxis) {
            let foot = place((xAxis.lowerBound, tick), xAxis, yAxis)
            picture.line(foot, place((xAxis.upperBound, tick), xAxis, yAxis), opacity: 0.12)
            picture.text((foot.0 - 5, foot.1 + 3), Self.text(tick), .end, size: 10)
        }
        let middle = (Self.size.width + Self.margin.left - Self.margin.right) / 2
        picture.text((middle, Self.size.height - 8), xName, .middle)
        let height = (Self.size.height + Self.margin.top - Self.margin.bottom) / 2
        picture.text((13, height), yName, .middle, degrees: -90)
    }

    private func place(
        _ point: (Double, Double), _ xAxis: ClosedRange<Double>, _ yAxis: ClosedRange<Double>
    ) -> (Double, Double) {
        let width = Self.size.width - Self.margin.left - Self.margin.right
        let height = Self.size.height - Self.margin.top - Self.margin.bottom
        let x = (point.0 - xAxis.lowerBound) / (xAxis.upperBound - xAxis.lowerBound)
        let y = (point.1 - yAxis.lowerBound) / (yAxis.upperBound - yAxis.lowerBound)
        return (Self.margin.left + x * width, Self.margin.top + (1 - y) * height)
    }

    /// With some room above and below; never of length 0.
    private static func range(_ values: [Double]) -> ClosedRange<Double> {
        let (low, high) = (values.min() ?? 0, values.max() ?? 1)
        guard high > low else { return low - 0.5...low + 0.5 }
        let room = (high - low) * 0.05
        return low - room...high + room
    }

    /// Round numbers, about five of them.
    static func ticks(_ range: ClosedRange<Double>) -> [Double] {
        let raw = (range.upperBound - range.lowerBound) / 5
        let power = pow(10, floor(log10(raw)))
        let step = [1.0, 2, 5, 10].map { $0 * power }.first { $0 >= raw } ?? raw
        let first = (range.lowerBound / step).rounded(.up)
        let last = (range.upperBound / step).rounded(.down)
        guard last >= first, last - first < 100 else { return [] }
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }

    private static func text(_ value: Double) -> String {
        let rounded = (value * 1e6).rounded() / 1e6
        return rounded == rounded.rounded() && abs(rounded) < 1e9 ? "\(Int(rounded))" : "\(rounded)"
    }
}
