//! A run told elsewhere while it goes on: to the pod that the executor runs in, and to the service that keeps agendas.
//!
//! *Guarantees.* The run waits for nobody: what is told is made and sent on a thread of its own, at most once a second.
//! The end is always told, and waited for, 10 s at most for each who is told. *Caveats.* Who cannot be reached is said once and at the end; the run does
//! not fail for it.

use super::followed::FollowedRun;
use super::progress::{Detail, ProgressIds, closing, text};
use crate::status::{Annotations, Closing, Connecting, Courier, Delivery, OwnPod, Pace};
use http::Request;
use http::header::CONTENT_TYPE;
use kube::client::Body;
use kube::{Client, Config};
use pop_agenda::{EventRecord, Plan, RunEvent, Sink};
use pop_contract::{PROGRESS, RESULT};
use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::sleep;

/// Nobody is told more often.
const EVERY: Duration = Duration::from_secs(1);
/// How often a service hears of a run that stands still: who is silent for long is taken for dead.
const BEAT: Duration = Duration::from_secs(5);
/// The longest document that becomes an annotation: all annotations of a pod together have 256 KiB.
const LONGEST_ANNOTATION: usize = 200 * 1024;
/// How often the last report is tried to be sent.
const TRIES: u32 = 6;
/// The first wait between two tries; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// How long a service may take for one report.
const ANSWER: Duration = Duration::from_secs(20);
/// How long the end of a run waits until it is told; Ctrl-C or SIGTERM ends that.
const CLOSING: Closing = Closing { limit: Duration::from_secs(10), is_ended_by_signal: true };

/// What is told: a run as somebody else follows it, and its names.
#[derive(Debug, Clone)]
pub struct Told {
    /// The run; whoever follows it has heard of an event before this reporter does.
    pub run: Arc<Mutex<FollowedRun>>,
    /// The names.
    pub ids: ProgressIds,
}

/// Tells somebody elsewhere of a run.
#[derive(Debug)]
pub struct Elsewhere {
    courier: Courier<()>,
    /// Takes a line for people.
    say: fn(&str),
    is_begun: bool,
    is_ended: bool,
}

impl Elsewhere {
    /// Tells the pod of this name, in the namespace that `connect` gives, by annotations.
    pub fn own_pod(
        told: Told,
        name: String,
        connect: impl Fn() -> Connecting + Send + 'static,
        say: fn(&str),
    ) -> io::Result<Self> {
        Self::start(Pace { every: EVERY, beat: None, closing: CLOSING }, say, move || {
            let pod = Rc::new(OwnPod::new(name, connect));
            move |is_last| -> Delivery {
                let (pod, forms) = (Rc::clone(&pod), annotations(&told, is_last));
                Box::pin(async move { pod.annotate(forms, is_last).await })
            }
        })
    }

    /// Tells a service by posts to `/updateAgendaProgress` below its address.
    pub fn service(told: Told, address: &Address, say: fn(&str)) -> io::Result<Self> {
        let config = address.0.clone();
        Self::start(Pace { every: EVERY, beat: Some(BEAT), closing: CLOSING }, say, move || {
            let service = Rc::new(Service { config, client: OnceCell::new() });
            move |is_last| -> Delivery {
                let service = Rc::clone(&service);
                let text = text(&told.run, &told.ids, Detail::Whole, usize::MAX);
                let body = format!("{{\"agendaProgress\":{}}}", text.unwrap_or_default());
                Box::pin(async move { service.post(body.into_bytes(), is_last).await })
            }
        })
    }

    fn start<D>(pace: Pace, say: fn(&str), make: impl FnOnce() -> D + Send + 'static) -> io::Result<Self>
    where
        D: FnMut(bool) -> Delivery + 'static,
    {
        let courier = Courier::start(pace, move || {
            let mut deliver = make();
            let is_said = Rc::new(Cell::new(false));
            move |(), is_last| -> Delivery {
                let (delivery, is_said) = (deliver(is_last), Rc::clone(&is_said));
                Box::pin(async move {
                    let delivered = delivery.await;
                    // that the last one failed is said by whoever waits for it
                    if let Err(error) = &delivered
                        && !is_last
                        && !is_said.replace(true)
                    {
                        say(&format!("warning: {error}; the run goes on and it is tried again"));
                    }
                    delivered
                })
            }
        })?;
        Ok(Self { courier, say, is_begun: false, is_ended: false })
    }
}

impl Sink for Elsewhere {
    fn on_event(&mut self, _: &Arc<Plan>, recorded: &EventRecord) {
        self.is_begun = true;
        self.is_ended = matches!(recorded.event, RunEvent::RunEnded { .. });
    }

    fn flush(&mut self) {
        // the end is told once, as the last
        if self.is_begun && !self.is_ended {
            self.courier.tell(());
        }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        if self.is_begun
            && let Err(error) = self.courier.tell_last(())
        {
            (self.say)(&format!("warning: how the run ended was not told: {error}"));
        }
    }
}

/// The forms that a pod's annotations can have, the one that says most first.
fn annotations(told: &Told, is_last: bool) -> Vec<Annotations> {
    let result = is_last.then(|| {
        let run = told.run.lock().unwrap_or_else(PoisonError::into_inner);
        closing(&run.plan, &run.history).to_string()
    });
    let details = [Detail::Whole, Detail::WithoutResults, Detail::WithoutOperations].into_iter();
    let texts = details.filter_map(|detail| text(&told.run, &told.ids, detail, LONGEST_ANNOTATION));
    let with = |text| {
        let result = result.clone().map(|result| (RESULT, result));
        std::iter::once((PROGRESS, text)).chain(result).collect()
    };
    texts.map(with).collect()
}

/// The address of a service.
#[derive(Debug, Clone)]
pub struct Address(Config);

/// A text that is no address of a service.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is no address of a service: {why}")]
pub struct NoAddress {
    text: String,
    why: String,
}

impl Address {
    /// Reads an address: `http` or `https`, a host, and perhaps a path.
    pub fn parse(text: &str) -> Result<Self, NoAddress> {
        let no = |why: String| NoAddress { text: text.to_owned(), why };
        let uri: http::Uri =
            text.trim().trim_end_matches('/').parse().map_err(|error| no(format!("{error}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(no("it does not begin with http:// or https://".to_owned()));
        }
        let mut config = Config::new(uri);
        // what can be asked again is known here
        config.default_retry = false;
        config.connect_timeout = Some(ANSWER);
        config.read_timeout = Some(ANSWER);
        Ok(Self(config))
    }
}

struct Service {
    config: Config,
    client: OnceCell<Client>,
}

impl Service {
    async fn post(&self, body: Vec<u8>, is_last: bool) -> Result<(), String> {
        let refused = |why: &str| format!("progress could not be sent to {}: {why}", self.config.cluster_url);
        let client = self.client.get_or_try_init(|| async { Client::try_from(self.config.clone()) }).await;
        let client = client.map_err(|error| refused(&error.to_string()))?;
        let mut wait = FIRST_WAIT;
        let mut left = if is_last { TRIES } else { 1 };
        loop {
            left -= 1;
            let request = Request::post("/updateAgendaProgress").header(CONTENT_TYPE, "application/json");
            let request = request.body(Body::from(body.clone()));
            let request = request.map_err(|error| refused(&error.to_string()))?;
            let (why, may_change) = match client.send(request).await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => {
                    let status = answer.status();
                    let may_change = matches!(status.as_u16(), 408 | 409 | 429 | 500..);
                    (format!("it answers {status}"), may_change)
                }
                Err(error) => (with_causes(&error), true),
            };
            if left == 0 || !may_change {
                return Err(refused(&why));
            }
            sleep(wait).await;
            wait *= 2;
        }
    }
}

/// An error and all its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_urls_of_http() {
        for text in ["http://host", "https://host:8443/pop/", " http://[::1]:80/a/b "] {
            assert!(Address::parse(text).is_ok(), "{text}");
        }
        for text in ["", "host", "host:80", "ftp://host", "http://", "http://a b"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
