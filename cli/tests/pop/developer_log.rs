//! `POP_LOG`: the developer log is off by default, and shows events and effects of the driver.

use crate::bench::Bench;

#[test]
fn pop_log_shows_events_and_actions_and_is_off_by_default() {
    let bench = Bench::with_agenda(
        r#"{"operations": [{"name": "a", "type": "exec", "payload": {"command": ["true"]}}]}"#,
    );
    assert!(!bench.pop(0, "run a.yaml").stderr.contains("AttemptStarted"));
    let logged = bench.call("run a.yaml").variable("POP_LOG", "trace").ends(0).stderr;
    for words in ["input=Begun", "event=AttemptStarted", "action=Launch", "event=RunEnded"] {
        assert!(logged.contains(words), "{words} in {logged}");
    }
    let ignored = bench.call("run a.yaml").variable("POP_LOG", "loud").ends(0).stderr;
    assert!(
        ignored.starts_with(
            "warning: POP_LOG is ignored: `loud` is not a level (error, warn, info, debug, trace)"
        ),
        "{ignored}"
    );
}
