//! Serves the metrics of a handler.

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pop_handler_server::Control;
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// Answers `/metrics` on a listener until the handler is gone.
pub(super) async fn serve_metrics(listener: TcpListener, controls: mpsc::Sender<Control>) {
    while !controls.is_closed() {
        let Ok((stream, _)) = listener.accept().await else {
            // out of file descriptors: wait until other connections end
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let controls = controls.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let controls = controls.clone();
                async move { Ok::<_, Infallible>(answer(request.uri().path(), &controls).await) }
            });
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

async fn answer(path: &str, controls: &mpsc::Sender<Control>) -> Response<Full<Bytes>> {
    let failed = |status| {
        let mut response = Response::new(Full::default());
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
    let mut response = Response::new(Full::new(Bytes::from(text)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(pop_metrics::CONTENT_TYPE));
    response
}
