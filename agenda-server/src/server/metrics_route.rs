//! The route of the metrics.

use super::Shared;
use super::answer::{PROBLEM, response};
use crate::desk::{Caller, Desk};
use crate::metrics::StoreState;
use crate::reply::{Refusal, render};
use crate::route::Interface;
use crate::scope::Scope;
use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use pop_service::Kind;
use std::time::Instant;

impl Shared {
    /// The metrics, for a caller who may read. They are not counted among the requests.
    pub(super) async fn metrics(
        &self,
        caller: Result<Option<Caller>, Refusal>,
        cid: &str,
    ) -> Response<Full<Bytes>> {
        let permitted = caller.and_then(|caller| self.permit(Some(Scope::Read), caller.as_ref()));
        if let Err(refusal) = permitted {
            let header = refusal.header.clone();
            let (status, body) = render(Interface::Rest, Err(refusal), cid);
            return response(status, PROBLEM, &body, header, cid);
        }
        let mut response = Response::new(Full::new(Bytes::from(metrics_text(&self.desk).await)));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(pop_metrics::CONTENT_TYPE));
        response
    }
}

/// The metrics, with the state of the store. It is not counted anew for each reader.
async fn metrics_text(desk: &Desk) -> String {
    let mut state = desk.metrics.known_state();
    if state.is_none() {
        let began = Instant::now();
        let counted = desk.store.transact(|ledger| {
            Ok(StoreState { agendas: ledger.states(Kind::AgendaProgress)?, queues: ledger.depth()? })
        });
        match counted.await {
            Ok(counted) => {
                desk.metrics.remember(&counted, began.elapsed());
                state = Some(counted);
            }
            Err(error) => desk.metrics.failed(&error),
        }
    }
    desk.metrics.text(state.as_ref())
}
