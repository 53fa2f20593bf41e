//! Agendas as containers of a real Docker Engine: the same results as processes, and failures.

use crate::bench::{Bench, ENGINE};
use crate::forwarder::Forwarder;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// An image with a shell and small programs.
pub(crate) const IMAGE: &str = "pop-tools:0.1.0";

/// Makes sure, once, that an Engine answers and has the image.
pub(crate) fn engine() {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| {
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        let run = |script: &str, arguments: &[&str]| {
            assert!(
                Command::new(deploy.join(script)).args(arguments).status().unwrap().success(),
                "{script}"
            );
        };
        run("dockerd", &[]);
        if !Command::new("docker").args(["image", "inspect", IMAGE]).output().unwrap().status.success() {
            run("images", &["--only", "pop-tools"]);
        }
        if let Ok(host) = std::env::var(ENGINE) {
            give(&host, IMAGE);
        }
    });
}

/// Gives an Engine an image that the machine's dockerd has.
pub(crate) fn give(host: &str, image: &str) {
    let mut saved = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().unwrap();
    let mut load = Command::new("docker");
    load.args(["--host", host, "load", "--quiet"]).stdin(saved.stdout.take().unwrap());
    assert!(load.stdout(Stdio::null()).status().unwrap().success() && saved.wait().unwrap().success());
}

/// The socket of the Engine that tests are run against.
pub(crate) fn socket() -> String {
    let host = std::env::var(ENGINE).unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    host.strip_prefix("unix://").unwrap().to_owned()
}

/// Whether that Engine is Podman.
fn is_podman() -> bool {
    let version =
        Command::new("curl").args(["-s", "-i", "--unix-socket", &socket(), "http://engine/_ping"]).output();
    String::from_utf8_lossy(&version.unwrap().stdout).to_lowercase().contains("libpod-api-version")
}

/// A call of the Engine's own client.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let host = format!("unix://{}", socket());
    let ended = Command::new("docker").args(["--host", &host]).args(arguments).output().unwrap();
    assert!(ended.status.success(), "docker {arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    String::from_utf8(ended.stdout).unwrap().trim().to_owned()
}

/// The names of the containers of the newest run of a bench.
pub(crate) fn containers(bench: &Bench) -> Vec<String> {
    let run = bench.run_folder().file_name().unwrap().to_str().unwrap().to_owned();
    let filter = format!("label=pop.runId={run}");
    let names = docker(&["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"]);
    names.lines().map(str::to_owned).collect()
}

/// The log of an operation of the newest run.
pub(crate) fn log(bench: &Bench, operation: &str) -> String {
    let printed = bench.pop(0, &format!("logs last {operation}")).stdout;
    printed.trim_start_matches(&format!("==> {operation} <==\n")).to_owned()
}

fn agenda(operations: &Value) -> Bench {
    engine();
    let bench = Bench::new();
    bench.write("a.json", json!({ "operations": operations }).to_string());
    bench
}

/// An operation that has a shell do something.
pub(crate) fn shell(name: &str, line: &str) -> Value {
    json!({"name": name, "type": "exec", "payload": {"command": ["sh", "-c", line], "image": IMAGE}})
}

/// Whether the processes of the Engine are in the process namespace of the tests.
pub(crate) fn sees_engine() -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    let _guard = runtime.enter();
    let engine = std::os::unix::net::UnixStream::connect(socket()).unwrap();
    engine.set_nonblocking(true).unwrap();
    let engine = tokio::net::UnixStream::from_std(engine).unwrap();
    engine.peer_cred().unwrap().pid().is_some_and(|pid| pid != 0)
}

#[test]
fn d1_containers_give_the_same_results_as_processes() {
    let bench = agenda(&json!([
        {"name": "text", "type": "exec", "payload": {"command": ["sh", "-c", "printf 'a\\nb'; echo noise >&2"], "image": IMAGE, "capture": "text"}},
        {"name": "json", "type": "exec", "payload": {"command": ["echo", "{\"w\": 3}"], "image": IMAGE, "capture": "json"}},
        shell("reports", "echo 'pop.report.progress {\"percentComplete\": 40}'; echo 'pop.report.payload {\"x\": @<json.out::/stdout/w>}'"),
        shell("writes", "echo written > made; cat made; pwd > where"),
        shell("fails", "echo why; exit 7"),
        shell("crashes", "kill -SEGV $$"),
    ]));
    let told = |on: &str| {
        bench.call("run a.json -k --on").argument(on).ends(10);
        let shown = bench.shown();
        let operations = shown["operations"].as_array().unwrap();
        let fields = ["name", "outcome", "attempts", "result", "diagnosticEvents"];
        let kept = |operation: &Value| fields.map(|field| operation[field].clone());
        (operations.iter().map(kept).collect::<Vec<_>>(), bench.read("where"))
    };
    assert_eq!(told("local"), told("docker"));
    assert_eq!(containers(&bench), [""; 0]);
}

#[test]
fn usage_of_containers_is_shown_like_that_of_processes() {
    // on a busy machine the Engine may remove a cgroup before its counters are read
    let alike =
        |name: &str, line: &str| (1..=3).map(|nth| shell(&format!("{name}{nth}"), line)).collect::<Vec<_>>();
    let operations = [
        alike("computes", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"),
        alike("holds", "dd if=/dev/zero of=/dev/null bs=48M count=4"),
        alike("fails", "exit 3"),
    ];
    let bench = agenda(&operations.concat().into());
    bench.pop(10, "run a.json -k --on docker --run-id r1");
    let shown = bench.shown();
    let most = |name: &str, field: &str| {
        let alike = shown["operations"].as_array().unwrap().iter();
        let alike = alike.filter(|operation| operation["name"].as_str().unwrap().starts_with(name));
        alike.filter_map(|operation| operation["usage"][field].as_u64()).max()
    };
    if is_podman() {
        // its figures could be those of the start alone
        assert_eq!((most("computes", "userUs"), most("holds", "memKib")), (None, None), "{shown:#}");
        return;
    }
    if !sees_engine() {
        // processes of an outer namespace are hidden: a figure is that of the end or missing
        let all = shown["operations"].as_array().unwrap().iter();
        let mut held = all.filter(|operation| operation["name"].as_str().unwrap().starts_with("holds"));
        let is_whole =
            |operation: &Value| operation["usage"]["memKib"].as_u64().is_none_or(|kib| kib >= 48 * 1024);
        assert!(held.all(is_whole), "{shown:#}");
        return;
    }
    assert!(most("computes", "userUs") > Some(20_000), "{shown:#}");
    let held = most("holds", "memKib");
    assert!(held >= Some(48 * 1024), "{shown:#}");
    assert!(most("fails", "memKib").is_some_and(|kib| kib < 48 * 1024), "{shown:#}");
    let text = bench.pop(0, "show r1").stdout;
    assert!(
        text.lines().any(|line| line.starts_with("used ") && line.contains("most memory: holds")),
        "{text}"
    );
    let report = bench.pop(0, "report r1 --format json").json();
    let peak = held.map(|kib| kib * 1024).unwrap();
    assert_eq!(report["usage"]["peakMemoryBytes"], peak);
    assert!(report["usage"]["cpuMs"].as_u64() > Some(20), "{report:#}");
    let rows = bench.pop(0, "report r1 --format csv").stdout;
    let has_peak = |row: &str| row.starts_with("r1,holds") && row.contains(&format!(",{peak},"));
    assert!(rows.lines().any(has_peak), "{rows}");
}

#[test]
fn fr_d2_files_of_containers_are_verified_in_the_mounted_folder() {
    let mut made = shell("made", "");
    made["params"] = json!({"useCache": true, "cacheFiles": true, "reads": "../in.txt", "writes": "out.txt"});
    made["payload"]["workingDirectory"] = json!("sub");
    made["payload"]["command"] = json!(["sh", "-c", "echo ran >> ../ran; cat ../in.txt > out.txt"]);
    let bench = agenda(&json!([made]));
    bench.write("in.txt", "one\n");
    bench.write("sub/there", "");
    bench.pop(0, "run a.json --on docker");
    std::fs::remove_file(bench.path("sub/out.txt")).unwrap();
    bench.pop(0, "run a.json --on docker");
    assert_eq!(bench.operation("made")["outcome"], "fromCache");
    assert_eq!((bench.read("ran"), bench.read("sub/out.txt")), ("ran\n".to_owned(), "one\n".to_owned()));
    bench.write("in.txt", "two\n");
    bench.pop(0, "run a.json --on docker");
    assert_eq!((bench.read("ran"), bench.read("sub/out.txt")), ("ran\nran\n".to_owned(), "two\n".to_owned()));
}

#[test]
fn f1_resume_after_kill_takes_over_five_containers() {
    let five: Vec<Value> = (0..5)
        .map(|n| shell(&format!("c{n}"), &format!("echo start >> started; echo c{n} before; while ! test -e go; do sleep 0.05; done; echo c{n} after")))
        .collect();
    let bench = agenda(&json!(five));
    let running = bench.call("run a.json -j 5 --on docker").spawn();
    bench.wait_for("started", 5);
    running.crash();
    let before = containers(&bench);
    assert_eq!(before.len(), 5);
    let resuming = bench.call("resume last -j 5").spawn();
    bench.write("go", "");
    let ended = resuming.ends(0);
    assert!(ended.stderr.contains("5 succeeded"), "{}", ended.stderr);
    // an executor that took them over does not know how long they ran
    assert!(ended.stderr.contains("succeeded c0\n"), "{}", ended.stderr);
    assert_eq!(bench.sorted_lines("started").len(), 5);
    for n in 0..5 {
        let name = format!("c{n}");
        assert_eq!(bench.operation(&name)["attempts"], 1);
        // its log is complete, without duplicate lines
        assert_eq!(log(&bench, &name), format!("{name} before\n{name} after\n"));
    }
    assert_eq!(containers(&bench), [""; 0]);
}

#[test]
fn f54_created_container_is_started_once_after_resume() {
    let bench = agenda(&json!([shell("a", "echo ran >> ran; test -e go || sleep 1000")]));
    let running = bench.call("run a.json --on docker").spawn();
    bench.wait_for("ran", 1);
    running.crash();
    // as an executor leaves it that dies between the two requests
    let name = containers(&bench).remove(0);
    let image = docker(&["inspect", "-f", "{{json .Config.Labels}}", &name]);
    docker(&["rm", "-f", &name]);
    let labels: std::collections::BTreeMap<String, String> = serde_json::from_str(&image).unwrap();
    let labels: Vec<String> =
        labels.into_iter().map(|(key, value)| format!("--label={key}={value}")).collect();
    let folder = bench.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let mount = format!("{folder}:{folder}");
    let mut create = vec!["create", "--name", &name, "-v", &mount, "-w", &folder, "-u", "0:0"];
    create.extend(labels.iter().map(String::as_str));
    create.extend([IMAGE, "sh", "-c", "echo adopted >> ran"]);
    docker(&create);
    let ended = bench.pop(0, "resume last");
    assert!(ended.stderr.contains("1 succeeded"), "{}", ended.stderr);
    assert_eq!(bench.read("ran"), "ran\nadopted\n");
    assert_eq!(bench.operation("a")["attempts"], 1);
}

#[test]
fn f53_foreign_container_with_our_name_is_left_alone() {
    let bench = agenda(&json!([shell("a", "echo ran >> ran; sleep 1000")]));
    let running = bench.call("run a.json --on docker").spawn();
    bench.wait_for("ran", 1);
    running.crash();
    let name = containers(&bench).remove(0);
    docker(&["rm", "-f", &name]);
    docker(&["create", "--name", &name, IMAGE, "true"]);
    let ended = bench.pop(10, "resume last");
    assert!(
        ended.stderr.contains(&format!("[name-taken] another container has the name `{name}`")),
        "{}",
        ended.stderr
    );
    // it is still there
    docker(&["rm", &name]);
}

#[test]
fn f52_f56_each_failure_has_its_reason() {
    let bench = agenda(&json!([
        {"name": "oom", "type": "exec", "payload": {"command": ["sh", "-c", "x=a; while :; do x=$x$x; done"], "image": IMAGE, "memory": "16Mi"}},
        {"name": "program", "type": "exec", "payload": {"command": ["no-such-program"], "image": IMAGE}},
        {"name": "name", "type": "exec", "payload": {"command": ["true"], "image": "Not A Name"}},
        {"name": "image", "type": "exec", "payload": {"command": ["true"], "image": "localhost:1/none:1"}, "params": {"pendingTimeoutMs": 700}},
        {"name": "late", "type": "exec", "payload": {"command": ["sleep", "100"], "image": IMAGE}, "params": {"timeoutMs": 1500}},
    ]));
    let ended = bench.pop(10, "run a.json -k -j 5 --on docker");
    let says = |words: &str| assert!(ended.stderr.contains(words), "{words}\n{}", ended.stderr);
    if is_podman() {
        // fr_e9: version 4 does not report out-of-memory kills
        says("ended with signal SIGKILL, perhaps out of memory [signal, blame: handler]");
    } else {
        says("[oom, blame: platform]");
        says("its container's memory ran out (OOMKilled)");
    }
    says("its program could not be started: ");
    says(": No such file or directory [spawn, blame: handler]");
    says("its image name is invalid");
    // Podman tries a registry three times before it answers
    says(if is_podman() {
        "pendingTimeoutMs of 700 [pending"
    } else {
        "image `localhost:1/none:1` could not be pulled"
    });
    says("ran longer than its timeoutMs of 1500 [timeout, blame: handler]");
    assert_eq!(containers(&bench), [""; 0]);
}

#[test]
fn f56_container_stopped_from_outside_says_so() {
    let bench = agenda(&json!([shell("a", "echo ran >> ran; exec sleep 1000")]));
    let running = bench.call("run a.json --on docker").spawn();
    bench.wait_for("ran", 1);
    // Podman does not report every stop
    let order: &[&str] = if is_podman() { &["kill"] } else { &["stop", "-t", "1"] };
    docker(&[order, &[&containers(&bench)[0]]].concat());
    let ended = running.ends(10);
    assert!(
        ended.stderr.contains("which pop did not send: another client stopped its container"),
        "{}",
        ended.stderr
    );
}

#[test]
fn f50_removed_container_is_launched_again_without_failure() {
    let bench = agenda(&json!([shell("a", "echo ran >> ran; test $(wc -l < ran) -gt 1 || exec sleep 1000")]));
    let running = bench.call("run a.json --on docker").spawn();
    bench.wait_for("ran", 1);
    docker(&["rm", "-f", &containers(&bench)[0]]);
    let ended = running.ends(0);
    assert!(ended.stderr.contains("displaced a:"), "{}", ended.stderr);
    assert_eq!((bench.sorted_lines("ran").len(), &bench.operation("a")["attempts"]), (2, &json!(2)));
    assert!(bench.pop(0, "explain last a").stdout.contains("this does not count as a failure"));
}

#[test]
fn f76_ctrl_c_stops_containers_and_removes_them() {
    let bench = agenda(&json!([shell(
        "a",
        "trap 'echo asked; exit 9' TERM; echo ran >> ran; while :; do sleep 0.05; done"
    )]));
    let running = bench.call("run a.json --on docker").spawn();
    bench.wait_for("ran", 1);
    running.signal(Signal::INT);
    running.ends(130);
    assert_eq!(log(&bench, "a"), "asked\n");
    assert_eq!(containers(&bench), [""; 0]);
}

#[test]
fn f58_files_on_the_workspace_belong_to_the_caller() {
    use std::os::unix::fs::MetadataExt as _;
    let bench = agenda(&json!([shell("a", "mkdir -p d; echo x > d/made; id -u")]));
    bench.pop(0, "run a.json --on docker");
    let made = std::fs::metadata(bench.path("d/made")).unwrap();
    assert_eq!(
        (made.uid(), made.gid()),
        (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
    );
}

#[test]
fn f55_output_is_read_with_log_driver_none() {
    // the Engine's configuration decides how much of a log it stores; pop must read all of that
    let bench = agenda(&json!([shell("a", "for n in $(seq 2000); do echo line $n; done")]));
    bench.pop(0, "run a.json --on docker");
    let log = log(&bench, "a");
    assert_eq!(log.lines().count(), 2_000);
    assert!(log.lines().enumerate().all(|(at, line)| line == format!("line {}", at + 1)));
}

#[test]
fn payload_of_megabytes_reaches_a_container_as_a_file() {
    engine();
    let bench = Bench::new();
    let mut state = 1_u64;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'0' + ((state >> 40) % 75) as u8)
    };
    let noise: String = (0..2_000_000).map(|_| letter()).collect();
    let noise = noise.replace(['\\', '@'], "x");
    bench.write(
        "a.json",
        json!({"operations": [{"name": "big", "type": "big", "payload": {"noise": noise}}]}).to_string(),
    );
    let line = "test $POP_PAYLOAD_TYPE = file && wc -c < $POP_PAYLOAD_FILE";
    bench.write(
        "registry.json",
        json!({"basePodConfig": {"reapCompletedPods": true}, "big": {
        "podConfig": {"imageName": IMAGE, "arguments": ["sh", "-c", line]}}})
        .to_string(),
    );
    bench.pop(0, "run a.json --on docker");
    let log = log(&bench, "big");
    assert_eq!(log.trim(), json!({"noise": noise}).to_string().len().to_string());
}

#[test]
fn d2_plan_shows_manifests_without_any_connection() {
    let bench = Bench::new();
    bench.write(
        "a.json",
        json!({"operations": [shell("a", "true"), shell("b", "echo @<a.out::/exitCode>")]}).to_string(),
    );
    let docker = bench
        .call("plan a.json --on docker --output manifests")
        .variable("DOCKER_HOST", "unix:///none")
        .ends(0)
        .json();
    assert_eq!(docker[0]["Image"], IMAGE);
    assert_eq!(docker[1]["Entrypoint"][2], "echo @<a.out::/exitCode>");
    let list = bench
        .call("plan a.json --on kubernetes --output manifests")
        .variable("KUBECONFIG", "/none")
        .ends(0)
        .json();
    assert_eq!((&list["kind"], &list["items"][0]["kind"]), (&json!("List"), &json!("Pod")));
    assert_eq!(list["items"][0]["spec"]["containers"][0]["image"], IMAGE);
}

#[test]
fn f51_missing_engine_is_reported_before_the_run() {
    let bench = Bench::new();
    bench.write("a.json", json!({"operations": [shell("a", "true")]}).to_string());
    let ended = bench.call("run a.json --on docker").variable("DOCKER_HOST", "unix:///none").ends(14);
    assert!(ended.stderr.contains("DOCKER_HOST"), "{}", ended.stderr);
    assert!(!bench.has(".pop"));
}

/// Content of all files below a folder.
fn bytes_below(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else {
            all.extend(std::fs::read(&path).unwrap());
        }
    }
    all
}

#[test]
fn f45_f47_f48_secret_reaches_only_its_handler() {
    use std::os::unix::fs::PermissionsExt as _;
    const CANARY: &str = "canary/7f3+a9 b1";
    engine();
    for on in ["local", "docker"] {
        let bench = Bench::new();
        bench.write("a.json", json!({"operations": [
            {"name": "t", "type": "t"}, {"name": "u", "type": "exec", "params": {"dependsOn": "t"}, "payload": {"command": ["sh", "-c", "env"], "image": IMAGE}}]}).to_string());
        // raw, base64, in two writes, in a result, in a progress, on both streams
        let line = "test ${#TOKEN} = 16 && echo seen; echo $TOKEN; echo $TOKEN >&2; echo -n $TOKEN | base64; printf %.8s \"$TOKEN\"; sleep 0.2; \
            printf %s \"${TOKEN#????????}\"; echo; echo \"pop.report.progress {\\\"processingStateMessage\\\": \\\"$TOKEN\\\"}\"; \
            echo \"pop.report.payload {\\\"token\\\": \\\"$TOKEN\\\"}\"";
        bench.write(
            "registry.json",
            json!({"basePodConfig": {"reapCompletedPods": true}, "t": {
            "command": ["sh", "-c", line], "secrets": {"TOKEN": {"fromEnv": "OUTER_TOKEN"}},
            "podConfig": {"imageName": IMAGE, "arguments": ["sh", "-c", line]}}})
            .to_string(),
        );
        let missing = bench.call("run a.json --on").argument(on).ends(4);
        assert!(missing.stderr.contains("the variable `OUTER_TOKEN` is not set"), "{}", missing.stderr);
        let secret = |call: crate::bench::Call<'_>| call.variable("OUTER_TOKEN", CANARY).ends(0);
        let mut said = secret(bench.call("run a.json --on").argument(on)).stderr;
        for command in ["show last", "show last t", "explain last t", "logs last", "show last --output json"]
        {
            said += &bench.pop(0, command).stdout;
        }
        for plan in ["text", "json"] {
            said += &secret(bench.call("plan a.json --on").argument(on).argument("--output").argument(plan))
                .stdout;
        }
        assert!(said.contains("seen") && said.contains("***"), "{on}: {said}");
        let mut left = bytes_below(&bench.path(".pop"));
        left.extend(said.into_bytes());
        let left = String::from_utf8_lossy(&left);
        for shown in [CANARY, "canary/7", "Y2FuYXJ5LzdmMythOSBiMQ", "canary%2F7f3"] {
            assert!(!left.contains(shown), "{on}: `{shown}` is shown");
        }
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&bench.run_folder()), 0o700);
        assert_eq!(mode(&bench.run_folder().join("journal")), 0o600);
    }
}

#[test]
fn fr_e1_container_has_an_init_process() {
    let bench = agenda(&json!([shell("stops", "echo ran >> ran; sleep 1000; echo slept")]));
    let running = bench.call("run a.json --on docker --grace 20").spawn();
    bench.wait_for("ran", 1);
    let began = std::time::Instant::now();
    running.signal(Signal::INT);
    running.ends(130);
    // without an init, the shell would be process 1 and ignore the signal
    assert!(began.elapsed().as_secs() < 15, "{:?}", began.elapsed());
    let bench = agenda(&json!([shell("kills", "kill -9 $$; echo survived")]));
    bench.pop(10, "run a.json --on docker");
}

#[test]
fn fr_e5_output_after_a_broken_connection_is_whole_or_lost() {
    let line = |text: &str| {
        let each = format!("for n in 1 2 3 4 5; do printf 'line %s {text}\\n' $n; sleep 0.3; done");
        json!([{"name": "a", "type": "exec",
            "payload": {"command": ["sh", "-c", each], "image": IMAGE, "capture": "lines"}}])
    };
    // lines that are not UTF-8 are refused, however they were read
    for (text, code) in [("plain", 0), ("\\351", 10)] {
        let bench = agenda(&line(text));
        bench.pop(code, "run a.json --on docker");
        let whole = bench.operation("a")["result"].clone();
        assert_eq!(whole["stdout"].as_array().map_or(0, Vec::len), if code == 0 { 5 } else { 0 }, "{whole}");
        // between two frames, within one, and before the first
        for cut in [20, 33, 0] {
            let forwarder = Forwarder::new(&socket(), Some(cut));
            let ended = bench.call("run a.json --on docker").variable("DOCKER_HOST", &forwarder.host()).run();
            assert_eq!(forwarder.cuts(), 1);
            assert_eq!(ended.code, code, "{text}, {cut}: {}", ended.stderr);
            assert_eq!(bench.operation("a")["result"], whole, "{text}, {cut}");
            let is_lost = ended.stderr.contains("[lost, blame: platform]") && !is_podman();
            assert!(
                code == 0 || is_lost || ended.stderr.contains("[contract, blame: handler]"),
                "{}",
                ended.stderr
            );
        }
    }
}

#[test]
fn fr_e6_missing_program_in_image_is_always_reported() {
    let operations: Vec<Value> = (0..24)
        .map(|n| json!({"name": format!("a{n}"), "type": "exec", "payload": {"command": ["nothing"], "image": IMAGE}}))
        .collect();
    let bench = agenda(&json!(operations));
    bench.pop(10, "run a.json -k -j 4 --on docker");
    let shown = bench.shown();
    for operation in shown["operations"].as_array().unwrap() {
        let failure = &operation["diagnosticEvents"][0];
        let told = (&failure["statusCode"], &failure["payload"]["blame"]);
        assert_eq!(told, (&json!("spawn"), &json!("handler")), "{operation}");
    }
}

#[test]
fn fr_e8_ends_are_equal_under_local_and_docker() {
    let bench = agenda(&json!([
        shell("kill", "kill -9 $$"),
        shell("term", "kill -TERM $$"),
        shell("segv", "kill -SEGV $$"),
        shell("code", "exit 7"),
        {"name": "missing", "type": "exec", "payload": {"command": ["no-such-program"], "image": IMAGE}},
        {"name": "late", "type": "exec", "params": {"timeoutMs": 1500}, "payload": {"command": ["sleep", "100"], "image": IMAGE}},
        {"name": "bytes", "type": "exec", "payload": {"command": ["sh", "-c", "printf 'a\\351\\377\\n\\303'"], "image": IMAGE, "capture": "lines"}},
        {"name": "text", "type": "exec", "payload": {"command": ["sh", "-c", "printf 'a\\351\\377\\n\\303'"], "image": IMAGE, "capture": "text"}},
    ]));
    let told = |on: &str| {
        bench.call("run a.json -k --on").argument(on).ends(10);
        let shown = bench.shown();
        let fields = |operation: &Value| {
            let failure = &operation["diagnosticEvents"][0];
            let (code, payload) = (&failure["statusCode"], &failure["payload"]);
            [
                &operation["name"],
                &operation["outcome"],
                &operation["result"],
                code,
                &payload["blame"],
                &payload["exit"],
            ]
            .map(Clone::clone)
        };
        shown["operations"].as_array().unwrap().iter().map(fields).collect::<Vec<_>>()
    };
    let local = told("local");
    assert!(local[..6].iter().all(|fields| fields[3].is_string() && fields[4] == "handler"), "{local:?}");
    assert_eq!(local, told("docker"));
    let ended = bench.pop(0, "verify a.json -k --on local,docker");
    assert!(ended.stdout.contains("8 operations"), "{}", ended.stdout);
}

#[test]
fn fr_e10_missing_host_path_is_refused() {
    engine();
    let bench = Bench::new();
    bench.write("a.json", json!({"operations": [{"name": "a", "type": "a"}]}).to_string());
    bench.write(
        "registry.json",
        json!({"basePodConfig": {"reapCompletedPods": true}, "a": {
        "podConfig": {"imageName": IMAGE, "arguments": ["true"], "hostPaths": [{"path": bench.path("missing"), "mountPath": "/m"}]}}})
        .to_string(),
    );
    let ended = bench.pop(10, "run a.json --on docker");
    assert!(ended.stderr.contains("missing` does not exist"), "{}", ended.stderr);
    assert!(!bench.has("missing"));
}

#[test]
fn fr_h6_engine_is_reached_by_tcp_and_ssh_is_refused() {
    let bench = agenda(&json!([shell("a", "echo said")]));
    let forwarder = Forwarder::new(&socket(), None);
    bench.call("run a.json --on docker").variable("DOCKER_HOST", &forwarder.host()).ends(0);
    assert_eq!(log(&bench, "a"), "said\n");
    let refused = bench.call("run a.json --on docker").variable("DOCKER_HOST", "ssh://me@host").ends(14);
    assert!(refused.stderr.contains("DOCKER_HOST=unix:///tmp/docker.sock"), "{}", refused.stderr);
}
