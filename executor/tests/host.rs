//! What the runs of one host share, asked for by processes that really are several, and killed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_executor::{CacheAnswer, CacheOrigin, CommitOutcome, DelayTurn, Holder, Host, LockAttempt, Miss};
use pop_policy::{CacheKey, KeyInput};
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const DEED: &str = "POP_TEST_DEED";
const FOLDER: &str = "POP_TEST_FOLDER";
/// How often each of several processes does a thing.
const TIMES: usize = 25;
const DELAY: u64 = 4;

/// Another process that does one of the deeds below.
struct Other {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Other {
    fn does(deed: &str, folder: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "another_process", "--ignored", "--nocapture", "--test-threads=1"]);
        command.env(DEED, deed).env(FOLDER, folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap());
        Self { child, said }
    }

    /// The next word that it says; what the test runner says is passed over. Empty when it has ended.
    fn says(&mut self) -> String {
        let mut line = String::new();
        while self.said.read_line(&mut line).unwrap() > 0 {
            // the runner's own words may stand before it in the line
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

    /// All that it says until its end, which must be a good one.
    fn ends(mut self) -> Vec<String> {
        let words = std::iter::from_fn(|| Some(self.says()).filter(|word| !word.is_empty())).collect();
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

/// The name of a commit that nobody else makes.
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
#[ignore = "is what other processes of the tests below do"]
fn another_process() {
    let (Some(deed), Some(folder)) = (std::env::var_os(DEED), std::env::var_os(FOLDER)) else { return };
    let folder = Path::new(&folder);
    let host = Host::of_runs(folder);
    match deed.to_str().unwrap() {
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
                host.write("s", &key(), &result(), &written()).unwrap();
                let seen = host.version("k").unwrap();
                assert_eq!(host.commit("k", seen, &own_name(number)).unwrap(), CommitOutcome::Committed);
                say(seen + 1);
            }
        }
        other => unreachable!("{other}"),
    }
}

#[test]
fn f79_a_holder_that_is_killed_frees_its_lock_for_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::of_runs(folder.path());
    let mut first = Other::does("hold", folder.path());
    assert_eq!(first.says(), "held");
    let LockAttempt::Busy { holder: Some(who) } = host.try_lock("n", &holder()).unwrap() else {
        unreachable!()
    };
    assert_eq!((who.pid, who.operation.as_str()), (first.pid(), "a"));
    let mut second = Other::does("hold", folder.path());
    first.kill();
    assert_eq!(second.says(), "held");
    assert_eq!(host.holder("n").unwrap().pid, second.pid());
    second.kill();
    assert_eq!(host.holder("n"), None);
    assert!(matches!(host.try_lock("n", &holder()), Ok(LockAttempt::Locked(_))));
}

#[test]
fn r3_processes_with_one_lock_never_do_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("counter"), "0").unwrap();
    let others: Vec<_> = (0..4).map(|_| Other::does("count", folder.path())).collect();
    for other in others {
        other.ends();
    }
    assert_eq!(fs::read_to_string(folder.path().join("counter")).unwrap(), (4 * TIMES).to_string());
}

#[test]
fn r5_starts_of_several_processes_lie_apart() {
    let folder = tempfile::tempdir().unwrap();
    let others: Vec<_> = (0..3).map(|_| Other::does("start", folder.path())).collect();
    let said = others.into_iter().flat_map(Other::ends);
    let mut starts: Vec<u64> = said.map(|word| word.parse().unwrap()).collect();
    starts.sort_unstable();
    assert_eq!(starts.len(), 3 * TIMES);
    for pair in starts.windows(2) {
        assert!(pair[1] - pair[0] >= DELAY, "{starts:?}");
    }
}

#[test]
fn r3_of_several_commits_on_one_version_one_counts_and_the_others_begin_again() {
    let folder = tempfile::tempdir().unwrap();
    let others: Vec<_> = (0..4).map(|_| Other::does("commit", folder.path())).collect();
    for other in others {
        other.ends();
    }
    assert_eq!(Host::of_runs(folder.path()).version("k").unwrap(), 4 * TIMES as u64);
}

#[test]
fn f79_f81_killed_at_any_instant_nothing_shared_is_torn_or_lost() {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::of_runs(folder.path());
    let mut known = 0;
    for round in 1..=20 {
        let mut other = Other::does("everything", folder.path());
        // not in step with what it does: it goes on while the last word is read
        for _ in 0..round {
            known = other.says().parse().unwrap();
        }
        other.kill();
        let version = host.version("k").unwrap();
        assert!(version >= known, "{version} {known}");
        // what it did without being able to say so is known by its name
        assert_eq!(host.commit("k", version, &format!("round {round}")).unwrap(), CommitOutcome::Committed);
        assert_eq!(host.commit("k", version, &format!("round {round}")).unwrap(), CommitOutcome::Committed);
        assert_eq!(
            host.look_up("s", &key(), "a", 1, None),
            CacheAnswer::Hit { result: result(), from: written() }
        );
        assert_eq!(host.turn("d", 0, now).unwrap(), DelayTurn::Now);
        assert!(matches!(host.try_lock("n", &holder()), Ok(LockAttempt::Locked(_))));
    }
    // left by those who were killed in the middle of a write
    host.invalidate(None, "").unwrap();
    let miss = CacheAnswer::Miss(Miss::Absent { changed: Vec::new() });
    assert_eq!(host.look_up("s", &key(), "a", 1, None), miss);
    assert_eq!(host.kept(None).unwrap(), []);
}
