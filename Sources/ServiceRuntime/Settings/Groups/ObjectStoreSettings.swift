/// The object store for models.
package enum ObjectStoreSettings {
    package enum Kind: String, Sendable, CaseIterable {
        case s3, folder
    }

    package static let kind = Setting<Kind>.choice(
        "OBJECT_STORE", example: "s3",
        doc: "Where models and reports go. Not set: S3 when `S3_ENDPOINT` is set, else a folder."
    ).optional()
    package static let folder = Setting.path(
        "OBJECT_STORE_DIR", example: "/srv/streamforge/objects",
        doc: "The folder, where there is no S3; every worker and the queue-manager must see the same one."
    ).fallback("/var/lib/streamforge/objects")
    package static let endpoint = Setting.url(
        "S3_ENDPOINT", example: "http://127.0.0.1:9000",
        doc: "Address of an S3 server: AWS, MinIO, SeaweedFS. The bucket is addressed by path."
    ).alias("MINIO_ENDPOINT").optional()
    package static let region = Setting.text(
        "S3_REGION", example: "eu-central-1", doc: "The bucket's region, which requests are signed for."
    ).fallback("us-east-1")
    package static let bucket = Setting.text(
        "S3_BUCKET", example: "streamforge", doc: "The bucket; it must be there."
    ).alias("MINIO_BUCKET", "MINIO_BUCKET_NAME").fallback("streamforge")
    package static let accessKey = Setting.text("S3_ACCESS_KEY", example: "streamforge", doc: "Access key.")
        .alias("MINIO_ACCESS_KEY").optional()
    package static let secretKey = Setting.secret("S3_SECRET_KEY", doc: "Secret key.")
        .alias("MINIO_SECRET_KEY").optional()
    package static let certificateAuthorityPath = Setting.path(
        "S3_CA_PATH", example: "/etc/streamforge/s3-ca.crt",
        doc: "PEM file with the certificates that the server's own is checked against. Not set: the system's."
    ).optional()

    package static let group = SettingsGroup(
        "Object store",
        [kind, folder, endpoint, region, bucket, accessKey, secretKey, certificateAuthorityPath])
}
