/// Finds out which graph and which model each step that trains or asks one has, once all steps are known.
struct ModelStepResolver {
    let plan: Plan

    /// - Parameter entries: what those steps say, by their place in the plan.
    func resolve(_ entries: [Int: ModelStepParameters]) throws(RequestError) -> Plan {
        var resolved = plan
        // Those that train come first: a step may stand before the one whose model it asks.
        let isAsking = { (index: Int) in plan.steps[index].target == .gnnInfer ? 1 : 0 }
        for (index, values) in entries.sorted(by: { (isAsking($0.key), $0.key) < (isAsking($1.key), $1.key) })
        {
            let step = plan.steps[index]
            let graph = try graph(of: step, index, values)
            var sources = ModelSources(graph: graph.name, model: try trainedName(graph.name, values, index))
            sources.graphStep = graph.step
            sources.graphVersion = values.graphVersion
            if step.target == .gnnInfer {
                try setModel(of: step, index, values, resolved, &sources)
                sources.collection = try collection(of: step, sources.model, index)
            }
            resolved.steps[index].model = sources
        }
        return resolved
    }

    private func graph(
        of step: PlannedStep, _ index: Int, _ values: ModelStepParameters
    ) throws(RequestError) -> (name: String, step: StepID?) {
        if let graph = values.graph { return (graph, nil) }
        let builders = earlier(than: step).filter { $0.target == .graphBuilder }
        let source = try only(
            builders, named: values.graphStep, index,
            Want(parameter: "graph_step", other: "graph", verb: "builds a graph"))
        return (source.graph?.graph ?? "", source.id)
    }

    private func trainedName(
        _ graph: String, _ values: ModelStepParameters, _ index: Int
    ) throws(RequestError) -> ModelName {
        if let model = values.model { return model }
        guard let name = ModelName(graph + "_model") else {
            throw RequestError(
                .missingField, "No model's name can be made of \(graph)",
                field: "steps[\(index)].params.model", hint: ModelName.rules)
        }
        return name
    }

    private func setModel(
        of step: PlannedStep, _ index: Int, _ values: ModelStepParameters, _ resolved: Plan,
        _ sources: inout ModelSources
    ) throws(RequestError) {
        if values.model != nil {
            sources.wanted = values.modelVersion ?? ModelStage.production.rawValue
            return
        }
        let trainers = earlier(than: step).filter { $0.target == .gnnTrainer }
        let source = try only(
            trainers, named: values.modelStep, index,
            Want(parameter: "model_step", other: "model", verb: "trains a model"))
        sources.modelStep = source.id
        sources.model = resolved.step(source.id)?.model?.model ?? sources.model
    }

    private func collection(
        of step: PlannedStep, _ model: ModelName, _ index: Int
    ) throws(RequestError) -> String {
        let name = step.collectionName ?? "predictions_\(model)"
        guard CollectionName(name) != nil else {
            throw RequestError(
                .missingField, "No collection's name can be made of \(model)",
                field: "steps[\(index)].params.collection_name",
                hint: "1 to \(CollectionName.bytesMax) of A-Z, a-z, 0-9, _ and -, beginning with a letter")
        }
        return name
    }

    // MARK: Steps that come before

    private struct Want {
        var parameter: String
        var other: String
        var verb: String
    }

    /// The steps whose end a step waits for, directly or not.
    private func earlier(than step: PlannedStep) -> [PlannedStep] {
        var found: Set<StepID> = []
        var open = step.earlierSteps
        while let id = open.popLast() {
            guard found.insert(id).inserted, let other = plan.step(id) else { continue }
            open += other.earlierSteps
        }
        return plan.steps.filter { found.contains($0.id) }
    }

    private func only(
        _ candidates: [PlannedStep], named name: StepID?, _ index: Int, _ want: Want
    ) throws(RequestError) -> PlannedStep {
        let chosen = name.map { name in candidates.filter { $0.id == name } } ?? candidates
        if let step = chosen.first, chosen.count == 1 { return step }
        let found = candidates.map(\.id.rawValue).joined(separator: ", ")
        throw RequestError(
            name == nil && candidates.isEmpty ? .missingField : .invalidValue,
            candidates.isEmpty
                ? "No step that steps[\(index)] comes after \(want.verb)"
                : "\(want.parameter) must name one of the steps that it comes after",
            field: "steps[\(index)].params.\(want.parameter)", value: name?.rawValue,
            hint: candidates.isEmpty
                ? "Name such a step in after, or give \(want.other)"
                : "One of \(found)")
    }
}
