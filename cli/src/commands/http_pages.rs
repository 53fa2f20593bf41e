//! Pages for probes and for Prometheus, on a port without authentication.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pop_handler_server::Control;
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Answers requests for ever; `page` gets the path of each.
pub(super) async fn serve_pages<P>(listener: TcpListener, page: impl Fn(String) -> P + Clone + Send + 'static)
where
    P: Future<Output = Response<String>> + Send + 'static,
{
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // out of file descriptors: wait until other connections end
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let page = page.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let page = page(request.uri().path().to_owned());
                async move { Ok::<_, Infallible>(page.await.map(|text| Full::new(Bytes::from(text)))) }
            });
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

/// The page of a served handler: its metrics.
pub(super) async fn handler_page(path: String, controls: mpsc::Sender<Control>) -> Response<String> {
    let failed = |status| {
        let mut response = Response::default();
        *response.status_mut() = status;
        response
    };
    if path != "/metrics" {
        return failed(StatusCode::NOT_FOUND);
    }
    let (sender, text) = oneshot::channel();
    // a handler that has closed answers no more
    controls.send(Control::Metrics(sender)).await.ok();
    let Ok(text) = text.await else { return failed(StatusCode::SERVICE_UNAVAILABLE) };
    let mut response = Response::new(text);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(pop_metrics::CONTENT_TYPE));
    response
}
