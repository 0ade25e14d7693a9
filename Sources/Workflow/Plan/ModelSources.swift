/// Which graph a step that trains or asks a model reads, and which model it makes or asks.
///
/// What another step of the plan makes is known only when that step is finished; the rest is fixed when the
/// queue is created.
package struct ModelSources: Sendable, Hashable, Codable {
    /// A ``GraphName``.
    package var graph: String
    /// The step that builds the graph's version; nil: ``graphVersion``, or else the newest one.
    package var graphStep: StepID?
    /// A ``GraphVersionID``.
    package var graphVersion: String?
    /// The model's name.
    package var model: ModelName
    /// Of a step that asks: the step that trains the model.
    package var modelStep: StepID?
    /// Of a step that asks a model which is there already.
    package var modelPlace: ModelPlace?
    /// What the request said of a model that is there already: a version's number or a stage.
    package var wanted: String?
    /// Of a step that asks: where predictions go.
    package var collection: String?

    package init(graph: String, model: ModelName) {
        self.graph = graph
        self.model = model
    }

    package enum CodingKeys: String, CodingKey {
        case graph, model, wanted, collection
        case graphStep = "graph_step"
        case graphVersion = "graph_version"
        case modelStep = "model_step"
        case modelPlace = "model_place"
    }

    /// Members of a finished step's `extra` that say what it made.
    package static let graphVersionMember = "version"
    package static let modelPlaceMember = "model_place"
}
