/// A confusion matrix: a row for each right class, a column for each predicted one.
struct ConfusionPicture {
    var title: String
    var classes: [String]
    var counts: [[Double]]

    private static let cell = 74.0
    private static let edge = (left: 92.0, top: 62.0)

    var svg: String {
        let side = Self.cell * Double(classes.count)
        var picture = SVG(title, width: Self.edge.left + side + 10, height: Self.edge.top + side + 10)
        picture.text((6, 16), title, size: 13)
        picture.text((Self.edge.left + side / 2, 36), "predicted", .middle)
        picture.text((6, Self.edge.top - 8), "what happened")
        for (row, values) in counts.enumerated() {
            let total = values.reduce(0, +)
            let y = Self.edge.top + Double(row) * Self.cell
            picture.text((Self.edge.left - 6, y + Self.cell / 2 + 4), classes[row], .end)
            for (column, count) in values.enumerated() {
                let x = Self.edge.left + Double(column) * Self.cell
                let share = total > 0 ? count / total : 0
                picture.box(
                    (x, y), width: Self.cell - 2, height: Self.cell - 2, SVG.colours[0],
                    opacity: 0.06 + 0.9 * share)
                let colour = share > 0.55 ? "#fff" : SVG.ink
                let middle = x + Self.cell / 2 - 1
                picture.text(
                    (middle, y + Self.cell / 2), SVG.number(count), .middle, size: 13, colour: colour)
                picture.text(
                    (middle, y + Self.cell / 2 + 16), "\(SVG.number(share * 100)) %", .middle, size: 10,
                    colour: colour)
                if row == 0 { picture.text((middle, Self.edge.top - 8), classes[column], .middle) }
            }
        }
        return picture.text
    }
}
