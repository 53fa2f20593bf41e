//! The server: TLS, HTTP, and connections that faults reset.

use crate::cluster::Cluster;
use crate::route::handle;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::net::sockopt::set_socket_linger;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Accepts connections forever.
pub(crate) async fn serve(cluster: Arc<Cluster>, listener: TcpListener, tls: TlsAcceptor) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // out of file descriptors: wait until other connections end
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        tokio::spawn(connection(Arc::clone(&cluster), stream, tls.clone()));
    }
}

async fn connection(cluster: Arc<Cluster>, stream: TcpStream, tls: TlsAcceptor) {
    stream.set_nodelay(true).ok();
    let Ok(held) = stream.as_fd().try_clone_to_owned() else { return };
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(move |request| handle(Arc::clone(&cluster), request));
    let ended = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    if ended.is_err() {
        // the last close of the socket then sends a reset, and drops unsent data
        set_socket_linger(&held, Some(Duration::ZERO)).ok();
    }
}
