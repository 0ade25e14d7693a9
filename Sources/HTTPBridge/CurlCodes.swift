internal import CCurl

extension HTTPError.Code {
    /// What a libcurl result means; `libcurl-errors(3)` of 7.88.
    init(curl code: CURLcode, detail: String) {
        switch code {
        case CURLE_OPERATION_TIMEDOUT: self = .timeout
        case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: self = .nameNotResolved
        case CURLE_COULDNT_CONNECT, CURLE_PROXY: self = .connectFailed
        // A peer that closes during the handshake (a restart behind a proxy) is not a bad certificate.
        case CURLE_SSL_CONNECT_ERROR where detail.contains("SSL_ERROR_SYSCALL") || detail.contains("reset"):
            self = .connectFailed
        case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
            CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR,
            CURLE_SSL_ENGINE_NOTFOUND,
            CURLE_SSL_ENGINE_SETFAILED, CURLE_SSL_ENGINE_INITFAILED, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
            CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT, CURLE_USE_SSL_FAILED:
            self = .tlsFailed
        case CURLE_PARTIAL_FILE, CURLE_GOT_NOTHING, CURLE_SEND_ERROR, CURLE_RECV_ERROR,
            CURLE_SEND_FAIL_REWIND,
            CURLE_HTTP2, CURLE_HTTP2_STREAM, CURLE_SSL_SHUTDOWN_FAILED:
            self = .connectionBroken
        // libcurl says "unsupported protocol" for an answer without a status line (HTTP/0.9).
        case CURLE_UNSUPPORTED_PROTOCOL where detail.contains("HTTP/0.9"): self = .malformedResponse
        case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT, CURLE_BAD_FUNCTION_ARGUMENT:
            self = .invalidRequest
        case CURLE_FILESIZE_EXCEEDED: self = .bodyTooLarge
        case CURLE_OUT_OF_MEMORY, CURLE_NO_CONNECTION_AVAILABLE: self = .overloaded
        default: self = .malformedResponse
        }
    }
}
