//! Shared state of a host, used by several real processes, some of which are killed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_executor::{CacheAnswer, CacheOrigin, CommitOutcome, DelayTurn, Holder, Host, LockAttempt, Miss};
use pop_policy::{CacheKey, KeyInput};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const TASK: &str = "POP_TEST_TASK";
const FOLDER: &str = "POP_TEST_FOLDER";
/// Number of repetitions in each process.
const TIMES: usize = 25;
/// Delay between starts, in milliseconds.
const DELAY: u64 = 4;

/// Another process that carries out one of the tasks below.
struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn start(task: &str, folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "another_process", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(TASK, task).env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// The next word that the worker prints; empty when it has ended. Skips output of the test runner.
    fn next_word(&mut self) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            // output of the test runner may precede it in the line
            if let Some((_, word)) = line.trim_end().split_once("says ") {
                return word.to_owned();
            }
            line.clear();
        }
        String::new()
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// All words until the end of the worker, which must succeed.
    fn finish(mut self) -> Vec<String> {
        let words = std::iter::from_fn(|| Some(self.next_word()).filter(|word| !word.is_empty())).collect();
        assert!(self.child.wait().unwrap().success());
        words
    }
}

#[expect(clippy::print_stdout, reason = "the other end is the test that started this process")]
fn say(word: impl std::fmt::Display) {
    println!("\nsays {word}");
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A commit name that no other process uses.
fn own_name(number: usize) -> String {
    format!("{}/{number}", std::process::id())
}

fn holder() -> Holder {
    Holder { run: "r".to_owned(), operation: "a".to_owned(), pid: std::process::id() }
}

fn key() -> CacheKey {
    CacheKey::new("t", KeyInput::payload(&json!(1)))
}

fn written() -> CacheOrigin {
    CacheOrigin { run: "r".to_owned(), operation: "a".to_owned(), written: 1 }
}

fn result() -> Value {
    json!("x".repeat(20_000))
}

#[test]
#[ignore = "the workers of the tests below run it"]
fn another_process() {
    let (Some(task), Some(folder)) = (std::env::var_os(TASK), std::env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    let host = Host::of_runs(folder);
    match task.to_str().unwrap() {
        "hold" => {
            let _lock = host.wait("n", &holder()).unwrap();
            say("held");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }
        "count" => {
            for _ in 0..TIMES {
                let _lock = host.wait("n", &holder()).unwrap();
                let counter = folder.join("counter");
                let count: usize = fs::read_to_string(&counter).unwrap().parse().unwrap();
                fs::write(&counter, (count + 1).to_string()).unwrap();
            }
        }
        "start" => {
            let mut starts = 0;
            while starts < TIMES {
                let mut seen = 0;
                let clock = || {
                    seen = now();
                    seen
                };
                match host.turn("d", DELAY, clock).unwrap() {
                    DelayTurn::Now => {
                        say(seen);
                        starts += 1;
                    }
                    DelayTurn::NotBefore(at) => {
                        std::thread::sleep(Duration::from_millis(at.saturating_sub(now())));
                    }
                }
            }
        }
        "commit" => {
            for number in 0..TIMES {
                let by = own_name(number);
                loop {
                    let seen = host.version("k").unwrap();
                    match host.commit("k", seen, &by).unwrap() {
                        CommitOutcome::Committed => break,
                        CommitOutcome::Conflict { version, by: other } => {
                            assert!(version > seen && other != by);
                            say("conflict");
                        }
                    }
                }
            }
        }
        "everything" => {
            for number in 1.. {
                let _lock = host.wait("n", &holder()).unwrap();
                host.turn("d", 0, now).unwrap();
                host.write("s", &key(), &result(), None, &written()).unwrap();
                let seen = host.version("k").unwrap();
                assert_eq!(host.commit("k", seen, &own_name(number)).unwrap(), CommitOutcome::Committed);
                say(seen + 1);
            }
        }
        other => unreachable!("{other}"),
    }
}

#[test]
fn f79_lock_of_a_killed_holder_goes_to_the_next_waiter() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::of_runs(folder.path());
    let mut first = Worker::start("hold", folder.path());
    assert_eq!(first.next_word(), "held");
    let LockAttempt::Busy { holder: Some(found) } = host.try_lock("n", &holder()).unwrap() else {
        unreachable!()
    };
    assert_eq!((found.pid, found.operation.as_str()), (first.pid(), "a"));
    let mut second = Worker::start("hold", folder.path());
    first.kill();
    assert_eq!(second.next_word(), "held");
    assert_eq!(host.holder("n").unwrap().pid, second.pid());
    second.kill();
    assert_eq!(host.holder("n"), None);
    assert!(matches!(host.try_lock("n", &holder()), Ok(LockAttempt::Locked(_))));
}

#[test]
fn r3_processes_with_one_lock_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("counter"), "0").unwrap();
    let others: Vec<_> = (0..4).map(|_| Worker::start("count", folder.path())).collect();
    for other in others {
        other.finish();
    }
    assert_eq!(fs::read_to_string(folder.path().join("counter")).unwrap(), (4 * TIMES).to_string());
}

#[test]
fn r5_delay_separates_starts_of_several_processes() {
    let folder = tempfile::tempdir().unwrap();
    let others: Vec<_> = (0..3).map(|_| Worker::start("start", folder.path())).collect();
    let words = others.into_iter().flat_map(Worker::finish);
    let mut starts: Vec<u64> = words.map(|word| word.parse().unwrap()).collect();
    starts.sort_unstable();
    assert_eq!(starts.len(), 3 * TIMES);
    for pair in starts.windows(2) {
        assert!(pair[1] - pair[0] >= DELAY, "{starts:?}");
    }
}

#[test]
fn r3_one_of_several_commits_on_a_version_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let others: Vec<_> = (0..4).map(|_| Worker::start("commit", folder.path())).collect();
    for other in others {
        other.finish();
    }
    assert_eq!(Host::of_runs(folder.path()).version("k").unwrap(), 4 * TIMES as u64);
}

#[test]
fn f79_f81_killed_process_tears_and_loses_no_shared_state() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::of_runs(folder.path());
    let mut known = 0;
    for round in 1..=20 {
        let mut other = Worker::start("everything", folder.path());
        // the worker continues while its last word is read, so the kill comes at any instant
        for _ in 0..round {
            known = other.next_word().parse().unwrap();
        }
        other.kill();
        let version = host.version("k").unwrap();
        assert!(version >= known, "{version} {known}");
        // a commit under the same name is made once
        assert_eq!(host.commit("k", version, &format!("round {round}")).unwrap(), CommitOutcome::Committed);
        assert_eq!(host.commit("k", version, &format!("round {round}")).unwrap(), CommitOutcome::Committed);
        assert_eq!(
            host.look_up("s", &key(), "a", 1, None),
            CacheAnswer::Hit { result: result(), from: written(), files: None }
        );
        assert_eq!(host.turn("d", 0, now).unwrap(), DelayTurn::Now);
        assert!(matches!(host.try_lock("n", &holder()), Ok(LockAttempt::Locked(_))));
    }
    // removes files of killed writers, too
    host.invalidate(None, "").unwrap();
    let miss = CacheAnswer::Miss(Miss::Absent { changed: Vec::new(), has_run: true });
    assert_eq!(host.look_up("s", &key(), "a", 1, None), miss);
    assert_eq!(host.kept(None).unwrap(), []);
}
