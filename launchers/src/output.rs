//! The transcript of one launch, with its events on their way to whoever ordered it.

use crate::Mask;
use crate::port::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Stream};
use crate::transcript::Transcript;
use pop_contract::{Exit, Failure};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// A [`Transcript`] that sends its events.
pub(crate) struct Output<'e> {
    id: LaunchId,
    pub(crate) order: LaunchOrder,
    events: &'e mpsc::Sender<LaunchUpdate>,
    transcript: Transcript,
}

impl<'e> Output<'e> {
    pub(crate) fn new(
        id: LaunchId,
        order: LaunchOrder,
        events: &'e mpsc::Sender<LaunchUpdate>,
        mask: &Mask,
    ) -> Self {
        let transcript = Transcript::new(&order, mask);
        Self { id, order, events, transcript }
    }

    /// Everything that was printed so far comes again, from the beginning.
    #[cfg(any(feature = "docker", feature = "kubernetes"))]
    pub(crate) fn begin_anew(&mut self) {
        self.transcript.begin_anew();
    }

    /// When something has to be said although nothing is printed.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.transcript.due()
    }

    /// The program runs: from now on its silence counts.
    pub(crate) fn begin(&mut self) {
        self.transcript.begin(Instant::now());
    }

    /// Says what time makes due.
    pub(crate) async fn on_time(&mut self) {
        self.transcript.on_time(Instant::now());
        self.say_all().await;
    }

    /// Does not count a time in which the program could not run.
    pub(crate) fn postpone(&mut self, pause: Duration) {
        self.transcript.postpone(pause);
    }

    /// Adds a line of pop's own to the log.
    pub(crate) fn note(&mut self, words: &str) {
        self.transcript.note(words);
    }

    /// Says one thing.
    pub(crate) async fn say(&self, event: LaunchEvent) {
        // a receiver that is gone does not want to hear
        self.events.send(LaunchUpdate { id: self.id, event }).await.ok();
    }

    /// Says what was read leads to.
    pub(crate) async fn say_all(&mut self) {
        for event in self.transcript.events(Instant::now()) {
            self.say(event).await;
        }
    }

    /// Takes what was printed; [`say_all`](Self::say_all) then says what that leads to.
    pub(crate) fn take(&mut self, stream: Stream, bytes: &[u8]) {
        self.transcript.take(stream, bytes, Instant::now());
    }

    /// Takes the annotations of a program's pod; they win over lines.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn annotate(&mut self, progress: Option<&String>, result: Option<&String>) {
        self.transcript.annotate(progress, result);
    }

    /// Whether the program has reported its success: then nothing of what it had to do is missing.
    #[cfg(feature = "kubernetes")]
    pub(crate) fn has_final_report(&self) -> bool {
        self.transcript.has_final_report()
    }

    /// Ends the output: what is left is taken, and everything stands in the end.
    pub(crate) async fn finish(mut self: Box<Self>, exit: Result<Exit, Box<Failure>>) -> LaunchEnd {
        for event in self.transcript.last_events(Instant::now()) {
            // progress that was not told yet stands in the end
            if matches!(event, LaunchEvent::Lines(_)) {
                self.say(event).await;
            }
        }
        let Self { transcript, .. } = *self;
        if !transcript.is_large() {
            return transcript.finish(exit);
        }
        // parsed beside the loop, which others need
        let finished = tokio::task::spawn_blocking(move || transcript.finish(exit));
        finished.await.unwrap_or_else(|error| {
            let message = format!("its output could not be read: {error}");
            LaunchEnd::failed(Failure::new(pop_contract::Blame::Pop, "lost", message))
        })
    }
}
