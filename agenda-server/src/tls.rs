//! TLS of the service.

use rustls::ServerConfig;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// The certificate of the service with its key.
#[derive(Clone)]
pub struct Tls(pub(crate) TlsAcceptor);

/// Files that are no certificate with its key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not PEM.
    #[error("cannot read the {what} `{path}`: {reason}", path = path.display())]
    File {
        /// Kind of the file.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Reason.
        reason: pem::Error,
    },
    /// The key does not belong to the certificate, or has an unknown kind.
    #[error("the certificate and the key cannot be used together")]
    Pair(#[from] rustls::Error),
}

impl Tls {
    /// Reads a chain of certificates, that of the service first, and its private key; both files are PEM.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let failed = |what, path: &Path| {
            let path = path.to_owned();
            move |reason| TlsError::File { what, path, reason }
        };
        let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let chain: Vec<_> = chain.map_err(failed("certificate", certificate))?;
        if chain.is_empty() {
            return Err(failed("certificate", certificate)(pem::Error::NoItemsFound));
        }
        let secret = PrivateKeyDer::from_pem_file(key).map_err(failed("key", key))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = config.with_no_client_auth().with_single_cert(chain, secret)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}
