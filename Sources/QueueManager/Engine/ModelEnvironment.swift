import Workflow

/// What a step that trains or asks a model is told: what its plan fixes, and what earlier steps made.
struct ModelEnvironment {
    private let sources: ModelSources

    init(_ sources: ModelSources) {
        self.sources = sources
    }

    /// What an earlier step did not tell is left out; the worker then says what it lacks.
    func variables(in state: QueueState) -> [String: String] {
        var variables = ["GRAPH_COLLECTION": sources.graph, "MODEL_NAME": sources.model.rawValue]
        variables["GRAPH_VERSION"] =
            sources.graphVersion
            ?? sources.graphStep.flatMap { result(of: $0, ModelSources.graphVersionMember, in: state) }
        variables["MODEL_PLACE"] =
            sources.modelPlace?.rawValue
            ?? sources.modelStep.flatMap { result(of: $0, ModelSources.modelPlaceMember, in: state) }
        variables["COLLECTION_OUTPUT"] = sources.collection
        return variables
    }

    /// A member of what the step's only instance said at its end.
    private func result(of step: StepID, _ member: String, in state: QueueState) -> String? {
        state.instances.first { $0.key.step == step && $0.value.machine.state == .finished }?
            .value.extra?[member]?.string
    }
}
