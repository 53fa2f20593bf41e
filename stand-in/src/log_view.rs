//! `pods/{name}/log`: the log of one container, complete or followed.

use crate::body::{Body, empty, stream};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::kind::PODS;
use crate::log::{ContainerLog, View};
use crate::watch::{Query, is_true};
use hyper::body::Bytes;
use hyper::{Response, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Responds with the requested log, or with the reason why there is none yet.
pub(crate) fn answer(
    cluster: &Arc<Cluster>,
    namespace: &str,
    name: &str,
    query: &Query,
) -> Result<Response<Body>, Failure> {
    let pod = cluster.get(&PODS, namespace, name)?;
    let container = choose(&pod, name, query.get("container").map_or("", String::as_str))?;
    let view = view(query)?;
    if pod["spec"]["nodeName"].as_str().unwrap_or_default().is_empty() {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    let is_previous = is_true(query, "previous");
    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
    let Some(log) = cluster.logs.find(uid, &container, is_previous) else {
        if is_previous {
            let why = format!("previous terminated container {container:?} in pod {name:?} not found");
            return Err(Failure::bad_request(why));
        }
        let why = match waiting_reason(&pod, &container) {
            "ErrImagePull" => "image can't be pulled",
            "ImagePullBackOff" => "trying and failing to pull image",
            other => other,
        };
        let why = format!("container {container:?} in pod {name:?} is waiting to start: {why}");
        return Err(Failure::bad_request(why));
    };
    let limit = number(query, "limitBytes")?.unwrap_or(usize::MAX);
    let (pieces, body) = mpsc::channel(16);
    let linger = cluster.config.log_linger;
    tokio::spawn(send(log, view, limit, is_true(query, "follow").then_some(linger), pieces));
    let mut response = Response::new(stream(body));
    let plain = header::HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    Ok(response)
}

/// The container in the request, or the only one of the pod.
fn choose(pod: &Value, name: &str, wanted: &str) -> Result<String, Failure> {
    let names = |list: &str| -> Vec<&str> {
        pod["spec"][list].as_array().into_iter().flatten().filter_map(|it| it["name"].as_str()).collect()
    };
    let (mains, inits) = (names("containers"), names("initContainers"));
    if !wanted.is_empty() {
        if mains.contains(&wanted) || inits.contains(&wanted) {
            return Ok(wanted.to_owned());
        }
        return Err(Failure::bad_request(format!("container {wanted} is not valid for pod {name}")));
    }
    match *mains {
        [only] => Ok(only.to_owned()),
        _ if inits.is_empty() => Err(Failure::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}]",
            mains.join(" ")
        ))),
        _ => Err(Failure::bad_request(format!(
            "a container name must be specified for pod {name}, choose one of: [{}] or one of the init containers: [{}]",
            mains.join(" "),
            inits.join(" ")
        ))),
    }
}

fn waiting_reason<'p>(pod: &'p Value, container: &str) -> &'p str {
    let all = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = all.iter().flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    let found = statuses.find(|status| status["name"] == container);
    found.and_then(|status| status["state"]["waiting"]["reason"].as_str()).unwrap_or("ContainerCreating")
}

fn number(query: &Query, name: &str) -> Result<Option<usize>, Failure> {
    let bad = |_| Failure::bad_request(format!("{name}: Invalid value"));
    query.get(name).map(|text| text.parse()).transpose().map_err(bad)
}

fn view(query: &Query) -> Result<View, Failure> {
    let ago = number(query, "sinceSeconds")?;
    let ago = ago.map(|seconds| {
        Timestamp::now() - SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX / 4))
    });
    let bad = |_| Failure::bad_request("sinceTime: Invalid value");
    let since = query.get("sinceTime").map(|text| text.parse()).transpose().map_err(bad)?;
    Ok(View {
        since: since.or(ago),
        tail: number(query, "tailLines")?,
        has_times: is_true(query, "timestamps"),
    })
}

/// Sends the log. `follow` is how long a followed stream stays open after the container ended.
async fn send(
    log: Arc<ContainerLog>,
    view: View,
    limit: usize,
    follow: Option<Duration>,
    pieces: mpsc::Sender<Bytes>,
) {
    let mut growth = log.growth();
    let mut at = log.start(&view);
    let mut left = limit;
    let mut linger = Duration::ZERO;
    loop {
        // read before the pieces, so that a later change wakes this task
        let is_over = *growth.borrow_and_update();
        while let Some((mut piece, next)) = log.next(at, &view) {
            piece.truncate(left);
            left -= piece.len();
            if pieces.send(piece.into()).await.is_err() || left == 0 {
                return;
            }
            at = next;
        }
        let Some(follow) = follow.filter(|_| !is_over) else {
            return tokio::select! {
                () = tokio::time::sleep(linger) => {}
                () = pieces.closed() => {}
            };
        };
        linger = follow;
        tokio::select! {
            changed = growth.changed() => if changed.is_err() { return },
            () = pieces.closed() => return,
        }
    }
}
