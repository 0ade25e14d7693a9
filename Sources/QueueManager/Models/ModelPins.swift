import Workflow

/// Fixes, when a queue is created, which model each of its steps asks: every attempt asks the same one, also
/// when another version is promoted meanwhile.
struct ModelPins: Sendable {
    let store: ModelStore

    /// - Throws: ``RequestError`` `notFound` naming the step when there is no such model.
    func pinned(_ plan: Plan) async throws -> Plan {
        var plan = plan
        for index in plan.steps.indices {
            guard var sources = plan.steps[index].model, let text = sources.wanted,
                let wanted = ModelWanted(text)
            else { continue }
            guard let row = try await store.model(sources.model, wanted) else {
                throw ModelRoutes.notFound(
                    sources.model, text, field: "steps[\(index)].params.model")
            }
            sources.modelPlace = row.place
            plan.steps[index].model = sources
        }
        return plan
    }
}
