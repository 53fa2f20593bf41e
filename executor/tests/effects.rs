//! Effects while another process holds a short lock: only the operation that needs it waits, and names that process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda::{Agenda, Answer, CacheAsk, DeclaredFiles, Gate, OpIx, Plan};
use pop_contract::LaunchType;
use pop_executor::{EffectReply, EffectRequest, Effects as _, Host, HostEffects, RunIdentity, Ticket};
use pop_policy::KeyInput;
use pop_registry::Catalog;
use serde_json::json;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const OP: OpIx = OpIx(0);

struct Setup {
    folder: tempfile::TempDir,
    effects: HostEffects,
    plan: Arc<Plan>,
    sender: UnboundedSender<EffectReply>,
    replies: UnboundedReceiver<EffectReply>,
}

fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let identity = RunIdentity {
        run: "r".into(),
        mark: "r".into(),
        cid: "c".into(),
        agenda: "a".into(),
        folder: path.clone(),
        start: path.clone(),
        logs: path.clone(),
        home: None,
        on: LaunchType::Local,
        trace: pop_telemetry::RunTrace::new("r", "c", None, false),
    };
    let params = json!({"useCache": true, "cache.use": true, "reads": "in.txt", "writes": "out.txt"});
    let agenda = json!({"operations": [{"name": "a", "type": "sample", "params": params}]});
    let agenda = Agenda::parse(agenda, &mut Vec::new()).unwrap();
    let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut Vec::new()).unwrap();
    let (sender, replies) = unbounded_channel();
    let effects = HostEffects::new(Host::new(path.join(".host")), &identity, || 1_000_000);
    Setup { folder, effects, plan: Arc::new(plan), sender, replies }
}

impl Setup {
    fn ask(&mut self, ticket: u64, gate: Gate) {
        let (ticket, plan) = (Ticket(ticket), Arc::clone(&self.plan));
        self.effects.request(
            EffectRequest::Ask { ticket, op: OP, gate, exec: None, payload: None, files: None, plan },
            &self.sender,
        );
    }

    fn request(&mut self, request: EffectRequest) {
        self.effects.request(request, &self.sender);
    }

    /// The next reply. Fails the test if there is none within ten seconds.
    async fn reply(&mut self) -> EffectReply {
        tokio::time::timeout(Duration::from_secs(10), self.replies.recv()).await.unwrap().unwrap()
    }

    async fn answer(&mut self) -> (u64, Answer) {
        match self.reply().await {
            EffectReply::Answered { ticket, answer, .. } => (ticket.0, answer),
            other => unreachable!("{other:?}"),
        }
    }

    /// Holds the only short lock of a kind, as another process would.
    fn hold(&self, kind: &str) -> File {
        let file = File::open(short_lock(&self.folder.path().join(".host").join(kind))).unwrap();
        file.lock().unwrap();
        file
    }
}

fn short_lock(folder: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.into_iter().find(|path| path.extension().is_some_and(|ending| ending == "lock")).unwrap()
}

fn delay(id: &str) -> Gate {
    Gate::Delay { id: Some(id.into()), ms: 0 }
}

#[tokio::test]
async fn r5_held_short_lock_blocks_one_delay_and_names_the_holder() {
    let mut setup = setup();
    setup.ask(1, delay("x"));
    assert_eq!(setup.answer().await, (1, Answer::Granted));
    let held = setup.hold("delays");
    setup.ask(2, delay("x"));
    setup.ask(3, delay("y"));
    setup.ask(4, Gate::Lock { name: "k".into() });
    assert_eq!(setup.answer().await, (3, Answer::Granted));
    assert_eq!(setup.answer().await, (4, Answer::Granted));
    let holder = format!("process {}, which updates delay `x`", std::process::id()).into();
    assert_eq!(setup.answer().await, (2, Answer::Busy { holder }));
    drop(held);
    assert_eq!(setup.answer().await, (2, Answer::Granted));
}

#[tokio::test]
async fn r5_withdrawn_wait_is_never_answered() {
    let mut setup = setup();
    setup.ask(1, delay("x"));
    setup.answer().await;
    let held = setup.hold("delays");
    setup.ask(2, delay("x"));
    assert!(matches!(setup.answer().await, (2, Answer::Busy { .. })));
    setup.request(EffectRequest::Release { op: OP });
    drop(held);
    setup.ask(3, delay("y"));
    setup.request(EffectRequest::Close);
    assert_eq!(setup.answer().await, (3, Answer::Granted));
    assert!(matches!(setup.reply().await, EffectReply::Closed));
}

fn commit(ticket: u64, seen: &[(&str, u64)], by: &str) -> EffectRequest {
    let versions = seen.iter().map(|(name, version)| ((*name).into(), *version)).collect();
    EffectRequest::Commit {
        ticket: Ticket(ticket),
        op: OP,
        attempt: 1,
        versions,
        by: by.into(),
        files: None,
        stores_files: false,
    }
}

#[tokio::test]
async fn r3_commit_of_several_keys_is_atomic_and_waits_unblocking() {
    let mut setup = setup();
    let host = Host::new(setup.folder.path().join(".host"));
    host.commit("b", 0, "another").unwrap();
    setup.request(commit(1, &[("a", 0), ("b", 0)], "r/1"));
    let EffectReply::Committed { outcome: Err(failure), .. } = setup.reply().await else { unreachable!() };
    assert_eq!(failure.code, "conflict");
    assert_eq!(
        failure.message,
        "`b` was changed meanwhile: version 0 was read, and another has made version 1"
    );
    assert_eq!((host.version("a").unwrap(), host.version("b").unwrap()), (0, 1));
    fs::remove_dir_all(setup.folder.path().join(".host/versions")).unwrap();
    host.commit("b", 0, "another").unwrap();
    let held = setup.hold("versions");
    setup.request(commit(2, &[("b", 1)], "r/2"));
    setup.ask(3, delay("y"));
    assert_eq!(setup.answer().await, (3, Answer::Granted));
    let EffectReply::Notice(words) = setup.reply().await else { unreachable!() };
    assert_eq!(words, format!("the run waits for process {}, which updates version `b`", std::process::id()));
    drop(held);
    assert!(matches!(
        setup.reply().await,
        EffectReply::Committed { ticket: Ticket(2), outcome: Ok(None), .. }
    ));
    // the next executor repeats the commit, which is made once; a confirmed commit is forgotten
    setup.request(commit(4, &[("b", 1)], "r/2"));
    assert!(matches!(
        setup.reply().await,
        EffectReply::Committed { ticket: Ticket(4), outcome: Ok(None), .. }
    ));
    setup.request(EffectRequest::Confirm { keys: vec!["b".into()], by: "r/2".into() });
    setup.request(commit(5, &[("b", 1)], "r/2"));
    assert!(matches!(setup.reply().await, EffectReply::Committed { ticket: Ticket(5), outcome: Err(_), .. }));
    assert_eq!(host.version("b").unwrap(), 2);
}

fn declared() -> Arc<DeclaredFiles> {
    let (reads, writes) = (["in.txt".into()].into(), ["out.txt".into()].into());
    Arc::new(DeclaredFiles { folder: "".into(), reads, writes })
}

fn cache() -> Arc<CacheAsk> {
    let input = KeyInput::payload(&json!({}));
    Arc::new(CacheAsk { state: "s".into(), input, ttl_ms: None, write: true, files: true })
}

impl Setup {
    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Asks for the files, then for the cached result.
    async fn look_up(&mut self) -> Answer {
        self.ask(1, Gate::Files(declared()));
        assert!(matches!(self.answer().await, (1, Answer::Read { .. })));
        let (plan, files) = (Arc::clone(&self.plan), Some(declared()));
        let gate = Gate::Cache(cache());
        self.request(EffectRequest::Ask {
            ticket: Ticket(2),
            op: OP,
            gate,
            exec: None,
            payload: None,
            files,
            plan,
        });
        self.answer().await.1
    }

    async fn verify(&mut self) -> Result<Vec<String>, String> {
        self.request(EffectRequest::Commit {
            ticket: Ticket(3),
            op: OP,
            attempt: 1,
            versions: Vec::new(),
            by: "r/a".into(),
            files: Some(declared()),
            stores_files: true,
        });
        let EffectReply::Committed { outcome, .. } = self.reply().await else { unreachable!() };
        let files = outcome.map_err(|failure| failure.code.clone())?.unwrap();
        Ok(files.iter().map(|file| format!("{} {}", file.path, file.size)).collect())
    }

    fn fill(&mut self) {
        let result = Arc::new(json!({"n": 1}));
        self.request(EffectRequest::Fill { op: OP, operation: "a".into(), ask: cache(), result });
        self.request(EffectRequest::Release { op: OP });
    }
}

#[tokio::test]
async fn fr_d2_files_are_found_verified_stored_and_put_back() {
    let mut setup = setup();
    setup.ask(1, Gate::Files(declared()));
    let (_, Answer::Failed(failure)) = setup.answer().await else { unreachable!() };
    assert_eq!(failure.code, "missing-input");
    setup.write("in.txt", "in");
    assert!(matches!(setup.look_up().await, Answer::Miss { key: Some(_), .. }));
    assert_eq!(setup.verify().await.unwrap_err(), "missing-output");
    setup.write("out.txt", "out");
    assert_eq!(setup.verify().await.unwrap(), ["out.txt 3"]);
    setup.fill();
    assert!(matches!(setup.look_up().await, Answer::Hit { restored: 0, files: Some(_), .. }));
    fs::remove_file(setup.folder.path().join("out.txt")).unwrap();
    assert!(matches!(setup.look_up().await, Answer::Hit { restored: 1, .. }));
    assert_eq!(fs::read_to_string(setup.folder.path().join("out.txt")).unwrap(), "out");
    // without its stored file the result does not count
    fs::remove_dir_all(setup.folder.path().join(".host/files")).unwrap();
    setup.write("out.txt", "other");
    let Answer::Miss { why, .. } = setup.look_up().await else { unreachable!() };
    assert_eq!(&*why, "output `out.txt` has changed, and `out.txt` is not in the cache");
    setup.write("in.txt", "changed");
    let Answer::Miss { why, .. } = setup.look_up().await else { unreachable!() };
    assert_eq!(&*why, "the key has changed: input `in.txt`");
}

#[tokio::test]
async fn fr_d2_new_executor_writes_a_result_only_under_the_key_that_missed() {
    for (input, is_written) in [("in", true), ("changed meanwhile", false)] {
        let mut setup = setup();
        setup.write("in.txt", "in");
        setup.write("out.txt", "out");
        let Answer::Miss { key, .. } = setup.look_up().await else { unreachable!() };
        setup.request(EffectRequest::Release { op: OP });
        // the executor dies, and another one follows the attempt
        setup.write("in.txt", input);
        let gates = Arc::new([Gate::Files(declared()), Gate::Cache(cache())]);
        let plan = Arc::clone(&setup.plan);
        setup.request(EffectRequest::Reclaim { op: OP, gates, key, exec: None, plan });
        setup.verify().await.unwrap();
        setup.fill();
        let is_found = matches!(setup.look_up().await, Answer::Hit { .. });
        assert_eq!(is_found, is_written, "{input}");
    }
}
