//! The HTTP endpoints for probes and for Prometheus.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::debug;

/// Time limit of a connection. Probes and scrapes are short, and the port has no authentication.
const LIMIT: Duration = Duration::from_secs(10);
/// The greatest number of connections at the same time.
const CONNECTIONS: usize = 32;

/// What a path answers: a status and a text; none for an unknown path.
pub(crate) type Pages = Arc<dyn Fn(&str) -> Option<(StatusCode, String)> + Send + Sync>;

/// Serves the pages for ever.
pub(crate) async fn serve(listener: TcpListener, pages: Pages) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&pages)))),
                Err(error) => {
                    // too many open files: accepting again at once would fail again
                    debug!(%error, "a connection cannot be accepted");
                    sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, pages: Pages) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let response = respond(request.method(), request.uri().path(), &pages);
        async { Ok::<_, Infallible>(response) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LIMIT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // a client that breaks the connection harms only itself
    timeout(LIMIT, serving).await.ok();
}

fn respond(method: &Method, path: &str, pages: &Pages) -> Response<Full<Bytes>> {
    let (status, text) = if matches!(*method, Method::GET | Method::HEAD) {
        pages(path).unwrap_or((StatusCode::NOT_FOUND, "not found\n".to_owned()))
    } else {
        (StatusCode::METHOD_NOT_ALLOWED, "only GET is served\n".to_owned())
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(pop_metrics::CONTENT_TYPE));
    response
}
