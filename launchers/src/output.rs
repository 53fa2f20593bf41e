//! The transcript of one launch, with the channel to which the events go.

#[cfg(any(feature = "docker", feature = "kubernetes"))]
use crate::Mask;
#[cfg(any(feature = "docker", feature = "kubernetes"))]
use crate::port::Stream;
use crate::port::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate};
use crate::transcript::Transcript;
use pop_contract::{Exit, Failure, Usage};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A [`Transcript`] that sends its events.
pub(crate) struct Output<'e> {
    id: LaunchId,
    pub(crate) order: LaunchOrder,
    events: &'e mpsc::Sender<LaunchUpdate>,
    pub(crate) transcript: Transcript,
    /// What the program used; none if that is not known.
    pub(crate) usage: Option<Usage>,
}

impl<'e> Output<'e> {
    #[cfg(any(feature = "docker", feature = "kubernetes"))]
    pub(crate) fn new(
        id: LaunchId,
        order: LaunchOrder,
        events: &'e mpsc::Sender<LaunchUpdate>,
        mask: &Mask,
    ) -> Self {
        let transcript = Transcript::new(&order, mask);
        Self::of(id, order, events, transcript)
    }

    /// The output of a launch that has begun with this transcript.
    pub(crate) fn of(
        id: LaunchId,
        order: LaunchOrder,
        events: &'e mpsc::Sender<LaunchUpdate>,
        transcript: Transcript,
    ) -> Self {
        Self { id, order, events, transcript, usage: None }
    }

    /// Removes the log so far: the platform delivers all output again, from the beginning.
    #[cfg(any(feature = "docker", feature = "kubernetes"))]
    pub(crate) fn begin_anew(&mut self) {
        self.transcript.begin_anew();
    }

    /// Next time at which [`on_time`](Self::on_time) must run even if no output arrives.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.transcript.due()
    }

    /// Marks the program as running; silence counts from now on.
    #[cfg(any(feature = "docker", feature = "kubernetes"))]
    pub(crate) fn begin(&mut self) {
        self.transcript.begin(Instant::now());
    }

    /// Sends the events that are due by now.
    pub(crate) async fn on_time(&mut self) {
        self.transcript.on_time(Instant::now());
        self.say_all().await;
    }

    /// Excludes a pause of the program from its time limits.
    pub(crate) fn postpone(&mut self, pause: Duration) {
        self.transcript.postpone(pause);
    }

    /// Adds a line written by pop to the log.
    pub(crate) fn note(&mut self, words: &str) {
        self.transcript.note(words);
    }

    /// Sends one event.
    pub(crate) async fn say(&self, event: LaunchEvent) {
        // the channel is closed only if the caller is gone
        self.events.send(LaunchUpdate { id: self.id, event }).await.ok();
    }

    /// Sends the events that the last input caused.
    pub(crate) async fn say_all(&mut self) {
        for event in self.transcript.events(Instant::now()) {
            self.say(event).await;
        }
    }

    /// Records output of the program; [`say_all`](Self::say_all) then sends the events.
    #[cfg(any(feature = "docker", feature = "kubernetes"))]
    pub(crate) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        self.transcript.take(stream, bytes, Instant::now());
    }

    /// Records the annotations of the program's pod, which override report lines.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn annotate(&mut self, progress: Option<&String>, result: Option<&String>) {
        self.transcript.annotate(progress, result);
    }

    /// Whether the program has reported success, which proves that it was not stopped before its work was done.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn has_final_report(&self) -> bool {
        self.transcript.has_final_report()
    }

    /// Ends the output: flushes everything and builds the end of the launch.
    pub(crate) async fn finish(mut self: Box<Self>, exit: Result<Exit, Box<Failure>>) -> LaunchEnd {
        for event in self.transcript.last_events(Instant::now()) {
            self.say(event).await;
        }
        let Self { transcript, usage, .. } = *self;
        if !transcript.is_large() {
            return LaunchEnd { usage, ..transcript.finish(exit) };
        }
        // large results are parsed off the event loop
        let finished = tokio::task::spawn_blocking(move || transcript.finish(exit));
        let ended = finished.await.unwrap_or_else(|error| {
            let message = format!("its output cannot be read: {error}");
            LaunchEnd::failed(Failure::new(pop_contract::Blame::Pop, "lost", message))
        });
        LaunchEnd { usage, ..ended }
    }
}
