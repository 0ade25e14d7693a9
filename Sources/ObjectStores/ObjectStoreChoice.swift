import Glibc
import ServiceRuntime
import Workflow

/// The object store the settings name.
package enum ObjectStoreChoice: Sendable {
    case s3(S3Settings)
    /// By its path.
    case folder(String)

    /// With `S3_ENDPOINT` set it is S3, unless `OBJECT_STORE` says otherwise.
    ///
    /// - Throws: ``SettingsError`` naming the setting that is missing.
    package init(_ values: SettingValues) throws(SettingsError) {
        let endpoint = values[ObjectStoreSettings.endpoint]
        switch values[ObjectStoreSettings.kind] ?? (endpoint == nil ? .folder : .s3) {
        case .folder: self = .folder(values[ObjectStoreSettings.folder])
        case .s3:
            var problems: [SettingProblem] = []
            let needed: [(any AnySetting, Bool)] = [
                (ObjectStoreSettings.endpoint, endpoint != nil),
                (ObjectStoreSettings.accessKey, values[ObjectStoreSettings.accessKey] != nil),
                (ObjectStoreSettings.secretKey, values[ObjectStoreSettings.secretKey] != nil),
            ]
            for (setting, isSet) in needed where !isSet {
                problems.append(SettingProblem(setting, reason: "is not set and the object store is S3"))
            }
            guard problems.isEmpty, let endpoint else { throw SettingsError(problems: problems) }
            self = .s3(Self.settings(values, endpoint))
        }
    }

    private static func settings(_ values: SettingValues, _ endpoint: String) -> S3Settings {
        let accessKey = values[ObjectStoreSettings.accessKey] ?? ""
        let secretKey = values.watched(ObjectStoreSettings.secretKey)
        return S3Settings(
            endpoint: endpoint, region: values[ObjectStoreSettings.region],
            bucket: values[ObjectStoreSettings.bucket],
            credentials: { S3Credentials(accessKey: accessKey, secretKey: secretKey.current() ?? "") },
            caFile: values[ObjectStoreSettings.certificateAuthorityPath], now: { Int64(time(nil)) })
    }

    package func open() -> any ObjectStore {
        switch self {
        case .s3(let settings): S3ObjectStore(settings)
        case .folder(let path): FolderObjectStore(root: path)
        }
    }
}
