import KubernetesBridge
import Workflow

/// Where an attempt's Job is: what its handle says.
struct JobPlace: Sendable, Hashable {
    var namespace: String
    var name: String
    var uid: String

    init(_ job: JobObject, namespace: String) {
        self.namespace = job.metadata.namespace ?? namespace
        name = job.metadata.name
        uid = job.metadata.uid
    }

    /// - Throws: ``LaunchError`` for a handle that the launcher did not make.
    init(_ handle: JobHandle) throws(LaunchError) {
        guard let namespace = handle.fields["namespace"], let name = handle.fields["job"],
            let uid = handle.fields["uid"]
        else {
            throw LaunchError(.final, operation: "find a Job", detail: "the stored handle is incomplete")
        }
        (self.namespace, self.name, self.uid) = (namespace, name, uid)
    }

    func handle(of launcher: String) -> JobHandle {
        JobHandle(launcher: launcher, fields: ["namespace": namespace, "job": name, "uid": uid])
    }
}
