//! Connections to the Engine: a socket, plain TCP, or TCP with TLS and the certificates of the Docker
//! configuration.

use super::address::Address;
use super::error::ApiError;
use super::failure::platform;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use pop_contract::Failure;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

/// A stream for requests and answers.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Wire for S {}

/// Opens connections to one Engine. Each request has its own connection, so that none waits for the answer to
/// another and none uses a connection that the Engine has closed.
#[derive(Clone)]
pub(super) struct Connector {
    address: Address,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Connector {
    /// Reads the certificates if the address needs them.
    pub(super) fn new(address: Address) -> Result<Self, Failure> {
        let tls = match &address {
            Address::Tcp { host, certificates: Some(folder), .. } => Some(tls(host, folder)?),
            _ => None,
        };
        Ok(Self { address, tls })
    }

    /// Opens a connection.
    pub(super) async fn open(&self) -> Result<SendRequest<Full<Bytes>>, ApiError> {
        let wire = self.wire().await.map_err(|error| ApiError::away(&error))?;
        let (sender, connection) =
            handshake(TokioIo::new(wire)).await.map_err(|error| ApiError::away(&error))?;
        // an error appears to the reader of the answer
        tokio::spawn(async move { connection.with_upgrades().await.ok() });
        Ok(sender)
    }

    async fn wire(&self) -> io::Result<Box<dyn Wire>> {
        let (host, port) = match &self.address {
            Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
            Address::Tcp { host, port, .. } => (host.as_str(), *port),
        };
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        // an answer may take a day, and an Engine whose machine failed sends nothing
        rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some((config, name)) => {
                let connector = TlsConnector::from(Arc::clone(config));
                Ok(Box::new(connector.connect(name.clone(), stream).await?))
            }
        }
    }
}

/// The trusted authority, and the client certificate if there is one.
fn tls(host: &str, folder: &Path) -> Result<(Arc<ClientConfig>, ServerName<'static>), Failure> {
    let failed = |file: &Path, why: &dyn Display| {
        let hint = "DOCKER_CERT_PATH names the folder with ca.pem, cert.pem and key.pem";
        platform("engine", format!("cannot read `{}`: {why}; {hint}", file.display()))
    };
    let file = folder.join("ca.pem");
    let mut roots = RootCertStore::empty();
    let authorities = CertificateDer::pem_file_iter(&file).map_err(|error| failed(&file, &error))?;
    for authority in authorities {
        let authority = authority.map_err(|error| failed(&file, &error))?;
        roots.add(authority).map_err(|error| failed(&file, &error))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| failed(&file, &error))?.with_root_certificates(roots);
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let config = if certificate.exists() || key.exists() {
        let chain = CertificateDer::pem_file_iter(&certificate).and_then(Iterator::collect);
        let chain = chain.map_err(|error| failed(&certificate, &error))?;
        let secret = PrivateKeyDer::from_pem_file(&key).map_err(|error| failed(&key, &error))?;
        builder.with_client_auth_cert(chain, secret).map_err(|error| failed(&certificate, &error))?
    } else {
        builder.with_no_client_auth()
    };
    let name = ServerName::try_from(host.to_owned());
    let name = name.map_err(|_| platform("engine", format!("`{host}` is not a valid host name")))?;
    Ok((Arc::new(config), name))
}
