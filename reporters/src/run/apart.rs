//! A reporter on a thread of its own: what it draws on may stand still without holding the run up.

use pop_agenda::{EventRecord, Plan, Sink};
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How much may wait for the reporter; if it is further behind, the run waits for it, for nothing may be missing.
const BEHIND: usize = 16_384;

/// Hands everything on to another reporter, which may take its time.
///
/// *Guarantees.* Order is kept and nothing is lost; dropping it waits for the other to be through. *Caveats.* Costs a
/// word to another thread each time: [`Spool`](super::Spool) is cheaper for what only writes.
#[derive(Debug)]
pub struct Apart {
    news: Option<SyncSender<News>>,
    thread: Option<JoinHandle<()>>,
    /// How many operations the plan has that the reporter knows.
    known: usize,
}

#[derive(Debug)]
enum News {
    Plan(Arc<Plan>),
    Event(EventRecord),
    Notice(String),
    Flush,
}

impl Apart {
    /// A reporter of this plan's run, on a thread of its own.
    pub fn new(mut plan: Arc<Plan>, mut reporter: impl Sink + 'static) -> io::Result<Self> {
        let known = plan.len();
        let (news, heard) = sync_channel(BEHIND);
        let thread = std::thread::Builder::new().name("reporter".to_owned()).spawn(move || {
            for news in heard {
                match news {
                    News::Plan(grown) => plan = grown,
                    News::Event(recorded) => reporter.on_event(&plan, &recorded),
                    News::Notice(words) => reporter.on_notice(&words),
                    News::Flush => reporter.flush(),
                }
            }
        })?;
        Ok(Self { news: Some(news), thread: Some(thread), known })
    }

    fn tell(&self, news: News) {
        if let Some(sender) = &self.news {
            // a reporter that is no more has nobody to tell
            sender.send(news).ok();
        }
    }
}

impl Sink for Apart {
    fn on_event(&mut self, plan: &Arc<Plan>, recorded: &EventRecord) {
        if plan.len() != self.known {
            self.known = plan.len();
            self.tell(News::Plan(Arc::clone(plan)));
        }
        self.tell(News::Event(recorded.clone()));
    }

    fn on_notice(&mut self, words: &str) {
        self.tell(News::Notice(words.to_owned()));
    }

    fn flush(&mut self) {
        self.tell(News::Flush);
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        self.news = None;
        if let Some(thread) = self.thread.take() {
            // a panic of that thread has nothing more to say here
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::{Agenda, OpIx, RunEvent, RunTime};
    use pop_contract::LaunchType;
    use pop_registry::Catalog;
    use serde_json::json;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Does nothing until it is let go, then tells what it is told.
    struct Held {
        go: Receiver<()>,
        told: Sender<RunTime>,
    }

    impl Sink for Held {
        fn on_event(&mut self, _: &Arc<Plan>, recorded: &EventRecord) {
            self.go.recv().ok();
            self.told.send(recorded.at).unwrap();
        }
    }

    #[test]
    fn f19_f85_a_reporter_that_stands_still_holds_nobody_up_and_misses_nothing() {
        let mut faults = Vec::new();
        let agenda = Agenda::parse(json!({"operations": []}), &mut faults).unwrap();
        let plan =
            Arc::new(Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap());
        let (go, held) = channel();
        let (told, heard) = channel();
        let mut apart = Apart::new(Arc::clone(&plan), Held { go: held, told }).unwrap();
        for at in 0..1_000 {
            let event = RunEvent::AttemptStarted { op: OpIx(0), attempt: 1 };
            apart.on_event(&plan, &EventRecord { at: RunTime(at), event });
            apart.flush();
        }
        assert!(heard.try_recv().is_err());
        drop(go);
        drop(apart);
        assert!(heard.iter().map(|at| at.0).eq(0..1_000));
    }
}
