//! A private Docker Engine that tests kill and stop while agendas run on it.

use crate::bench::{Bench, Call};
use crate::docker::{self, IMAGE};
use crate::running::Running;
use rustix::process::Signal;
use serde_json::json;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// An Engine in a folder, without a network.
struct Engine {
    folder: TempDir,
    options: &'static [&'static str],
    daemon: Option<Running>,
}

impl Engine {
    /// One that answers and has the image.
    fn new(options: &'static [&'static str]) -> Self {
        assert!(rustix::process::getuid().is_root(), "only root starts an Engine");
        docker::engine();
        let mut engine = Self { folder: tempfile::tempdir().unwrap(), options, daemon: None };
        engine.start();
        docker::give(&engine.address(), IMAGE);
        engine
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn address(&self) -> String {
        format!("unix://{}", self.path("socket"))
    }

    /// Starts it, and waits until it answers.
    fn start(&mut self) {
        // in a network of its own: without a bridge it would take away that of the Engine that others use
        let mut daemon = Command::new("unshare");
        daemon
            .args(["--net", "dockerd", "--host", &self.address(), "--bridge=none", "--iptables=false"])
            .args(self.options);
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            daemon.args([option, &self.path(name)]);
        }
        let child = daemon.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut daemon = Running::of(child, self.folder.path().to_owned());
        daemon.says("API listen on");
        self.daemon = Some(daemon);
    }

    /// Kills it as a crash does.
    fn crash(&mut self) {
        self.daemon.take().unwrap().crash();
        // the kernel ends its containerd with it; until it is reaped, the next Engine considers it alive
        std::fs::remove_file(self.path("exec/containerd/containerd.pid")).unwrap();
    }

    fn signal(&self, signal: Signal) {
        self.daemon.as_ref().unwrap().signal(signal);
    }

    /// A call of `pop` that runs on it.
    fn call<'b>(&self, bench: &'b Bench, arguments: &str) -> Call<'b> {
        bench.call(arguments).variable("DOCKER_HOST", &self.address())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // what it keeps mounted goes with it only when it ends by itself
        if let Some(daemon) = self.daemon.take() {
            daemon.signal(Signal::CONT);
            daemon.signal(Signal::TERM);
            daemon.ended();
        }
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let folder = self.path("");
        for mount in mounts.lines().filter_map(|line| line.split(' ').nth(1)) {
            if mount.starts_with(&folder) {
                Command::new("umount").args(["--lazy", mount]).status().ok();
            }
        }
    }
}

fn agenda(line: &str, params: &serde_json::Value) -> Bench {
    let bench = Bench::new();
    let payload = json!({"command": ["sh", "-c", line], "image": IMAGE});
    let operation = json!({"name": "a", "type": "exec", "params": params, "payload": payload});
    bench.write("a.json", json!({"operations": [operation]}).to_string());
    bench
}

#[test]
fn f50_containers_lost_with_a_crashed_engine_run_again() {
    let mut engine = Engine::new(&[]);
    let bench = agenda("echo ran >> ran; test $(wc -l < ran) -gt 1 || exec sleep 1000", &json!({}));
    let mut running = engine.call(&bench, "run a.json --on docker --output json").spawn();
    bench.wait_for("ran", 1);
    // by now the Engine itself knows that it runs
    running.prints("AttemptRunning");
    engine.crash();
    engine.start();
    let ended = running.ends(0);
    assert!(ended.stdout.contains("displaced"), "{}", ended.stdout);
    assert_eq!((bench.read("ran").as_str(), &bench.operation("a")["attempts"]), ("ran\nran\n", &json!(2)));
}

#[test]
fn f50_containers_that_outlive_their_engine_are_followed() {
    let mut engine = Engine::new(&["--live-restore"]);
    let bench = agenda(
        "echo ran >> ran; echo before; while ! test -e go; do sleep 0.05; done; echo after",
        &json!({}),
    );
    let mut running = engine.call(&bench, "run a.json --on docker --output json").spawn();
    bench.wait_for("ran", 1);
    // by now the Engine itself knows that it runs
    running.prints("AttemptRunning");
    engine.crash();
    engine.start();
    bench.write("go", "");
    let ended = running.ends(0);
    assert_eq!((bench.read("ran").as_str(), &bench.operation("a")["attempts"]), ("ran\n", &json!(1)));
    assert!(!ended.stdout.contains("displaced"), "{}", ended.stdout);
    let log = docker::log(&bench, "a");
    assert!(log.contains("after"), "{log}");
}

#[test]
#[ignore = "somebody else who lets stopped processes go on, as a debugger or a scheduler does, breaks it"]
fn f51_frozen_engine_blocks_neither_timeouts_nor_ctrl_c() {
    let engine = Engine::new(&[]);
    let bench = agenda("echo ran >> ran; exec sleep 1000", &json!({"timeoutMs": 5000}));
    let mut running = engine.call(&bench, "run a.json --on docker").spawn();
    bench.wait_for("ran", 1);
    engine.signal(Signal::STOP);
    running.says("stop      a: it ran longer than its timeoutMs");
    running.signal(Signal::INT);
    running.says("ending: interrupted");
    running.signal(Signal::INT);
    running.says("ending: running operations are killed");
    running.signal(Signal::INT);
    running.ends(130);
}

#[expect(clippy::print_stdout, reason = "the test runner shows why a part was left out")]
/// Address of a private Podman; `None`, with a message, if Podman cannot run here.
fn podman(kind: &str) -> Option<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/podman");
    let started = Command::new(script).arg(kind).output().unwrap();
    if !started.status.success() {
        println!("no {kind} Podman here: {}", String::from_utf8_lossy(&started.stderr));
        return None;
    }
    let host = String::from_utf8(started.stdout).unwrap().trim().to_owned();
    docker::engine();
    docker::give(&host, IMAGE);
    Some(host)
}

#[test]
fn fr_e4_rootless_podman_files_belong_to_the_caller() {
    const USER: &str = "pop-rootless";
    let Some(host) = podman("rootless") else { return };
    let bench = agenda("cat own payload && mkdir d && echo made > d/made && id -u", &json!({}));
    bench.write("own", "own\n");
    bench.write("payload", "payload\n");
    std::fs::copy(env!("CARGO_BIN_EXE_pop"), bench.path("pop")).unwrap();
    let run = |program: &str, arguments: &[&str]| Command::new(program).args(arguments).output().unwrap();
    let folder = bench.path("").to_str().unwrap().to_owned();
    assert!(run("chmod", &["600", bench.path("own").to_str().unwrap()]).status.success());
    assert!(run("chown", &["-R", &format!("{USER}:{USER}"), &folder]).status.success());
    let ended = Command::new("setpriv")
        .args(["--reuid", USER, "--regid", USER, "--init-groups"])
        .args(["./pop", "run", "a.json", "--on", "docker"])
        .current_dir(&folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", &folder)
        .env("DOCKER_HOST", host)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    let user = std::fs::metadata(bench.path("a.json")).unwrap().uid();
    assert_eq!(docker::log(&bench, "a"), format!("own\npayload\n{user}\n"));
    assert_eq!(std::fs::metadata(bench.path("d/made")).unwrap().uid(), user);
}

#[test]
fn engine_without_an_init_still_runs_programs() {
    let engine = Engine::new(&["--init-path=/nowhere/docker-init"]);
    let bench = agenda("echo ran", &json!({}));
    engine.call(&bench, "run a.json --on docker").ends(0);
    assert_eq!(docker::log(&bench, "a"), "ran\n");
}

#[test]
fn reap_deletes_ended_containers_of_pop_and_no_others() {
    let engine = Engine::new(&[]);
    let bench = Bench::new();
    let docker = |arguments: &[&str]| {
        let ended =
            Command::new("docker").args(["--host", &engine.address()]).args(arguments).output().unwrap();
        assert!(ended.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    };
    let network = ["--network", "none"];
    for (verb, name, label, command) in [
        ("run", "foreign", "app=x", "true"),
        ("run", "good", "pop.launchId=1", "true"),
        ("create", "unused", "pop.launchId=3", "true"),
        ("create", "running", "pop.launchId=4", "yes"),
        ("create", "bad", "pop.launchId=2", "false"),
    ] {
        docker(&[&[verb, "--name", name, "--label", label], &network[..], &[IMAGE, command]].concat());
    }
    docker(&["start", "running", "bad"]);
    docker(&["wait", "bad"]);
    let reap = |options: &str| {
        let mut lines: Vec<String> = engine
            .call(&bench, &format!("reap --on docker {options}"))
            .ends(0)
            .stdout
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(reap("--age 60"), [""; 0]);
    let would =
        ["would delete container bad", "would delete container good", "would delete container unused"];
    assert_eq!(reap("--age 0 --dry-run"), would);
    // at least one batch is deleted, also without time
    assert_eq!(reap("--age 0 --batch 1 --max-minutes 0").len(), 1);
    assert_eq!(reap("--age 0").len(), 2);
    let left = docker(&["ps", "--all", "--format", "{{.Names}}"]);
    let mut left: Vec<&str> = left.lines().collect();
    left.sort_unstable();
    assert_eq!(left, ["foreign", "running"]);
    let away = bench.call("reap --on docker").variable("DOCKER_HOST", "unix:///nowhere").ends(14);
    assert!(away.stderr.contains("DOCKER_HOST"), "{}", away.stderr);
}
