//! Counts of a served handler, as Prometheus reads them.

use super::Server;
use crate::dispatcher::InstanceState;
use pop_metrics::{MetricsText, Timing};
use std::collections::BTreeMap;
use std::time::Duration;

/// What the server has counted since its start.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Answered requests by outcome, with the time from their arrival to the reply.
    requests: BTreeMap<&'static str, Timing>,
}

impl Counts {
    /// Counts an answered request.
    pub(super) fn answered(&mut self, outcome: &'static str, time: Duration) {
        self.requests.entry(outcome).or_default().add(time);
    }
}

impl Server {
    /// All metrics.
    pub(super) fn metrics(&self) -> String {
        let mut text = MetricsText::new();
        let help = "Requests by outcome, with the time from the arrival to the reply.";
        let mut requests = text.summary("pop_handler_request_seconds", help);
        for (outcome, timing) in &self.counts.requests {
            requests.timing(&[("outcome", outcome)], *timing);
        }
        let waiting = self.dispatcher.waiting();
        text.gauge("pop_handler_waiting_requests", "Requests that wait for an instance.").value(&[], waiting);
        let in_hand = self.dispatcher.in_hand();
        text.gauge("pop_handler_running_requests", "Requests that an instance handles.").value(&[], in_hand);
        let help = "Messages that wait for a receiver.";
        text.gauge("pop_handler_waiting_messages", help).value(&[], self.outbox.len());
        let mut instances = text.gauge("pop_handler_instances", "Instances by state.");
        let is_in = |wanted: &str| {
            let of = |state: InstanceState| match state {
                InstanceState::Starting => "starting",
                InstanceState::Ready => "ready",
                InstanceState::Handling(_) => "handling",
                InstanceState::Ending => "ending",
            };
            self.dispatcher.instances().iter().filter(|(_, state)| of(*state) == wanted).count()
        };
        for state in ["starting", "ready", "handling", "ending"] {
            instances.value(&[("state", state)], is_in(state));
        }
        text.into_text()
    }
}
