internal import GraphLearning

/// `README.md` of a model: what it is for and how good it is, after Mitchell et al. 2019, *Model Cards for Model
/// Reporting*.
struct ModelCard {
    let document: ModelDocument
    let report: TrainingReport

    var markdown: String {
        let origin = document.provenance
        let layers = document.architecture.layers.map { "\($0.heads) × \($0.channels)" }.joined(
            separator: ", ")
        return """
            # \(document.graph.map { "Model on \($0.name)" } ?? "Model")

            **\(report.summary)**

            ## What it does
            A GATv2 graph attention network (layers of heads × channels: \(layers)) that looks at one snapshot of a graph of
            trading pairs and says for each of them \(purpose). It knows \(document.columns.features.count) features of each
            symbol (\(document.columns.features.joined(separator: ", "))) and of each edge \(document.columns.edgeFeatures.joined(separator: ", ")).

            ## How good it is
            On the test part, the last \(origin.testSnapshots) snapshots, which nothing was chosen by; 95 % intervals by a block bootstrap.

            \(table)

            ## What it was made from
            \(origin.snapshots) snapshots of \(origin.symbols.count) symbols from \(ModelReport.date(origin.firstTime)) to \(ModelReport.date(origin.lastTime)):
            \(origin.trainingSnapshots) for training, \(origin.validationSnapshots) for validation. Scales, dead band and class weights come from the
            training part alone; \(report.snapshotsLeftOut) snapshots between the parts were left out.\(graph)

            ## What it is not for
            Past prices say little about coming ones, and the measures above say how little. They know no fees, no spread and no
            market impact. It is not fit for other symbols, intervals or parameters of the graph than those above, nor for times
            unlike those it was trained on, and it is no advice to trade.

            ## Files
            `model.safetensors` (weights), `model.json` (everything else that a prediction needs), `example.json` (a snapshot with its
            predictions), `metrics.json`, `history.csv`, `report.html`.

            """
    }

    private var purpose: String {
        let span = ModelReport.span(document.horizonMilliseconds)
        return document.task == .direction
            ? "how likely its price falls, stays within ±\(document.deadBand) (logarithmic) or rises over the next \(span)"
            : "its logarithmic return over the next \(span)"
    }

    private var graph: String {
        document.graph.map {
            "\nThe graph: \($0.name), version \($0.version), built with `\($0.parameters)`."
        } ?? ""
    }

    private var table: String {
        let names = Metric.allCases.filter { report.models.first?.metrics[$0] != nil }
        let head = "| model | " + names.map(\.rawValue).joined(separator: " | ") + " |"
        let rule = "|--|" + names.map { _ in "--|" }.joined()
        let rows = report.models.map { model in
            "| \(model.name) | " + names.map { ModelReport.text(model.metrics[$0]) }.joined(separator: " | ")
                + " |"
        }
        return ([head, rule] + rows).joined(separator: "\n")
    }
}
