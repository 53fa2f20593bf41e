//! The Docker launcher against a scripted Engine: lost answers, unknown words and statuses, broken connections.
#![cfg(feature = "docker")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod scripted_engine;

use certificates::Certificates;
use pop_contract::{Blame, Exit, Failure};
use pop_launchers::{
    DockerLauncher, LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher, Program, Setting,
    StdoutUse, label,
};
use pop_registry::{HostPath, PodConfig};
use scripted_engine::{Answer, Script, Scripted, ScriptedEngine, frame};
use serde_json::json;
use std::sync::Arc;
use tokio::sync::mpsc;

const ID: LaunchId = LaunchId(7);

fn order(captured: StdoutUse) -> LaunchOrder {
    let program = Program { argv: vec!["a".to_owned()], image: Some("i:1".to_owned()), ..Program::default() };
    let pending = Some(std::time::Duration::from_secs(5));
    LaunchOrder { name: "r-a-1".to_owned(), program, captured, pending, ..LaunchOrder::default() }
}

/// Carries out an order with these variables; returns the reported lines and the end.
async fn carry_out(variables: &[(&str, &str)], order: LaunchOrder) -> (Vec<String>, LaunchEnd) {
    let surroundings = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
    let launcher =
        DockerLauncher::new(Setting { surroundings, folder: std::env::temp_dir(), ..Setting::default() });
    let (sender, mut receiver) = mpsc::channel(64);
    launcher.launch(ID, order, &sender);
    let mut lines = Vec::new();
    loop {
        match receiver.recv().await {
            Some(LaunchUpdate { event: LaunchEvent::Ended(ended), .. }) => {
                launcher.release(ID);
                launcher.close().await;
                return (lines, *ended);
            }
            Some(LaunchUpdate { event: LaunchEvent::Lines(said), .. }) => {
                lines.extend(said.into_iter().map(|line| line.text));
            }
            Some(_) => {}
            None => unreachable!("no end"),
        }
    }
}

async fn end(engine: &ScriptedEngine, order: LaunchOrder) -> LaunchEnd {
    carry_out(&[("DOCKER_HOST", &engine.host())], order).await.1
}

/// The exit of a script's container.
async fn exit(script: Script) -> Result<Exit, Box<Failure>> {
    end(&ScriptedEngine::new(script), order(StdoutUse::Nothing)).await.exit
}

/// The code and blame of a failure.
fn told(exit: &Result<Exit, Box<Failure>>) -> (&str, Blame) {
    let failure = exit.as_ref().unwrap_err();
    (failure.code.as_str(), failure.blame)
}

fn instead(method: &'static str, path: &'static str, number: Option<usize>, answer: Answer) -> Scripted {
    Scripted { request: (method, path), number, answer }
}

#[tokio::test]
async fn fr_e1_init_is_requested_from_every_engine() {
    let engine = ScriptedEngine::new(Script {
        is_podman: true,
        info: json!({"InitBinary": "", "NCPU": 2}),
        ..Script::default()
    });
    assert_eq!(end(&engine, order(StdoutUse::Nothing)).await.exit, Ok(Exit::Code(0)));
    assert_eq!(engine.seen(("post", "/containers/create"))[0]["HostConfig"]["Init"], true);
}

#[tokio::test]
async fn fr_e1_engine_without_init_runs_the_program_anyway() {
    let dockerd = "exec: \"docker-init\": executable file not found in $PATH";
    let podman = "container-init binary not found on the host: stat /usr/libexec/podman/catatonit: no such file or directory";
    for (path, message) in [("/start", dockerd), ("/containers/create", podman)] {
        let refused = Answer::Instead(500, json!({"message": message}));
        let engine = ScriptedEngine::new(Script {
            answers: vec![instead("post", path, Some(0), refused)],
            ..Script::default()
        });
        assert_eq!(end(&engine, order(StdoutUse::Nothing)).await.exit, Ok(Exit::Code(0)), "{message}");
        let created = engine.seen(("post", "/containers/create"));
        assert_eq!(created[1]["HostConfig"]["Init"], json!(null), "{created:?}");
        assert_eq!(engine.starts(), 1);
    }
}

#[tokio::test]
async fn fr_e2_missing_image_is_pulled_with_any_engine_wording() {
    let engine = ScriptedEngine::new(Script { is_image_missing: true, ..Script::default() });
    assert_eq!(end(&engine, order(StdoutUse::Nothing)).await.exit, Ok(Exit::Code(0)));
    assert_eq!(engine.seen(("post", "fromimage=i%3a1")).len(), 1);
}

#[tokio::test]
async fn fr_e3_lost_answer_to_create_loses_no_container() {
    for is_podman in [false, true] {
        let engine = ScriptedEngine::new(Script {
            is_podman,
            answers: vec![instead("post", "/containers/create", Some(0), Answer::Lost)],
            ..Script::default()
        });
        assert_eq!(end(&engine, order(StdoutUse::Nothing)).await.exit, Ok(Exit::Code(0)));
        assert_eq!((engine.seen(("post", "/containers/create")).len(), engine.starts()), (2, 1));
    }
}

#[tokio::test]
async fn fr_e3_name_conflict_is_reported_for_any_status() {
    for status in [409, 500] {
        let others = json!({"Config": {"Labels": {label::LAUNCH: "another"}}});
        let answers = vec![
            instead(
                "post",
                "/containers/create",
                None,
                Answer::Instead(status, json!({"message": "in use"})),
            ),
            instead("get", "/json", None, Answer::Instead(200, others)),
        ];
        let exit = exit(Script { answers, ..Script::default() }).await;
        assert_eq!(told(&exit), ("name-taken", Blame::Platform));
    }
}

#[tokio::test]
async fn lost_answer_to_start_does_not_run_a_program_twice() {
    let engine = ScriptedEngine::new(Script {
        attached: frame(1, b"once\n"),
        log: Some(frame(1, b"once\n")),
        answers: vec![instead("post", "/start", Some(0), Answer::Lost)],
        ..Script::default()
    });
    let ended = end(&engine, order(StdoutUse::Whole)).await;
    assert_eq!((ended.exit, ended.stdout.as_slice()), (Ok(Exit::Code(0)), b"once\n".as_slice()));
    assert_eq!(engine.starts(), 1);
}

#[tokio::test]
async fn fr_e5_output_with_a_broken_connection_is_complete_or_lost() {
    let lines: [&[u8]; 4] = [b"ab\n", b"\xe9t\xe9\n", b"c\n", b"end"];
    let replaced = |line: &[u8]| String::from_utf8_lossy(line).into_owned().into_bytes();
    let frames = |change: &dyn Fn(&[u8]) -> Vec<u8>| -> Vec<u8> {
        lines.iter().flat_map(|line| frame(1, &change(line))).collect()
    };
    let printed = frames(&<[u8]>::to_vec);
    let mut whole = 0;
    for is_podman in [false, true] {
        let log = if is_podman { printed.clone() } else { frames(&replaced) };
        for captured in [StdoutUse::Lines, StdoutUse::Whole, StdoutUse::Nothing] {
            for cut in 0..=printed.len() {
                let attached = printed[..cut].to_vec();
                let engine = ScriptedEngine::new(Script {
                    is_podman,
                    attached,
                    log: Some(log.clone()),
                    ..Script::default()
                });
                let (told, ended) = carry_out(&[("DOCKER_HOST", &engine.host())], order(captured)).await;
                if ended.exit.is_err() {
                    assert_eq!(self::told(&ended.exit), ("lost", Blame::Platform), "{cut}");
                    assert!(!is_podman && captured != StdoutUse::Nothing, "{cut}");
                    continue;
                }
                whole += 1;
                match captured {
                    StdoutUse::Lines => assert_eq!(told, ["ab", "\u{fffd}t\u{fffd}", "c", "end"], "{cut}"),
                    StdoutUse::Whole => assert_eq!(ended.stdout, lines.concat(), "{cut}"),
                    _ => assert_eq!(ended.log_tail.len(), 4, "{cut}"),
                }
            }
        }
    }
    assert!(whole > 4 * printed.len(), "{whole}");
}

#[tokio::test]
async fn fr_e5_output_without_log_is_complete_unless_a_frame_is_cut() {
    let printed = frame(1, b"all of it\n");
    for (length, is_whole) in [(printed.len(), true), (printed.len() - 1, false)] {
        let attached = printed[..length].to_vec();
        let exit = exit(Script { attached, log: None, ..Script::default() }).await;
        assert_eq!(exit.is_ok(), is_whole, "{exit:?}");
        if !is_whole {
            assert_eq!(told(&exit), ("lost", Blame::Platform));
        }
    }
}

#[tokio::test]
async fn fr_e6_init_that_cannot_start_blames_the_handler() {
    for pid in 2..26 {
        for (line, code) in [
            (format!("[FATAL tini ({pid})] exec nothing failed: No such file or directory\n"), 127),
            (format!("[FATAL tini ({pid})] exec ./x failed: Exec format error\n"), 1),
            (format!("ERROR (catatonit:{pid}): failed to exec pid1: No such file or directory\n"), 1),
        ] {
            let attached = frame(2, line.as_bytes());
            let exit =
                exit(Script { attached: attached.clone(), log: Some(attached), code, ..Script::default() })
                    .await;
            assert_eq!(told(&exit), ("spawn", Blame::Handler), "{line}");
        }
    }
    let refused =
        json!({"message": "crun: executable file `nothing` not found in $PATH: No such file or directory"});
    let answers = vec![instead("post", "/start", None, Answer::Instead(500, refused))];
    assert_eq!(told(&exit(Script { answers, ..Script::default() }).await), ("spawn", Blame::Handler));
}

#[tokio::test]
async fn fr_e7_unknown_words_break_nothing() {
    for status in ["stopped", "a new word", ""] {
        let state = json!({"Status": status, "Health": {"Status": "a new word"}, "OOMKilled": "perhaps"});
        assert_eq!(exit(Script { state, ..Script::default() }).await, Ok(Exit::Code(0)), "{status}");
    }
    // a container left by an earlier process is swept
    let engine = ScriptedEngine::new(Script::default());
    let surroundings = vec![("DOCKER_HOST".into(), engine.host().into())];
    let run = Some("r".to_owned());
    let launcher =
        DockerLauncher::new(Setting { surroundings, run, folder: "/".into(), ..Setting::default() });
    launcher.reach().await.unwrap();
    launcher.close().await;
    assert_eq!(engine.seen(("delete", "/containers/leftover")).len(), 1);
}

#[tokio::test]
async fn invalid_wait_answer_is_never_a_success() {
    let removed = json!({"StatusCode": 0, "Error": {"Message": "container has already been removed"}});
    for answer in [removed, json!({"StatusCode": 0}), json!({"StatusCode": -1}), json!({})] {
        // the container is gone: displaced
        let wait = || instead("post", "/wait?condition=not-running", None, Answer::Done(200, answer.clone()));
        let exit_of_gone =
            exit(Script { is_removed: true, answers: vec![wait()], ..Script::default() }).await;
        assert_eq!(told(&exit_of_gone), ("displaced", Blame::Platform), "{answer}");
        // the container exists: its state has the status
        let exit = exit(Script { code: 3, answers: vec![wait()], ..Script::default() }).await;
        assert_eq!(exit, Ok(Exit::Code(3)), "{answer}");
    }
    // the wait is repeated after a lost answer
    let answers = vec![instead("post", "/wait", Some(0), Answer::Lost)];
    assert_eq!(exit(Script { code: 3, answers, ..Script::default() }).await, Ok(Exit::Code(3)));
}

#[tokio::test]
async fn fr_e8_e9_signal_blames_the_program_unless_engine_sent_it() {
    let own = exit(Script { code: 137, ..Script::default() }).await;
    assert_eq!(told(&own), ("signal", Blame::Handler));
    let failure = own.unwrap_err();
    assert_eq!(failure.message, "ended with signal SIGKILL, perhaps out of memory");
    assert_eq!(failure.exit, Some(Exit::Signal(9)));
    assert_eq!(exit(Script { code: 143, ..Script::default() }).await, Ok(Exit::Signal(15)));
    for (action, code) in [("kill", 137), ("stop", 143)] {
        let events = vec![json!({"Action": "start"}), json!({"Action": action}), json!({"Action": "die"})];
        let waits = instead("post", "condition=removed", None, Answer::Instead(500, json!({})));
        let exit = exit(Script { code, events, answers: vec![waits], ..Script::default() }).await;
        assert_eq!(told(&exit), ("stopped-outside", Blame::Platform), "{action}");
    }
    // out of memory shows in the state, or only as an event
    let events = vec![json!({"Action": "oom"}), json!({"Action": "die"})];
    for (state, events) in [(json!({"OOMKilled": true}), vec![]), (json!({}), events)] {
        let oom = exit(Script { code: 137, state, events, ..Script::default() }).await;
        assert_eq!(told(&oom), ("oom", Blame::Platform));
    }
}

#[tokio::test]
async fn fr_e10_missing_host_path_is_rejected_before_creation() {
    let engine = ScriptedEngine::new(Script::default());
    let missing = engine.folder.path().join("missing");
    let host_path = HostPath {
        path: missing.to_str().unwrap().to_owned(),
        mount_path: "/m".to_owned(),
        read_only: false,
    };
    let mut order = order(StdoutUse::Nothing);
    order.program.pod = Some(Arc::new(PodConfig { host_paths: vec![host_path], ..PodConfig::default() }));
    let exit = end(&engine, order).await.exit;
    assert_eq!(told(&exit), ("mount", Blame::Platform));
    assert!(exit.unwrap_err().message.contains(missing.to_str().unwrap()));
    assert!(engine.seen(("post", "/containers/create")).is_empty() && !missing.exists());
}

#[tokio::test]
async fn fr_h6_engine_at_a_port_is_reached() {
    let (_engine, port) = ScriptedEngine::at_port(Script::default(), None);
    for host in
        [format!("tcp://127.0.0.1:{port}"), format!("http://localhost:{port}"), format!("127.0.0.1:{port}")]
    {
        let ended = carry_out(&[("DOCKER_HOST", &host)], order(StdoutUse::Nothing)).await.1;
        assert_eq!(ended.exit, Ok(Exit::Code(0)), "{host}");
    }
}

#[tokio::test]
async fn fr_h6_tls_sends_a_certificate_and_trusts_one_authority() {
    let certificates = Certificates::make();
    let (_engine, port) = ScriptedEngine::at_port(Script::default(), Some(certificates.server()));
    let folder = |name: &str| certificates.folder.path().join(name).to_str().unwrap().to_owned();
    let (host, secure) = (format!("tcp://127.0.0.1:{port}"), format!("https://127.0.0.1:{port}"));
    for (variables, words) in [
        (
            vec![("DOCKER_HOST", host.as_str()), ("DOCKER_TLS_VERIFY", "1"), ("DOCKER_CERT_PATH", "client")],
            "",
        ),
        (vec![("DOCKER_HOST", &secure), ("DOCKER_CERT_PATH", "client")], ""),
        (vec![("DOCKER_HOST", &secure), ("DOCKER_CONFIG", "client")], ""),
        // without a certificate, with another authority, without any, without TLS
        (vec![("DOCKER_HOST", &secure), ("DOCKER_CERT_PATH", "nobody")], "cannot be reached"),
        (
            vec![("DOCKER_HOST", &secure), ("DOCKER_CERT_PATH", "other")],
            "cannot be reached: invalid peer certificate",
        ),
        (vec![("DOCKER_HOST", &secure), ("DOCKER_CERT_PATH", "none")], "ca.pem"),
        (vec![("DOCKER_HOST", &host)], "cannot be reached"),
    ] {
        let variables: Vec<(&str, String)> = variables
            .into_iter()
            .map(|(name, value)| {
                (name, if name.starts_with("DOCKER_C") { folder(value) } else { value.to_owned() })
            })
            .collect();
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let exit = carry_out(&variables, order(StdoutUse::Nothing)).await.1.exit;
        match exit {
            Ok(exit) => assert_eq!((exit, words), (Exit::Code(0), ""), "{variables:?}"),
            Err(failure) => {
                assert!(
                    !words.is_empty() && failure.message.contains(words),
                    "{variables:?}: {}",
                    failure.message
                );
            }
        }
    }
}
