//! `pop report --live`: serves the page on loopback, and follows the run.
//!
//! Only this machine reaches the server. The address has a secret part, because other users of the machine may not read
//! the folder of the run either. The server answers only to its own names, so that a page of another site cannot reach it
//! through a name that it lets point here (DNS rebinding). It allows no other origin and changes nothing.

use super::followed::Followed;
use crate::args::ReportArgs;
use crate::error::{CommandError, Kind};
use crate::ui;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use pop_assembly::SavedRun;
use std::convert::Infallible;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// Serves the page until a signal, or until the run has ended if that was asked for.
pub(super) fn serve(saved: SavedRun, args: &ReportArgs) -> Result<u8, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let port = args.port.unwrap_or(0);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
            let message = format!("cannot serve on port {port} of 127.0.0.1: {error}");
            CommandError::new(Kind::Usage, message).hint("without --port, pop chooses a free port")
        })?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let port = listener.local_addr()?.port();
        let run = saved.folder.run().to_owned();
        let followed = Arc::new(Followed::start(saved, &args.runs.runs)?);
        let site = Arc::new(Site { port, secret: uuid::Uuid::new_v4().simple().to_string(), followed });
        ui::print(&format!("http://127.0.0.1:{port}/{}/\n", site.secret));
        ui::say(&format!("serving a live report of run {run}; Ctrl-C ends it"));
        tokio::select! {
            _ = interrupt.recv() => Ok(0),
            _ = terminate.recv() => Ok(0),
            ended = site.followed.ended(args.until_end) => ended.map(|()| 0),
            never = accept(&listener, &site) => never.map_err(CommandError::from),
        }
    })
}

async fn accept(listener: &TcpListener, site: &Arc<Site>) -> io::Result<u8> {
    loop {
        let (stream, _) = listener.accept().await?;
        let site = Arc::clone(site);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let site = Arc::clone(&site);
                async move { Ok::<_, Infallible>(site.answer(&request).await) }
            });
            // a browser may close a connection at any time
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
        });
    }
}

struct Site {
    port: u16,
    /// First part of every path.
    secret: String,
    followed: Arc<Followed>,
}

impl Site {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Body> {
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        let names = ["127.0.0.1", "localhost"].map(|name| format!("{name}:{}", self.port));
        if host.is_none_or(|host| names.iter().all(|name| !host.eq_ignore_ascii_case(name))) {
            return refusal(StatusCode::MISDIRECTED_REQUEST, "this server has another name\n");
        }
        if request.method() != Method::GET {
            let mut refused = refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
            return refused;
        }
        let path = request.uri().path();
        match path.strip_prefix('/').and_then(|path| path.strip_prefix(self.secret.as_str())) {
            Some("/") => match self.followed.page().await {
                Ok(page) => response(StatusCode::OK, "text/html; charset=utf-8", whole(page)),
                Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, &format!("{}\n", error.message())),
            },
            Some("/events") => {
                // after a lost connection, the browser names the last event that it got
                let last = request.headers().get("last-event-id").and_then(|id| id.to_str().ok());
                let since = request.uri().query().and_then(|query| query.strip_prefix("since="));
                let since = last.or(since).and_then(|since| since.parse().ok()).unwrap_or(0);
                response(StatusCode::OK, "text/event-stream", self.events(since))
            }
            Some("") => {
                let mut moved = refusal(StatusCode::PERMANENT_REDIRECT, "");
                if let Ok(place) = HeaderValue::from_str(&format!("/{}/", self.secret)) {
                    moved.headers_mut().insert(LOCATION, place);
                }
                moved
            }
            _ => refusal(StatusCode::NOT_FOUND, "nothing here\n"),
        }
    }

    /// The changes after a version, as server-sent events.
    fn events(&self, since: u64) -> Body {
        let followed = Arc::clone(&self.followed);
        let news = stream::unfold(since, move |since| {
            let followed = Arc::clone(&followed);
            async move {
                let (version, data) = followed.changes(since).await?;
                let text = format!("id: {version}\nevent: run\ndata: {data}\n\n");
                Some((Ok(Frame::data(Bytes::from(text))), version))
            }
        });
        StreamBody::new(news.boxed())
    }
}

fn whole(text: String) -> Body {
    let frame = Ok(Frame::data(Bytes::from(text)));
    StreamBody::new(stream::once(std::future::ready(frame)).boxed())
}

fn refusal(status: StatusCode, words: &str) -> Response<Body> {
    response(status, "text/plain; charset=utf-8", whole(words.to_owned()))
}

fn response(status: StatusCode, kind: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // the page has the rest of its policy in itself
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
    let policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(policy, HeaderValue::from_static("same-origin"));
    response
}
