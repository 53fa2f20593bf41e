//! An authority, a server that requires certificates, and certificate folders of Docker clients.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;

/// Folders `client` (authority, certificate, key), `nobody` (authority alone), `other` (another authority) and
/// `none`.
pub(crate) struct Certificates {
    pub(crate) folder: TempDir,
    authority: CertificateDer<'static>,
    server: (CertificateDer<'static>, Vec<u8>),
}

fn authority() -> (String, CertificateDer<'static>, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = parameters.self_signed(&key).unwrap();
    (certificate.pem(), certificate.der().clone(), Issuer::new(parameters, key))
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (pem, authority, issuer) = self::authority();
        let sign = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
            (parameters.signed_by(&key, &issuer).unwrap(), key)
        };
        let (client, client_key) = sign("client");
        for (name, files) in [
            (
                "client",
                vec![
                    ("ca.pem", pem.clone()),
                    ("cert.pem", client.pem()),
                    ("key.pem", client_key.serialize_pem()),
                ],
            ),
            ("nobody", vec![("ca.pem", pem)]),
            ("other", vec![("ca.pem", self::authority().0)]),
            ("none", vec![]),
        ] {
            fs::create_dir(folder.path().join(name)).unwrap();
            for (file, text) in files {
                fs::write(folder.path().join(name).join(file), text).unwrap();
            }
        }
        let (server, key) = sign("127.0.0.1");
        Self { folder, authority, server: (server.der().clone(), key.serialize_der()) }
    }

    /// A server that requires client certificates of the authority.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let (certificate, key) = self.server.clone();
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)));
        Arc::new(config.unwrap())
    }
}
