internal import Foundation
internal import GraphLearning

/// `report.html`: one page without anything from elsewhere, with pictures drawn in it.
struct ModelReport {
    let document: ModelDocument
    let report: TrainingReport
    let histories: [(fit: String, epochs: [EpochRecord])]
    let example: GraphSnapshot

    var html: String {
        let title = SVG.escaped(document.graph.map { "Model on \($0.name)" } ?? "Model")
        return """
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><title>\(title)</title>
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <style>
            :root { color-scheme: light dark; --ground: #fff; --ink: #222; --rule: #ddd; --quiet: #555 }
            @media (prefers-color-scheme: dark) { :root { --ground: #16191d; --ink: #dcdfe3; --rule: #3a4048; --quiet: #a5acb5 } }
            @media (prefers-color-scheme: dark) { svg [stroke="#0072b2"] { stroke: #4aa3df } svg circle[fill="#0072b2"] { fill: #4aa3df } }
            body { font: 15px/1.5 sans-serif; color: var(--ink); background: var(--ground); max-width: 1060px; margin: 2em auto; padding: 0 1em }
            table { border-collapse: collapse } th, td { padding: .25em .8em; border-bottom: 1px solid var(--rule); text-align: right; vertical-align: top }
            td { font-variant-numeric: tabular-nums } .wide { overflow-x: auto; font-size: .87em } .wide td { white-space: nowrap }
            th:first-child, td:first-child { text-align: left } .facts td { text-align: left; overflow-wrap: anywhere } .facts td:first-child { white-space: nowrap }
            .verdict { font-size: 1.15em; border-left: 4px solid #0072b2; padding-left: .8em }
            .pictures { display: flex; flex-wrap: wrap; gap: 1.5em } .quiet { color: var(--quiet) } svg { max-width: 100%; height: auto }
            </style></head><body>
            <h1>\(title)</h1>
            <p class="verdict">\(SVG.escaped(report.summary))</p>
            \(facts)
            <h2>Test part</h2>
            <p>\(report.testSnapshots) snapshots, \(report.testSamples) outcomes; nothing was chosen by them. Intervals of 95 % are in brackets.</p>
            \(metrics)
            <h2>Against the others</h2>
            <p>The graph network's measure less the other's, on the same resamples.</p>
            \(differences)
            <h2>Training</h2>
            <div class="pictures">\(curves)</div>
            \(predictions)
            <h2>A snapshot of the test part</h2>
            <p>\(example.symbols.count) symbols, \(example.edges.sources.count) directed edges. \(weights)\(leftOut) Larger dots have more edges in.</p>
            \(graph.svg)
            <h2>Where it comes from</h2>
            \(provenance)
            </body></html>

            """
    }

    // MARK: Tables

    private var facts: String {
        var rows = [
            ["Task", document.task == .direction ? "down, flat or up" : "logarithmic return"],
            ["Horizon", Self.span(document.horizonMilliseconds)],
            ["Best epoch", "\(report.bestEpoch) of \(report.epochs)"],
        ]
        if document.task == .direction {
            rows.append([
                "Flat", "returns from −\(Self.short(document.deadBand)) to \(Self.short(document.deadBand))",
            ])
            let counts = zip(report.classes, report.classCounts).map { "\($0): \($1)" }
            rows.append(["Training part", counts.joined(separator: ", ")])
        }
        if !report.constantColumns.isEmpty {
            rows.append(["Columns that never change", report.constantColumns.joined(separator: ", ")])
        }
        if !report.missingShares.isEmpty {
            let shares = report.missingShares.sorted { $0.key < $1.key }
                .map { "\($0.key) \(SVG.number($0.value * 100)) %" }
            rows.append(["Unknown values", shares.joined(separator: ", ")])
        }
        return Self.table(nil, rows, "facts")
    }

    private var names: [Metric] { Metric.allCases.filter { report.models.first?.metrics[$0] != nil } }

    private static func words(_ metric: Metric) -> String { metric.rawValue.replacing("_", with: " ") }

    private var metrics: String {
        Self.table(
            ["model"] + names.map(Self.words),
            report.models.map { model in
                [model.name] + names.map { Self.text(model.metrics[$0]) }
            })
    }

    private var differences: String {
        Self.table(
            ["less"] + names.map(Self.words),
            report.differences.map { difference in
                [difference.from] + names.map { Self.text(difference.metrics[$0]) }
            })
    }

    private var provenance: String {
        let origin = document.provenance
        var rows = [
            [
                "Snapshots",
                "\(origin.trainingSnapshots) training, \(origin.validationSnapshots) validation, "
                    + "\(origin.testSnapshots) test, \(report.snapshotsLeftOut) left out between them",
            ],
            ["From, to", "\(Self.date(origin.firstTime)) – \(Self.date(origin.lastTime))"],
            ["Symbols", origin.symbols.joined(separator: " ")],
            ["Data, run", "\(origin.dataDigest), \(origin.runDigest)"],
            ["Seed, libtorch, device", "\(origin.seed), \(origin.libtorchVersion), \(origin.device)"],
        ]
        if let graph = document.graph {
            rows.insert(
                ["Graph", "\(graph.name), version \(graph.version), \(graph.interval) candles"], at: 0)
            rows.insert(["Built with", graph.parameters], at: 1)
        }
        return Self.table(nil, rows, "facts")
    }

    /// - Parameter kind: the class that says how it is set; `wide` has rows of numbers, and is scrolled where the
    ///   page is narrow.
    static func table(_ head: [String]?, _ rows: [[String]], _ kind: String = "wide") -> String {
        func row(_ cells: [String], _ tag: String) -> String {
            "<tr>" + cells.map { "<\(tag)>\(Self.cell($0))</\(tag)>" }.joined() + "</tr>"
        }
        return "<div class=\"\(kind)\"><table>" + (head.map { row($0, "th") } ?? "")
            + rows.map { row($0, "td") }.joined(separator: "\n")
            + "</table></div>"
    }

    /// An interval goes below its value: six measures side by side have no room for more.
    private static func cell(_ text: String) -> String {
        let escaped = SVG.escaped(text)
        guard escaped.hasSuffix("]"), let start = escaped.firstRange(of: " [") else { return escaped }
        return escaped[..<start.lowerBound] + "<br><span class=\"quiet\">["
            + escaped[start.upperBound...] + "</span>"
    }

    static func text(_ measured: Measured?) -> String {
        guard let measured else { return "–" }
        let interval = measured.interval.map { " [\(short($0.low)), \(short($0.high))]" } ?? ""
        return short(measured.value) + interval
    }

    private static func short(_ value: Double) -> String {
        abs(value) >= 0.001 || value == 0
            ? "\((value * 10_000).rounded() / 10_000)" : String(format: "%.2e", value)
    }

    /// In the largest unit that needs no more than two decimals.
    static func span(_ milliseconds: Int64) -> String {
        let units: [(Double, String)] = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute")]
        let (length, name) = units.first { Double(milliseconds) >= $0.0 } ?? (1_000, "second")
        let count = SVG.number(Double(milliseconds) / length)
        return "\(count) \(name)\(count == "1" ? "" : "s")"
    }

    static func date(_ milliseconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(milliseconds) / 1_000).formatted(.iso8601)
    }

    // MARK: Pictures

    private var curves: String {
        let losses = histories.map { fit, epochs in
            LineChart(
                title: "Loss of \(fit)", xName: "epoch", yName: "loss",
                curves: [
                    LineChart.Curve(
                        name: "training", points: epochs.map { (Double($0.epoch), $0.trainingLoss) }),
                    LineChart.Curve(
                        name: "validation", points: epochs.map { (Double($0.epoch), $0.validationLoss) },
                        marked: epochs.lastIndex(where: \.isBest)),
                ]
            ).svg
        }
        let rates = LineChart(
            title: "Learning rate", xName: "epoch", yName: "rate",
            curves: histories.map { fit, epochs in
                LineChart.Curve(name: fit, points: epochs.map { (Double($0.epoch), $0.learningRate) })
            }
        ).svg
        let norms = LineChart(
            title: "Largest norm of the gradients", xName: "epoch", yName: "norm",
            curves: histories.map { fit, epochs in
                LineChart.Curve(name: fit, points: epochs.map { (Double($0.epoch), $0.gradientNorm) })
            }
        ).svg
        return (losses + [scores.svg, rates, norms]).joined(separator: "\n")
    }

    private var scores: LineChart {
        let isDirection = document.task == .direction
        let name = Self.words(RunningScore.metric(of: document.task))
        var chart = LineChart(
            title: "\(name.prefix(1).uppercased())\(name.dropFirst()) on the validation part",
            xName: "epoch", yName: name,
            curves: histories.map { fit, epochs in
                LineChart.Curve(
                    name: fit, points: epochs.map { (Double($0.epoch), $0.validationScore ?? .nan) },
                    marked: epochs.lastIndex(where: \.isBest))
            })
        chart.level =
            isDirection ? (1 / Double(max(report.classes.count, 1)), "guessing") : (0, "no skill")
        return chart
    }

    /// Of classes only.
    private var predictions: String {
        guard let model = report.models.first, let confusion = model.confusion else { return "" }
        var pictures = [
            ConfusionPicture(title: "Graph network", classes: report.classes, counts: confusion).svg
        ]
        if let calibration = model.calibration {
            let curves = zip(report.classes, calibration.bins).map { name, bins in
                LineChart.Curve(
                    name: name, points: bins.map { ($0.meanProbability, $0.shareRight) },
                    hints: bins.map { "\(name): \($0.count) cases" })
            }
            var chart = LineChart(
                title: "Calibration", xName: "predicted probability", yName: "share that came true",
                curves: curves)
            chart.hasDiagonal = true
            chart.range = (0...1, 0...1)
            pictures.append(chart.svg)
        }
        let error = model.calibration.map { " Calibration error: \(Self.short($0.error))." } ?? ""
        return "<h2>Predictions on the test part</h2>\n<p>What was predicted for what happened.\(error)</p>\n"
            + "<div class=\"pictures\">\(pictures.joined(separator: "\n"))</div>"
    }

    private var graph: GraphPicture {
        GraphPicture(snapshot: example, edgeColumns: document.columns.edgeFeatures.count)
    }

    private var weights: String {
        guard let name = document.columns.edgeFeatures.first else { return "" }
        return
            "A line is the thicker, the further \(SVG.escaped(name)) is from 0: blue above 0, orange below."
    }

    private var leftOut: String {
        let count = graph.edgesLeftOut
        return count == 0 ? "" : " The \(count) weakest are not drawn."
    }
}
