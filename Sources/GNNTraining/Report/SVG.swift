internal import Foundation

/// A picture as inline SVG; coordinates in pixels, y downwards.
struct SVG {
    /// Told apart by lightness too, for those who see colours otherwise (Okabe, Ito 2008).
    static let colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"]
    /// The page's colour of text, on light and on dark ground.
    static let ink = "currentColor"

    let width: Double
    let height: Double
    /// Told to those who do not see it.
    let title: String
    private var elements: [String] = []

    init(_ title: String, width: Double, height: Double) {
        self.title = title
        self.width = width
        self.height = height
    }

    mutating func line(
        _ from: (Double, Double), _ to: (Double, Double), _ colour: String = ink, width: Double = 1,
        opacity: Double = 1, isDashed: Bool = false
    ) {
        elements.append(
            "<line x1=\"\(Self.number(from.0))\" y1=\"\(Self.number(from.1))\" x2=\"\(Self.number(to.0))\" "
                + "y2=\"\(Self.number(to.1))\" stroke=\"\(colour)\" stroke-width=\"\(Self.number(width))\" "
                + "stroke-opacity=\"\(Self.number(opacity))\"\(isDashed ? " stroke-dasharray=\"4 3\"" : "")/>"
        )
    }

    mutating func path(_ points: [(Double, Double)], _ colour: String) {
        let text = points.map { "\(Self.number($0.0)),\(Self.number($0.1))" }.joined(separator: " ")
        elements.append(
            "<polyline points=\"\(text)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"1.5\"/>")
    }

    mutating func circle(_ centre: (Double, Double), radius: Double, _ colour: String, hint: String = "") {
        let title = hint.isEmpty ? "" : "<title>\(Self.escaped(hint))</title>"
        elements.append(
            "<circle cx=\"\(Self.number(centre.0))\" cy=\"\(Self.number(centre.1))\" r=\"\(Self.number(radius))\" "
                + "fill=\"\(colour)\">\(title)</circle>")
    }

    mutating func box(
        _ corner: (Double, Double), width: Double, height: Double, _ colour: String, opacity: Double = 1
    ) {
        elements.append(
            "<rect x=\"\(Self.number(corner.0))\" y=\"\(Self.number(corner.1))\" width=\"\(Self.number(width))\" "
                + "height=\"\(Self.number(height))\" fill=\"\(colour)\" fill-opacity=\"\(Self.number(opacity))\"/>"
        )
    }

    enum Anchor: String { case start, middle, end }

    /// - Parameter degrees: turned clockwise around its place.
    mutating func text(
        _ place: (Double, Double), _ text: String, _ anchor: Anchor = .start, size: Double = 11,
        colour: String = ink, degrees: Double = 0
    ) {
        let turn =
            degrees == 0
            ? ""
            : " transform=\"rotate(\(Self.number(degrees)) \(Self.number(place.0)) \(Self.number(place.1)))\""
        elements.append(
            "<text x=\"\(Self.number(place.0))\" y=\"\(Self.number(place.1))\" text-anchor=\"\(anchor.rawValue)\" "
                + "font-size=\"\(Self.number(size))\" fill=\"\(colour)\"\(turn)>\(Self.escaped(text))</text>")
    }

    var text: String {
        let title = Self.escaped(title)
        return
            "<svg viewBox=\"0 0 \(Self.number(width)) \(Self.number(height))\" width=\"\(Self.number(width))\" "
            + "role=\"img\" aria-label=\"\(title)\" font-family=\"sans-serif\"><title>\(title)</title>\n"
            + elements.joined(separator: "\n") + "\n</svg>"
    }

    /// At most two decimals: pictures need no more, and are the same bytes for the same numbers.
    static func number(_ value: Double) -> String {
        guard value.isFinite else { return "0" }
        let rounded = (value * 100).rounded() / 100
        return rounded == rounded.rounded() && abs(rounded) < 1e9 ? "\(Int(rounded))" : "\(rounded)"
    }

    /// Fit for text and attributes of HTML and XML.
    static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }
}
