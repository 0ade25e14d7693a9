import PostgresBridge
import Workflow

extension EngineStore {
    /// Registers the models that were trained, in the transaction in which their steps are finished.
    ///
    /// A model that is known, by its place, stays as it is: its files follow from its training. One that is being
    /// removed comes back with its new files, and where files lie in another folder now, it is noted.
    static func saveModels(_ queues: [QueueState]) throws -> PostgresQuery? {
        // A statement may change a row only once, and two queues may end the same training at once.
        let known = Dictionary(queues.flatMap(trained).map { ($0.place, $0) }) { _, last in last }
        let rows = known.values.sorted { $0.place.rawValue < $1.place.rawValue }
        guard !rows.isEmpty else { return nil }
        return """
            INSERT INTO streamforge.models (name, place, queue_id, step, detail)
            SELECT x.name, x.place, x.queue_id, x.step, x.detail::jsonb
            FROM unnest(\(rows.map(\.place.name.rawValue))::text[], \(rows.map(\.place.rawValue))::text[],
            \(rows.map(\.queue))::text[], \(rows.map(\.step))::text[],
            \(try rows.map { try MessageCodec.encodeText(JSONValue.object($0.detail)) })::text[])
            AS x(name, place, queue_id, step, detail)
            ON CONFLICT (place) DO UPDATE SET detail = EXCLUDED.detail, removed_at = NULL
            WHERE models.removed_at IS NOT NULL
                OR models.detail->>'folder' IS DISTINCT FROM EXCLUDED.detail->>'folder'
            """
    }

    private struct Trained {
        var place: ModelPlace
        var queue: String
        var step: String
        var detail: [String: JSONValue]
    }

    private static func trained(_ queue: QueueState) -> [Trained] {
        queue.changes.instances.compactMap { id in
            guard queue.plan.step(id.step)?.target == .gnnTrainer, let instance = queue.instances[id],
                instance.machine.state == .finished, let extra = instance.extra,
                let place = extra[ModelSources.modelPlaceMember]?.string.flatMap({ ModelPlace($0) })
            else { return nil }
            return Trained(
                place: place, queue: queue.queueID.rawValue, step: id.step.rawValue, detail: extra)
        }
    }
}
