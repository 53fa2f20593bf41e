//! `pop serve` and `pop pull`: the whole circle on one machine, also when its processes are killed.

use crate::bench::{Bench, PATIENCE};
use crate::docker;
use crate::kubernetes::Cluster;
use crate::prometheus::Metrics;
use crate::running::Running;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::PostParams;
use kube::runtime::wait::await_condition;
use pop_agenda::{Ending, RunEvent};
use pop_executor::read_journal;
use pop_service_store::testing::PostgresServer;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

/// A service at an address, with a header for each request, which may be empty.
struct Client(SocketAddr, String);

impl Client {
    /// Sends a request; none if there is no answer.
    fn send(&self, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
        let mut stream = TcpStream::connect(self.0).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             {}content-length: {}\r\n\r\n",
            self.1,
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, serde_json::from_str(body).ok()?))
    }

    /// Sends a request until it is answered with success.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.send(method, path, body) {
                Some((status, answer)) if status < 300 => return answer,
                Some((status, answer)) if status < 500 => unreachable!("{path}: {status} {answer}"),
                _ => assert!(Instant::now() < until, "no answer to {path}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until all agendas have their outcome, and returns their progress by agenda.
    fn outcomes(&self, count: usize) -> BTreeMap<String, Value> {
        let until = Instant::now() + PATIENCE;
        loop {
            let ended = self.ask("GET", "/v1/agenda-progress?byProcessingState=COMPLETE", &Value::Null);
            let items = ended["items"].as_array().unwrap();
            if items.len() == count {
                let by_agenda = |item: &Value| (item["agendaId"].as_str().unwrap().to_owned(), item.clone());
                return items.iter().map(by_agenda).collect();
            }
            if Instant::now() > until {
                let all = self.ask("GET", "/v1/agenda-progress", &Value::Null);
                unreachable!("{} of {count} have ended: {all:#}", items.len());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Starts a service, and waits until it listens.
fn serve(bench: &Bench, options: &str) -> (Running, Client) {
    let running = bench.call(&format!("serve --output json {options}")).spawn();
    let line: Value = serde_json::from_str(&running.line()).unwrap();
    let address = line["address"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap();
    (running, Client(address, String::new()))
}

/// An agenda whose operations append to `ran`; the second reads the first.
fn agenda(name: &str) -> Value {
    let operation = |op: &str, needs: &str| {
        let command = format!("echo {name}-{op} >> ran; printf {needs}{op}");
        json!({"name": op, "type": "exec", "payload": {"command": ["sh", "-c", command], "capture": "text"}})
    };
    json!({"title": name, "params": {"maximumAttempts": 20}, "operations": [
        operation("a", ""), operation("b", "@<a.out::/stdout>"), operation("c", "@<b.out::/stdout>")]})
}

#[test]
fn a_laptop_runs_the_whole_circle_in_one_process() {
    let bench = Bench::new();
    let (serving, client) = serve(&bench, "--listen 127.0.0.1:0 --with-puller");
    let faulty = json!({"operations": [{"name": "a", "type": "exec", "payload": {"command": ["@<b.out>"]}}]});
    let (status, answer) = client.send("POST", "/v1/agendas", &faulty).unwrap();
    assert_eq!((status, &answer["faults"][0]["code"]), (422, &json!("unknown-reference")));
    for name in ["x", "y"] {
        client.ask("POST", "/v1/agendas", &agenda(name));
    }
    let fails = json!({"title": "z", "params": {"maximumAttempts": 2}, "operations": [
        {"name": "good", "type": "exec", "payload": {"command": ["sh", "-c", "echo z-good >> ran"]}},
        {"name": "bad", "type": "exec", "params": {"dependsOn": "good"}, "payload": {"command": ["sh", "-c", "echo z-bad >> ran; exit 3"]}}]});
    client.ask("POST", "/v1/agendas", &fails);
    let outcomes = client.outcomes(3);
    for progress in outcomes.values() {
        let is_bad = progress["title"] == "z";
        let message = if is_bad { "failed" } else { "succeeded" };
        assert_eq!(progress["processingStateMessage"], message, "{progress:#}");
        assert_eq!(progress["attemptsCompleted"], json!(if is_bad { 2 } else { 1 }), "{progress:#}");
    }
    let x = outcomes.values().find(|progress| progress["title"] == "x").unwrap();
    assert_eq!(x["operationProgress"][2]["resultPayload"], json!(r#"{"exitCode":0,"stdout":"abc"}"#));
    // the retry kept what had succeeded
    let ran = bench.sorted_lines("ran");
    assert_eq!(ran, ["x-a", "x-b", "x-c", "y-a", "y-b", "y-c", "z-bad", "z-bad", "z-good"]);
    let metrics = Metrics::of(&client.0.to_string());
    for (name, labels, wanted) in [
        ("pop_service_store_up", vec![], 1.0),
        ("pop_service_agendas", vec![("state", "COMPLETE")], 3.0),
        ("pop_service_leases", vec![("insight", "default")], 0.0),
        ("pop_service_request_seconds_count", vec![("call", "create"), ("status", "201")], 3.0),
        ("pop_service_request_seconds_count", vec![("call", "create"), ("status", "422")], 1.0),
        ("pop_service_store_errors_total", vec![("kind", "permanent")], 0.0),
        // `z` was taken once more
        ("pop_puller_agendas_total", vec![], 4.0),
    ] {
        assert_eq!(metrics.value(name, &labels).to_bits(), f64::to_bits(wanted), "{name} {labels:?}");
    }
    assert!(metrics.value("pop_puller_pull_seconds_count", &[("outcome", "agendas")]) >= 2.0);
    assert!(
        metrics.value("pop_service_request_seconds_sum", &[("interface", "pop"), ("call", "pull")]) > 0.0
    );
    // the runs are ordinary ones
    let runs = bench.pop(0, "runs").stdout;
    assert!(runs.matches("succeeded").count() == 2 && runs.contains("  x\n"), "{runs}");
    // a setting without effect is refused
    bench.write("local.properties", "pop.puller.localAgendaRelativePath=/Agenda.json\n");
    let refused = bench.pop(4, "pull --prop-file local.properties").stderr;
    assert!(refused.contains("run that file with `pop run`"), "{refused}");
    serving.signal(Signal::TERM);
    serving.ends(0);
}

#[test]
fn a_stopped_puller_gives_its_agenda_back_and_another_continues_it() {
    let bench = Bench::new();
    let (serving, client) = serve(&bench, "--listen 127.0.0.1:0");
    let service = format!("--service http://{}/pop/resourcepool/service", client.0);
    let waits = json!({"operations": [
        {"name": "first", "type": "exec", "payload": {"command": ["sh", "-c", "echo first >> ran"]}},
        {"name": "waits", "type": "exec", "params": {"dependsOn": "first"},
            "payload": {"command": ["sh", "-c", "echo waits >> ran; test -e again || exec sleep 1000"]}}]});
    client.ask("POST", "/v1/agendas", &waits);
    let mut puller = bench.call(&format!("pull --drain 0 {service}")).spawn();
    puller.says("starts");
    bench.wait_for("ran", 2);
    puller.signal(Signal::TERM);
    let said = puller.ends(0).stderr;
    assert!(said.contains("was stopped; it is given back"), "{said}");
    let status = client.ask("GET", "/v1/status", &Value::Null);
    assert_eq!((&status["queues"][0]["waiting"], &status["queues"][0]["leased"]), (&json!(1), &json!(0)));
    bench.write("again", "");
    let puller = bench.call(&format!("pull {service}")).spawn();
    let outcomes = client.outcomes(1);
    let progress = outcomes.values().next().unwrap();
    assert_eq!(
        (&progress["processingStateMessage"], &progress["attemptsCompleted"]),
        (&json!("succeeded"), &json!(1))
    );
    assert_eq!(bench.sorted_lines("ran"), ["first", "waits", "waits"]);
    puller.signal(Signal::TERM);
    puller.ends(0);
    serving.signal(Signal::TERM);
    serving.ends(0);
}

#[test]
fn an_agenda_that_the_executor_refuses_fails_with_its_words() {
    let bench = Bench::new();
    let (serving, client) = serve(&bench, "--listen 127.0.0.1:0 --with-puller");
    // the service knows no registry, so only the executor can say that nothing serves the type
    let unknown = json!({"params": {"maximumAttempts": 1}, "operations": [{"name": "a", "type": "nothing"}]});
    client.ask("POST", "/v1/agendas", &unknown);
    let outcomes = client.outcomes(1);
    let progress = outcomes.values().next().unwrap();
    assert_eq!(progress["processingStateMessage"], "failed");
    assert_eq!(progress["diagnosticEvents"][0]["statusCode"], "exit-3", "{progress:#}");
    serving.signal(Signal::TERM);
    serving.ends(0);
}

/// A small random number generator: the same seed gives the same kills.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// The executors that run in a folder: processes whose command is `pop run`.
fn executors(bench: &Bench) -> Vec<i32> {
    let runs = bench.path(".pop/runs").to_string_lossy().into_owned();
    let numbers =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_ours = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains("\0run\0") && line.contains(&runs)
    };
    numbers.filter(is_ours).collect()
}

/// How often each operation of each run folder succeeded.
fn successes(bench: &Bench) -> HashMap<(String, u64), usize> {
    let mut seen = HashMap::new();
    for folder in fs::read_dir(bench.path(".pop/runs")).unwrap().map(|entry| entry.unwrap().path()) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        for record in read_journal(&folder.join("journal")).unwrap().events {
            if let RunEvent::AttemptEnded { op, ending: Ending::Succeeded { .. }, .. } = record.event {
                *seen.entry((name.clone(), op.0.into())).or_default() += 1;
            }
        }
    }
    seen
}

#[test]
fn kills_of_service_pullers_and_executors_lose_and_repeat_nothing() {
    eprintln!("killed: service, pullers, executors: {:?}", &survive_kills(None)[..3]);
}

#[cfg(feature = "postgres")]
#[test]
fn kills_of_postgres_too_lose_and_repeat_nothing() {
    let killed = survive_kills(Some(PostgresServer::start()));
    eprintln!("killed: service, pullers, executors, database: {killed:?}");
}

/// Kills processes of the whole circle at random, and the database server if there is one. Returns how many of each.
fn survive_kills(mut database: Option<PostgresServer>) -> [usize; 4] {
    const OPERATIONS: usize = 3;
    // `CHAOS_KILLS=200 CHAOS_AGENDAS=60` tries more
    let number = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (kills, agendas): (usize, usize) = (number("CHAOS_KILLS", 9), number("CHAOS_AGENDAS", 6));
    let mut chance = Chance(number("CHAOS_SEED", 1) as u64);
    let bench = Bench::new();
    let store = database.as_ref().map_or_else(String::new, |server| format!("--postgres {}", server.url()));
    let (mut serving, client) = serve(&bench, &format!("--listen 127.0.0.1:0 --lease 1 {store}"));
    let service_options = format!("--listen {} --lease 1 {store}", client.0);
    let pull = format!(
        "pull --pull-lease 1 --limit 2 --wait 1 --service http://{}/pop/resourcepool/service",
        client.0
    );
    let mut pullers: Vec<Running> = (0..2).map(|_| bench.call(&pull).spawn()).collect();
    for index in 0..agendas {
        let name = format!("n{index}");
        let operation = |op: usize| {
            let command = format!("echo {name}-{op} >> ran; sleep 0.1");
            json!({"name": format!("op{op}"), "type": "exec", "params": {"dependsOn": if op > 0 { format!("op{}", op - 1) } else { String::new() }},
                "payload": {"command": ["sh", "-c", command]}})
        };
        let operations: Vec<Value> = (0..OPERATIONS).map(operation).collect();
        let agenda = json!({"title": name, "params": {"maximumAttempts": 20}, "operations": operations});
        client.ask("POST", "/v1/agendas", &agenda);
    }
    let mut killed = [0; 4];
    for _ in 0..kills {
        std::thread::sleep(Duration::from_millis(100 + 100 * chance.below(5) as u64));
        let what = chance.below(if database.is_some() { 4 } else { 3 });
        match (what, &mut database) {
            (0, _) => {
                serving.crash();
                serving = serve(&bench, &service_options).0;
            }
            (1, _) => {
                let at = chance.below(pullers.len());
                std::mem::replace(&mut pullers[at], bench.call(&pull).spawn()).crash();
            }
            (3, Some(server)) => {
                server.crash();
                server.restart();
            }
            _ => {
                let running = executors(&bench);
                if running.is_empty() {
                    continue;
                }
                let pid = running[chance.below(running.len())];
                // it may have ended meanwhile
                kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).ok();
            }
        }
        killed[what] += 1;
    }
    let outcomes = client.outcomes(agendas);
    for progress in outcomes.values() {
        assert_eq!(progress["processingStateMessage"], "succeeded", "{progress:#}");
        let operations = progress["operationProgress"].as_array().unwrap();
        assert!(
            operations.iter().all(|operation| operation["processingStateMessage"] == "succeeded"),
            "{progress:#}"
        );
    }
    let seen = successes(&bench);
    assert_eq!(seen.len(), agendas * OPERATIONS, "{seen:?}");
    assert!(seen.values().all(|count| *count == 1), "{seen:?}");
    // the audit log agrees with the store: what was answered is in both
    let audit = bench.read(".pop/service/audit.jsonl");
    let entries: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let created = |entry: &&Value| entry["call"] == "create" && entry["status"] == 201;
    assert_eq!(entries.iter().filter(created).count(), agendas);
    let is_report = |entry: &&Value| entry["call"] == "report" && entry["status"] == 200;
    assert!(entries.iter().filter(is_report).count() >= agendas);
    for puller in pullers {
        puller.signal(Signal::TERM);
        puller.ends(0);
    }
    serving.signal(Signal::TERM);
    serving.ends(0);
    assert_eq!(executors(&bench), Vec::<i32>::new());
    killed
}

#[test]
fn reap_deletes_ended_pods_of_pop_and_no_others() {
    let (bench, cluster) = (Bench::new(), Cluster::of_processes());
    let pod = |name: &str, labels: Value, command: &[&str]| -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i", "command": command}]},
        }))
        .unwrap()
    };
    let pods = [
        pod("foreign", json!({"app": "x"}), &["true"]),
        pod("running", json!({"pop.launchId": "1"}), &["sleep", "1000"]),
        pod("good", json!({"pop.launchId": "2"}), &["true"]),
        pod("bad", json!({"pop.launchId": "3"}), &["false"]),
        pod("executor", json!({"pop.insightId": "i", "pop.resourcePoolId": "r"}), &["true"]),
    ];
    cluster.ask(async |client| {
        let api = Api::<Pod>::namespaced(client, "pop");
        for pod in &pods {
            api.create(&PostParams::default(), pod).await.unwrap();
        }
        for (name, wanted) in [
            ("foreign", "Succeeded"),
            ("running", "Running"),
            ("good", "Succeeded"),
            ("bad", "Failed"),
            ("executor", "Succeeded"),
        ] {
            let is_so =
                |pod: Option<&Pod>| pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref()) == Some(wanted);
            tokio::time::timeout(PATIENCE, await_condition(api.clone(), name, is_so)).await.unwrap().unwrap();
        }
    });
    let reap =
        |options: &str| cluster.call(&bench, &format!("reap --namespace pop {options}")).ends(0).stdout;
    assert_eq!(reap("--age 60"), "");
    let said = reap("--age 0 --batch 1 --dry-run");
    assert_eq!(said.lines().count(), 3);
    assert!(said.contains("would delete pod bad\n") && cluster.pods().len() == 5, "{said}");
    // at least one batch is deleted, also without time
    assert_eq!(reap("--age 0 --batch 1 --max-minutes 0"), "deleted pod bad\n");
    let said = reap("--age 0");
    assert_eq!(said.lines().count(), 2, "{said}");
    let mut left = cluster.pods();
    left.sort();
    assert_eq!(left, ["foreign", "running"]);
}

#[test]
fn executors_are_pods_with_labels_and_report_to_the_service() {
    let (bench, cluster) = (Bench::new(), Cluster::of_processes());
    let (serving, client) = serve(&bench, "--listen 127.0.0.1:0");
    let service = format!("http://{}/pop/resourcepool/service", client.0);
    let program = [env!("CARGO_BIN_EXE_pop"), "run", "--launch-type", "local", "--on", "local", "--runs"];
    let runs = bench.path("runs").to_string_lossy().into_owned();
    let arguments: Vec<&str> = program.into_iter().chain([runs.as_str()]).collect();
    let registry = json!({"basePodConfig": {}, "executor": {"configMapName": "x", "properties": {"agenda.progress.url": service},
        "podConfig": {"imageName": "pop", "namePrefix": "pop-executor-", "serviceAccountName": "default", "arguments": arguments, "configMapSettings": []}}});
    bench.write("registry.json", registry.to_string());
    client.ask("POST", "/v1/agendas", &agenda("x"));
    let pull = format!("pull --on kubernetes --service {service} --registry registry.json");
    let puller = cluster.call(&bench, &pull).spawn();
    let outcomes = client.outcomes(1);
    let progress = outcomes.values().next().unwrap();
    assert_eq!(progress["processingStateMessage"], "succeeded", "{progress:#}");
    let pods = cluster.list::<Pod>();
    let labels = &pods[0]["metadata"]["labels"];
    assert_eq!(
        (&labels["pop.insightId"], &labels["pop.resourcePoolId"]),
        (&json!("default"), &json!("default"))
    );
    puller.signal(Signal::TERM);
    puller.ends(0);
    serving.signal(Signal::TERM);
    serving.ends(0);
}

#[test]
fn executors_are_containers_and_report_to_the_service_with_a_token() {
    docker::engine();
    let bench = Bench::new();
    let issued = bench.pop(0, "serve --issue-token all=admin").stdout;
    // where containers reach this machine
    // an Engine that has just made its bridge tells only the subnet, and has its first address
    let address = "{{range .IPAM.Config}}{{or .Gateway .Subnet}}{{end}}";
    let address = docker::docker(&["network", "inspect", "bridge", "--format", address]);
    let gateway = match address.trim().split_once('/') {
        None => address.trim().to_owned(),
        Some((subnet, _)) => Ipv4Addr::from(subnet.parse::<Ipv4Addr>().unwrap().to_bits() + 1).to_string(),
    };
    let (serving, mut client) = serve(&bench, &format!("--listen {gateway}:0"));
    client.1 = format!("authorization: Bearer {}\r\n", issued.trim());
    let service = format!("http://{}/pop/resourcepool/service", client.0);
    let pop = Path::new(env!("CARGO_BIN_EXE_pop"));
    // pop of this machine with its libraries, in an image that has none
    let of_host = |path: &str| json!({"path": path, "readOnly": true});
    let folders = [pop.parent().unwrap().to_str().unwrap(), "/lib64", "/lib"];
    let folders: Vec<Value> =
        folders.into_iter().filter(|path| Path::new(path).exists()).map(of_host).collect();
    let arguments = json!([pop, "run", "--launch-type", "local", "--on", "local", "--runs", "/tmp/runs"]);
    let registry = json!({"basePodConfig": {"reapCompletedPods": true}, "executor": {"configMapName": "x", "properties": {"agenda.progress.url": service},
        "podConfig": {"imageName": docker::IMAGE, "namePrefix": "pop-executor-", "arguments": arguments, "hostPaths": folders, "configMapSettings": []}}});
    bench.write("registry.json", registry.to_string());
    let where_it_runs = json!({"title": "w", "operations": [
        {"name": "a", "type": "exec", "payload": {"command": ["ls", "/bin/busybox"], "capture": "text"}},
        {"name": "b", "type": "exec", "payload": {"command": ["echo", "@<a.out::/stdout>"], "capture": "text"}}]});
    client.ask("POST", "/v1/agendas", &where_it_runs);
    let pull = format!("pull --on docker --service {service} --registry registry.json");
    let puller = bench.call(&pull).variable("POP_SERVICE_TOKEN", issued.trim()).spawn();
    let outcomes = client.outcomes(1);
    let progress = outcomes.values().next().unwrap();
    assert_eq!(progress["processingStateMessage"], "succeeded", "{progress:#}");
    let result = json!(r#"{"exitCode":0,"stdout":"/bin/busybox"}"#);
    assert_eq!(progress["operationProgress"][1]["resultPayload"], result, "{progress:#}");
    puller.signal(Signal::TERM);
    puller.ends(0);
    serving.signal(Signal::TERM);
    serving.ends(0);
}

#[test]
fn the_service_speaks_tls_with_its_clients_and_pullers() {
    let bench = Bench::new();
    let run = |program: &str, arguments: &str| {
        let mut command = std::process::Command::new(program);
        command.args(arguments.split_whitespace()).current_dir(bench.path(""));
        let ended = command.output().unwrap();
        assert!(ended.status.success(), "{program}: {}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    };
    run(
        "openssl",
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost \
         -addext basicConstraints=critical,CA:FALSE -keyout key.pem -out certificate.pem",
    );
    let refused = bench.pop(4, "serve --tls-certificate key.pem --tls-key key.pem");
    assert!(refused.stderr.contains("cannot read the certificate `key.pem`"), "{}", refused.stderr);
    bench.write("agenda.json", agenda("x").to_string());
    for with_puller in [true, false] {
        let option = if with_puller { "--with-puller" } else { "" };
        let files = "--tls-certificate certificate.pem --tls-key key.pem";
        let serving =
            bench.call(&format!("serve --output json --listen 127.0.0.1:0 {files} {option}")).spawn();
        let line: Value = serde_json::from_str(&serving.line()).unwrap();
        let address = line["address"].as_str().unwrap().strip_prefix("https://127.0.0.1:").unwrap();
        let service = format!("https://localhost:{address}");
        let curl = |options: &str| run("curl", &format!("-sS --fail --cacert certificate.pem {options}"));
        // a client without TLS gets no answer
        assert!(
            Client(format!("127.0.0.1:{address}").parse().unwrap(), String::new())
                .send("GET", "/healthz", &Value::Null)
                .is_none()
        );
        let header = "-H content-type:application/json";
        let created = curl(&format!("{header} -d @agenda.json {service}/v1/agendas"));
        let created: Value = serde_json::from_str(&created).unwrap();
        let puller = (!with_puller).then(|| {
            let pull = format!("pull --service {service}/pop/resourcepool/service");
            bench.call(&pull).variable("SSL_CERT_FILE", "certificate.pem").spawn()
        });
        let progress = format!("{service}/v1/agenda-progress/{}", created["progressId"].as_str().unwrap());
        let until = Instant::now() + PATIENCE;
        loop {
            let now: Value = serde_json::from_str(&curl(&progress)).unwrap();
            if now["processingState"] == "COMPLETE" {
                assert_eq!(now["processingStateMessage"], "succeeded", "{now:#}");
                break;
            }
            assert!(Instant::now() < until, "{now:#}");
            std::thread::sleep(Duration::from_millis(50));
        }
        for process in puller.into_iter().chain([serving]) {
            process.signal(Signal::TERM);
            process.ends(0);
        }
    }
}
