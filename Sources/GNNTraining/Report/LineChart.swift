internal import Foundation

/// Curves over a common axis.
struct LineChart {
    struct Curve {
        var name: String
        var points: [(x: Double, y: Double)]
        /// Marked with a ring, e.g. the best epoch.
        var marked: Int?
    }

    var title: String
    var xName: String
    var yName: String
    var curves: [Curve]
    /// A grey line from corner to corner: where predictions are as good as they say.
    var hasDiagonal = false
    /// nil: as the points need it.
    var range: (x: ClosedRange<Double>, y: ClosedRange<Double>)?

    private static let size = (width: 460.0, height: 280.0)
    private static let margin = (left: 58.0, right: 14.0, top: 30.0, bottom: 44.0)

    var svg: String {
        var picture = SVG(title, width: Self.size.width, height: Self.size.height)
        picture.text((Self.margin.left, 16), title, size: 13)
        let all = curves.flatMap(\.points).filter { $0.x.isFinite && $0.y.isFinite }
        guard !all.isEmpty else {
            picture.text((Self.margin.left, 60), "There is nothing to show.")
            return picture.text
        }
        let xAxis = range?.x ?? Self.range(all.map(\.x))
        let yAxis = range?.y ?? Self.range(all.map(\.y))
        axes(&picture, xAxis, yAxis)
        if hasDiagonal {
            picture.line(
                place((xAxis.lowerBound, yAxis.lowerBound), xAxis, yAxis),
                place((xAxis.upperBound, yAxis.upperBound), xAxis, yAxis), "#bbb")
        }
        for (index, curve) in curves.enumerated() {
            let colour = SVG.colours[index % SVG.colours.count]
            let points = curve.points.filter { $0.x.isFinite && $0.y.isFinite }
                .map { place(($0.x, $0.y), xAxis, yAxis) }
            picture.path(points, colour)
            if points.count <= 12 { for point in points { picture.circle(point, radius: 2.5, colour) } }
            if let marked = curve.marked, points.indices.contains(marked) {
                picture.circle(points[marked], radius: 4, colour, hint: "best")
            }
            let y = Self.margin.top + 12 + Double(index) * 14
            picture.line((Self.size.width - 190, y - 4), (Self.size.width - 172, y - 4), colour, width: 2)
            picture.text((Self.size.width - 168, y), curve.name, size: 10)
        }
        return picture.text
    }

    private func axes(
        _ picture: inout SVG, _ xAxis: ClosedRange<Double>, _ yAxis: ClosedRange<Double>
    ) {
        for tick in Self.ticks(xAxis) {
            let foot = place((tick, yAxis.lowerBound), xAxis, yAxis)
            picture.line(foot, place((tick, yAxis.upperBound), xAxis, yAxis), "#eee")
            picture.text((foot.0, foot.1 + 14), Self.text(tick), .middle, size: 10)
        }
        for tick in Self.ticks(yAxis) {
            let foot = place((xAxis.lowerBound, tick), xAxis, yAxis)
            picture.line(foot, place((xAxis.upperBound, tick), xAxis, yAxis), "#eee")
            picture.text((foot.0 - 5, foot.1 + 3), Self.text(tick), .end, size: 10)
        }
        let middle = (Self.size.width + Self.margin.left - Self.margin.right) / 2
        picture.text((middle, Self.size.height - 8), xName, .middle)
        picture.text((4, Self.margin.top - 2), yName, size: 10)
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
