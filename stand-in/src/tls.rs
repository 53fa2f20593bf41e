//! The certificate authority of a stand-in, created at its start, and the server certificate.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// The TLS configuration of the server, and the CA certificate for its clients.
pub(crate) struct Identity {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) ca_pem: String,
}

/// Why the certificates are missing.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// They could not be generated.
    #[error("cannot generate certificates")]
    Certificate(#[from] rcgen::Error),
    /// They could not be used.
    #[error("cannot use the certificates")]
    Server(#[from] rustls::Error),
}

impl Identity {
    /// Generates an authority, and a server certificate for these names and addresses.
    pub(crate) fn generate(names: Vec<String>) -> Result<Self, TlsError> {
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        ca.distinguished_name.push(DnType::CommonName, "kubernetes");
        let ca_certificate = ca.self_signed(&ca_key)?;
        let key = KeyPair::generate()?;
        let mut own = CertificateParams::new(names)?;
        own.distinguished_name.push(DnType::CommonName, "kube-apiserver");
        let own_certificate = own.signed_by(&key, &Issuer::new(ca, ca_key))?;
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![own_certificate.der().clone()], private)?;
        Ok(Self { server: Arc::new(server), ca_pem: ca_certificate.pem() })
    }
}
