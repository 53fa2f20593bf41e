//! The service over real connections: POP's requests and responses, the REST interface, tokens, limits, waiting.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda_server::{
    AgendaCheck, AgendaServer, AuditLog, Scope, ServerSettings, WebhookRequest, issue_token,
};
use pop_contract::LaunchType;
use pop_document::Source;
use pop_service::Rules;
use pop_service_store::Store;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// A service on a free port; it stops when this is dropped.
struct Served {
    folder: TempDir,
    address: SocketAddr,
    store: Store,
    _stop: oneshot::Sender<()>,
}

/// Changes of the usual settings.
type Change = fn(&mut ServerSettings);

impl Served {
    async fn new() -> Self {
        Self::with(None, |_| {}).await
    }

    async fn with(registry: Option<&str>, change: Change) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&folder.path().join("pop.db")).unwrap();
        let mut settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            listens_locally: false,
            needs_token: false,
            longest_body: 64 * 1024,
            rate: 10_000,
            hides_status: false,
            rules: Rules { lease: 300, longest_lease: 10_000 },
            recheck: None,
            audit: Some(AuditLog::open(&folder.path().join("audit.jsonl")).unwrap()),
            send_webhook: None,
        };
        change(&mut settings);
        let registry = registry.map(|text| Source::json("registry.json", text.to_owned()));
        let check = AgendaCheck::new(registry.as_ref(), LaunchType::Local, &mut Vec::new());
        let server = AgendaServer::bind(settings, store.clone(), check).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(server.serve(async move { drop(stopped.await) }));
        Self { folder, address, store, _stop: stop }
    }

    /// Sends a request and returns status and body.
    async fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head =
            format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|header| header.to_lowercase().starts_with("host:")) {
            head += "host: localhost\r\n";
        }
        if !headers.iter().any(|header| header.to_lowercase().starts_with("content-type:")) {
            head += "content-type: application/json\r\n";
        }
        for header in headers {
            head.extend([*header, "\r\n"]);
        }
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).await.ok();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok();
        let (head, body) =
            answer.split_once("\r\n\r\n").unwrap_or_else(|| unreachable!("no answer: {answer}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::String(body.to_owned())))
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.send("POST", path, &[], &body.to_string()).await;
        assert!(status < 300, "{path}: {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.send("GET", path, &[], "").await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }
}

/// The agenda of POP's documentation.
fn agenda() -> Value {
    json!({"cid": "c-1", "linkId": "batch-9", "params": {"maximumAttempts": 5, "externalId": "x-1"}, "operations": [
        {"id": "1", "name": "probe.1", "type": "sample",
            "payload": {"actions": [], "resultPayload": {"width": 720, "path": "/t/a.mov"}}},
        {"id": "2", "name": "scale.1", "type": "sample", "params": {"dependsOn": "probe.1"},
            "payload": {"resultPayload": {"from": "@<probe.1.out::/path>", "agenda": "@<pop.agendaId>",
                "note": "@<probe.1.out::/note?none>"}}}]})
}

#[tokio::test]
async fn pops_requests_get_pops_responses() {
    let served = Served::new().await;
    let created = served.post("/pop/agenda", agenda()).await;
    let stored = &created["all"][0];
    let (id, progress) = (stored["id"].as_str().unwrap(), stored["progressId"].as_str().unwrap());
    assert_eq!((&stored["cid"], &stored["customerId"]), (&json!("c-1"), &json!("default")));
    assert_eq!(stored["agendaInsight"], json!({"insightId": "default", "resourcePoolId": "default"}));
    assert_eq!(served.get(&format!("/pop/agenda/{id}")).await["all"][0], *stored);

    // progress exists from the beginning
    let seen = served.get(&format!("/pop/progress/agenda/{progress}")).await["all"][0].clone();
    assert_eq!(
        (&seen["processingState"], &seen["processingStateMessage"]),
        (&json!("WAITING"), &json!("pending"))
    );
    assert_eq!(
        (&seen["maximumAttempts"], &seen["externalId"], &seen["linkId"]),
        (&json!(5), &json!("x-1"), &json!("batch-9"))
    );
    let operation = &seen["operationProgress"][1];
    assert_eq!(operation["id"], json!(format!("{progress}-scale.1")));
    assert_eq!(
        (&operation["processingState"], &operation["percentComplete"]),
        (&json!("WAITING"), &json!(0.0))
    );
    assert_eq!(operation["params"]["dependsOn"], "probe.1");

    // getAgenda: no progress before an operation has begun
    let pulled =
        served.post("/pop/resourcepool/service/getAgenda", json!({"insightId": "default", "count": 5})).await;
    assert_eq!((&pulled["agendas"][0]["id"], &pulled["agendaProgresses"]), (&json!(id), &json!([])));
    assert_eq!(pulled["all"], pulled["agendas"]);
    assert!(pulled["agendas"][0]["params"]["added"].is_u64());
    let lease = pulled["agendas"][0]["progressId"].as_str().unwrap();
    assert_eq!(lease, format!("{progress}~1"));
    let empty =
        served.post("/pop/resourcepool/service/getAgenda", json!({"insightId": "default", "count": 5})).await;
    assert_eq!(empty["agendas"], json!([]));

    // updateAgendaProgress: sparse, with results as JSON text
    let report = json!({"agendaProgress": {"id": lease, "processingState": "EXECUTING", "percentComplete": 50.0,
        "operationProgress": [{"operation": "probe.1", "processingState": "COMPLETE", "processingStateMessage": "succeeded",
            "resultPayload": "{\"width\":720}", "diagnosticEvents": null}]}});
    served.post("/pop/resourcepool/service/updateAgendaProgress", report).await;
    let seen = served.get(&format!("/pop/progress/operation?byAgendaProgressId={progress}&byFields=operation,resultPayload,percentComplete")).await;
    assert_eq!(
        seen["all"][0],
        json!({"operation": "probe.1", "resultPayload": "{\"width\":720}", "percentComplete": 100.0})
    );
    assert_eq!(seen["count"], 2);

    // updateAgenda appends, once
    let more = json!({"agendaId": id, "params": {}, "operations": [{"name": "more", "type": "sample", "params": {"generatedOperationParent": "probe.1"}}]});
    for _ in 0..2 {
        let extended = served.post("/pop/resourcepool/service/updateAgenda", more.clone()).await;
        assert_eq!(extended["all"][0]["operations"].as_array().unwrap().len(), 3);
    }

    // a failure with attempts left: rerun `continue`
    let failed = json!({"agendaProgress": {"id": lease, "processingState": "COMPLETE", "processingStateMessage": "failed"}});
    served.post("/pop/resourcepool/service/updateAgendaProgress", failed).await;
    let pulled =
        served.post("/pop/resourcepool/service/getAgenda", json!({"insightId": "default", "count": 1})).await;
    let last = &pulled["agendaProgresses"][0];
    assert_eq!((&last["id"], &last["attemptsCompleted"]), (&json!(format!("{progress}~2")), &json!(1)));
    assert_eq!(last["operationProgress"][0]["resultPayload"], "{\"width\":720}");
    let done = json!({"agendaProgress": {"id": format!("{progress}~2"), "processingState": "COMPLETE", "processingStateMessage": "succeeded"}});
    served.post("/pop/resourcepool/service/updateAgendaProgress", done).await;

    let summary = served.post("/pop/progress/agenda/service", json!({"linkId": "batch-9"})).await;
    assert_eq!(
        (&summary["processingState"], &summary["processingPercent"]),
        (&json!("COMPLETE"), &json!(100.0))
    );

    // rerun of a generator deletes what it generated
    served
        .post(
            "/pop/agenda/service/rerun",
            json!({"agendaId": id, "params": ["operationsToReset=probe.1", "skipExecution"]}),
        )
        .await;
    let seen = served.get(&format!("/pop/progress/agenda/{progress}")).await["all"][0].clone();
    assert_eq!(seen["processingState"], "WAITING");
    assert_eq!(seen["operationProgress"].as_array().unwrap().len(), 2);
    assert_eq!(seen["operationProgress"][0]["resultPayload"], "{}");
    assert_eq!(
        served.get(&format!("/pop/agenda/{id}")).await["all"][0]["operations"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn templates_and_several_agendas() {
    let served = Served::new().await;
    let template = json!({"id": "t", "staticParameters": {"kind": "sample"}, "agenda": {"linkId": "l", "operations": [
        {"name": "one", "type": "@<kind>", "payload": {"url": "@<pop.payload::/inputs/0/url>", "x": "@<one.out::/no?>"}}]}});
    let mut good = template.clone();
    good["agenda"]["operations"][0]["payload"]["x"] = Value::Null;
    served.post("/pop/agendatemplate", good).await;
    let run = json!({"agendaTemplateId": "t", "payload": "{\"inputs\":[{\"url\":\"in.mov\"}]}"});
    let made = served.post("/pop/agenda/service/run", run).await;
    let operation = &made["agendas"][0]["operations"][0];
    assert_eq!((&operation["type"], &operation["payload"]["url"]), (&json!("sample"), &json!("in.mov")));
    let run = served.post("/v1/agenda-templates/t/run", json!({"inputs": [{"url": "b.mov"}]})).await;
    assert_eq!(run["items"][0]["operations"][0]["payload"]["url"], "b.mov");

    let (status, answer) = served.send("POST", "/pop/resourcepool/service/createAgenda", &[], &json!({"agendas": [
        agenda(), {"operations": []}, {"operations": [{"name": "a", "type": "sample", "payload": "@<b.out>"}]}]}).to_string()).await;
    assert_eq!((status, answer["agendas"].as_array().unwrap().len()), (200, 1));
    let words = answer["errorResponse"]["description"].as_str().unwrap();
    assert!(words.contains("agenda 1: ") && words.contains("agenda 2: "), "{words}");
}

/// Requests that are refused: method, path, body, status, a part of the words.
#[tokio::test]
async fn refusals_say_what_is_wrong() {
    let served = Served::new().await;
    for (method, path, body, status, words) in [
        ("GET", "/pop/agenda/none", "", 404, "there is no agenda `none`"),
        ("GET", "/pop/nothing", "", 404, "nothing at `/pop/nothing`"),
        ("GET", "/pop/transform", "", 404, ""),
        ("POST", "/", "{}", 404, ""),
        ("GET", "/pop/agenda/service/run", "", 400, "supports POST"),
        ("PATCH", "/pop/agenda/x", "", 400, "supports GET, PUT, DELETE"),
        ("GET", "/pop/agenda?byNothing=x", "", 400, "unknown query parameter `byNothing`"),
        ("POST", "/pop/agenda", "{", 400, "not JSON"),
        ("POST", "/pop/agenda", "[]", 400, "must be a JSON map"),
        ("POST", "/pop/agenda", r#"{"operations": []}"#, 422, "needs operations"),
        (
            "POST",
            "/pop/agenda",
            r#"{"operations": [{"name": "a", "type": "t"}, {"name": "A", "type": "t"}]}"#,
            422,
            "`A`",
        ),
        (
            "POST",
            "/pop/agenda",
            r#"{"operations": [{"name": "a", "type": "t", "payload": "@<a.out>"}]}"#,
            422,
            "line 1",
        ),
        (
            "POST",
            "/pop/agenda",
            r#"{"customerId": "who", "operations": [{"name": "a", "type": "t"}]}"#,
            404,
            "customer `who`",
        ),
        ("POST", "/pop/customer", r#"{"id": "c"}"#, 422, "needs `resourcePoolId`"),
        ("POST", "/pop/customer", r#"{"id": "default", "resourcePoolId": "default"}"#, 409, "already"),
        (
            "POST",
            "/pop/insight",
            r#"{"resourcePoolId": "default", "schedulingAlgorithm": "Best"}"#,
            422,
            "RoundRobin",
        ),
        ("POST", "/pop/insight", r#"{"resourcePoolId": "none"}"#, 422, "no resource pool `none`"),
        (
            "POST",
            "/pop/resourcepool/service/getAgenda",
            r#"{"insightId": "none", "count": 1}"#,
            422,
            "no insight `none`",
        ),
        (
            "POST",
            "/pop/resourcepool/service/getAgenda",
            r#"{"insightId": "default", "count": 0}"#,
            422,
            "1 or more",
        ),
        ("POST", "/pop/resourcepool/service/getAgenda", "{}", 422, "`insightId` is missing"),
        (
            "POST",
            "/pop/agenda/service/run",
            r#"{"agendaTemplateId": "t", "payload": "{"}"#,
            422,
            "not a JSON text",
        ),
        (
            "POST",
            "/pop/agenda/service/run",
            r#"{"agendaTemplateId": "t", "payload": "{}"}"#,
            404,
            "agenda template `t`",
        ),
        ("POST", "/pop/agenda/service/rerun", r#"{"agendaId": "x"}"#, 404, "agenda `x`"),
        ("POST", "/pop/resourcepool/service/updateAgendaProgress", "{}", 422, "`agendaProgress` is missing"),
        (
            "POST",
            "/pop/resourcepool/service/updateAgendaProgress",
            r#"{"agendaProgress": {"id": "x~1"}}"#,
            404,
            "`x`",
        ),
        ("POST", "/v1/leases/x/renew", "", 400, "names no lease"),
        ("PUT", "/v1/status", "{}", 405, "supports GET"),
        ("POST", "/v1/agenda-progress", "{}", 405, ""),
        ("GET", "/v1/agendas/%zz", "", 404, ""),
        ("GET", "/v1/agenda-progress?byProcessingState=RUNNING", "", 400, "use WAITING, EXECUTING, COMPLETE"),
        (
            "POST",
            "/v1/agendas/x/rerun",
            r#"{"words": ["operationsToRest=a"]}"#,
            422,
            "`operationsToRest=a` is not a word",
        ),
        (
            "POST",
            "/v1/schedules",
            r#"{"cron": "0 3 * * *", "agendaTemplateId": "none"}"#,
            422,
            "no agenda template `none`",
        ),
        ("GET", "/v1/runs?state=broken", "", 400, "use parked, waiting, running"),
        ("GET", "/v1/runs?limit=many", "", 400, "`limit` must be a whole number"),
        ("GET", "/v1/queue?by=x", "", 400, "unknown query parameter `by`"),
        ("POST", "/v1/agendas/none/cancel", "", 404, "there is no agenda `none`"),
        ("GET", "/v1/agendas/none/cancel", "", 405, "supports POST"),
        ("POST", "/v1/agenda-templates/t/agendas", r#"{"input": {}}"#, 422, "unknown field `input`"),
        ("POST", "/v1/leases/x~1/report", "{}", 404, "`x`"),
    ] {
        let (got, answer) = served.send(method, path, &[], body).await;
        assert_eq!(got, status, "{method} {path} {body}: {answer}");
        let error = &answer["errorResponse"];
        let said = if path.starts_with("/pop/") { &error["description"] } else { &answer["detail"] };
        assert!(said.as_str().unwrap().contains(words), "{path}: {answer}");
        let code = if path.starts_with("/pop/") { &error["responseCode"] } else { &answer["status"] };
        assert_eq!(*code, json!(status));
    }
}

#[tokio::test]
async fn all_faults_of_an_agenda_are_reported_with_their_places() {
    let registry = r#"{"known": {"command": ["true"]}}"#;
    let served = Served::with(Some(registry), |_| {}).await;
    let text = "{\"operations\": [\n  {\"name\": \"a\", \"type\": \"knwon\"},\n  {\"name\": \"b\", \"type\": \"known\", \"payload\": \"@<x.out>\"}]}";
    let (status, answer) = served.send("POST", "/v1/agendas", &[], text).await;
    assert_eq!(status, 422, "{answer}");
    let faults: Vec<Value> = answer["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| json!([fault["code"], fault["line"]]))
        .collect();
    assert_eq!(faults, [json!(["unknown-type", 2]), json!(["unknown-reference", 3])]);
    let (_, checked) = served.send("POST", "/v1/check", &[], text).await;
    assert_eq!(checked["faults"], answer["faults"]);
    assert_eq!(served.get("/v1/agendas").await["count"], 0);
}

#[tokio::test]
async fn errors_have_the_status_200_if_old_clients_need_it() {
    let served = Served::with(None, |settings| settings.hides_status = true).await;
    let (status, answer) = served.send("GET", "/pop/agenda/none", &["X-pop-cid: c-7"], "").await;
    assert_eq!(
        (status, &answer["errorResponse"]["responseCode"], &answer["cid"]),
        (200, &json!(404), &json!("c-7"))
    );
    assert_eq!(answer["errorResponse"]["correlationId"], "c-7");
    assert_eq!(served.send("GET", "/v1/agendas/none", &[], "").await.0, 404);
}

#[tokio::test]
async fn tokens_permit_what_their_scopes_say() {
    let served = Served::with(None, |settings| settings.needs_token = true).await;
    let mut tokens = Vec::new();
    for scope in Scope::ALL {
        tokens.push((scope, issue_token(served.store.clone(), scope.as_str(), &[scope]).await.unwrap()));
    }
    let body = agenda().to_string();
    for (method, path, body, needed) in [
        ("POST", "/pop/agenda", body.as_str(), Scope::Submit),
        ("POST", "/v1/check", &body, Scope::Submit),
        (
            "POST",
            "/pop/resourcepool/service/getAgenda",
            r#"{"insightId": "default", "count": 1}"#,
            Scope::Pull,
        ),
        ("GET", "/pop/agenda", "", Scope::Read),
        ("GET", "/v1/status", "", Scope::Read),
        ("POST", "/pop/customer", r#"{"resourcePoolId": "default"}"#, Scope::Admin),
        ("GET", "/v1/tokens", "", Scope::Admin),
    ] {
        assert_eq!(served.send(method, path, &[], body).await.0, 401, "{path}");
        for unknown in ["Bearer pop_00", "Bearer", "x"] {
            assert_eq!(served.send(method, path, &[&format!("Authorization: {unknown}")], body).await.0, 401);
        }
        for (scope, token) in &tokens {
            for form in [format!("Authorization: Bearer {token}"), format!("Authorization: {token}")] {
                let (status, answer) = served.send(method, path, &[&form], body).await;
                let may = *scope == needed || *scope == Scope::Admin;
                assert_eq!(status < 300, may, "{path} with {scope}: {status} {answer}");
                assert!(may || status == 403);
            }
        }
    }
    assert_eq!(served.send("GET", "/healthz", &[], "").await.0, 200);
    // digests are stored, and neither tokens nor digests are shown
    let admin = format!("Authorization: Bearer {}", tokens[3].1);
    let (_, listed) = served.send("GET", "/v1/tokens", &[&admin], "").await;
    let items = listed["items"].as_array().unwrap();
    assert_eq!((items.len(), items[0]["id"].as_str().unwrap().len()), (4, 12));
    let files = std::fs::read_dir(served.folder.path())
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let stored = files.flatten().collect::<Vec<u8>>();
    for (_, token) in &tokens {
        assert!(!stored.windows(token.len()).any(|part| part == token.as_bytes()));
    }
    // a token ends at once
    let path = format!("/v1/tokens/{}", items[2]["id"].as_str().unwrap());
    assert_eq!(served.send("DELETE", &path, &[&admin], "").await.0, 200);
    assert_eq!(
        served.send("GET", "/v1/status", &[&format!("Authorization: {}", tokens[2].1)], "").await.0,
        401
    );
    // changes and refusals are in the audit log, with the name of the token
    let audit = std::fs::read_to_string(served.folder.path().join("audit.jsonl")).unwrap();
    let lines: Vec<Value> = audit.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let has = |token: Value, call: &str, status: u16| {
        lines
            .iter()
            .any(|line| line["token"] == token && line["call"] == call && line["status"] == json!(status))
    };
    assert!(
        has(json!("submit"), "create", 200) && has(json!("read"), "create", 403) && has(Value::Null, "", 401)
    );
    assert!(!audit.contains("pop_"));
}

#[tokio::test]
async fn a_service_open_to_the_network_needs_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::sqlite(&folder.path().join("pop.db")).unwrap();
    let settings = ServerSettings {
        listen: "0.0.0.0:0".parse().unwrap(),
        tls: None,
        listens_locally: false,
        needs_token: false,
        longest_body: 1,
        rate: 1,
        hides_status: false,
        rules: Rules::default(),
        recheck: None,
        audit: None,
        send_webhook: None,
    };
    let check = AgendaCheck::new(None, LaunchType::Local, &mut Vec::new());
    let error = AgendaServer::bind(settings, store, check).await.err().unwrap();
    assert!(error.to_string().contains("no tokens"), "{error}");
}

#[tokio::test]
async fn web_pages_and_oversized_and_unlabelled_bodies_are_refused() {
    let served = Served::new().await;
    for (headers, body, status) in [
        (&["Origin: http://evil.example"][..], "{}".to_owned(), 403),
        (&["Host: evil.example"], "{}".to_owned(), 403),
        (&["Content-Type: text/plain"], "{}".to_owned(), 415),
        (&[], format!("{{\"x\": \"{}\"}}", "y".repeat(70_000)), 413),
        (&[], format!("{{\"x\": {}1{}}}", "[".repeat(5_000), "]".repeat(5_000)), 400),
    ] {
        let (got, answer) = served.send("POST", "/v1/agendas", headers, &body).await;
        assert_eq!(got, status, "{headers:?}: {answer}");
    }
    // a body without a length is cut off at the limit
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = "POST /v1/agendas HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("8000\r\n{}\r\n", "x".repeat(0x8000));
    for _ in 0..4 {
        stream.write_all(chunk.as_bytes()).await.ok();
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_caller_that_asks_too_often_waits() {
    let served = Served::with(None, |settings| settings.rate = 5).await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        statuses.push(served.send("GET", "/v1/status", &[], "").await.0);
    }
    assert_eq!(statuses[..10], [200; 10]);
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn a_waiting_pull_gets_an_agenda_as_soon_as_it_comes() {
    let served = std::sync::Arc::new(Served::new().await);
    let pull = |wait: u64| json!({"insightId": "default", "count": 1, "waitMs": wait, "leaseMs": 10_000});
    let waiting = {
        let (served, body) = (std::sync::Arc::clone(&served), pull(60_000));
        tokio::spawn(async move { served.post("/pop/resourcepool/service/getAgenda", body).await })
    };
    tokio::task::yield_now().await;
    let before = Instant::now();
    served.post("/v1/agendas", agenda()).await;
    let pulled = tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    assert_eq!(pulled["agendas"].as_array().unwrap().len(), 1);
    assert!(before.elapsed() < Duration::from_secs(30));
    assert_eq!(pulled["leases"][0]["leaseMs"], 10_000);
    // without an agenda it ends when its time is over
    assert_eq!(served.post("/v1/insights/default/pull", pull(50)).await["items"], json!([]));
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_goes_to_a_puller_that_waits() {
    let served = Served::new().await;
    served.post("/v1/agendas", agenda()).await;
    let first = served.post("/v1/insights/default/pull", json!({"count": 1, "leaseMs": 5_000})).await;
    let lease = first["items"][0]["progressId"].as_str().unwrap().to_owned();
    assert_eq!(served.post(&format!("/v1/leases/{lease}/renew"), json!({})).await["leaseMs"], 5_000);
    served.post(&format!("/v1/leases/{lease}/return"), json!({})).await;
    assert_eq!(served.send("POST", &format!("/v1/leases/{lease}/renew"), &[], "").await.0, 410);
    // the default lease of this service is 300 ms
    let second = served.post("/v1/insights/default/pull", json!({"count": 1})).await;
    let third = served.post("/v1/insights/default/pull", json!({"count": 1, "waitMs": 30_000})).await;
    assert_eq!(third["items"][0]["agenda"]["id"], second["items"][0]["agenda"]["id"]);
    let lost = second["items"][0]["progressId"].as_str().unwrap();
    let report = json!({"processingState": "COMPLETE", "processingStateMessage": "succeeded"}).to_string();
    assert_eq!(served.send("POST", &format!("/v1/leases/{lost}/progress"), &[], &report).await.0, 410);
    let kept = third["items"][0]["progressId"].as_str().unwrap();
    assert_eq!(served.send("POST", &format!("/v1/leases/{kept}/progress"), &[], &report).await.0, 200);
}

#[tokio::test]
async fn a_webhook_hears_of_the_end_with_a_signature() {
    static HEARD: std::sync::Mutex<Vec<WebhookRequest>> = std::sync::Mutex::new(Vec::new());
    let served = Served::with(None, |settings| {
        settings.send_webhook = Some(std::sync::Arc::new(|request| {
            HEARD.lock().unwrap().push(request);
            Box::pin(async { Ok(204) })
        }));
    })
    .await;
    let hook = json!({"url": "http://receiver.example/x", "secret": "much too short"});
    let stored = served.post("/v1/webhooks", hook).await;
    assert_eq!((&stored["isSigned"], stored.get("secret")), (&json!(true), None));
    served.post("/v1/agendas", agenda()).await;
    let pulled = served.post("/v1/insights/default/pull", json!({"count": 1})).await;
    let lease = pulled["items"][0]["progressId"].as_str().unwrap();
    let report = json!({"processingState": "COMPLETE", "processingStateMessage": "succeeded"});
    served.post(&format!("/v1/leases/{lease}/progress"), report).await;
    let until = Instant::now() + Duration::from_secs(30);
    while served.get("/v1/deliveries").await["count"] != 0 || HEARD.lock().unwrap().is_empty() {
        assert!(Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let heard = HEARD.lock().unwrap().clone();
    assert_eq!((heard.len(), heard[0].url.as_str()), (1, "http://receiver.example/x"));
    let body: Value = serde_json::from_str(&heard[0].body).unwrap();
    assert_eq!((&body["externalId"], &body["processingStateMessage"]), (&json!("x-1"), &json!("succeeded")));
    let header = |name: &str| heard[0].headers.iter().find(|(known, _)| *known == name).unwrap().1.clone();
    assert!(
        header("x-pop-signature").starts_with("sha256=") && header("x-pop-delivery") == body["deliveryId"]
    );
}

#[tokio::test]
async fn schedules_are_stored_with_their_next_time() {
    let served = Served::new().await;
    let template = json!({"id": "t", "agenda": {"operations": [{"name": "a", "type": "sample"}]}});
    served.post("/v1/agenda-templates", template).await;
    let schedule =
        json!({"id": "s", "cron": "0 3 * * *", "timeZone": "Europe/Berlin", "agendaTemplateId": "t"});
    let stored = served.post("/v1/schedules", schedule).await;
    assert!(stored["nextTime"].as_u64().unwrap() > 1_700_000_000_000);
    let (status, paused) = served.send("PUT", "/v1/schedules/s", &[], r#"{"isPaused": true}"#).await;
    assert_eq!((status, paused.get("nextTime")), (200, None));
    let (status, answer) =
        served.send("POST", "/v1/schedules", &[], r#"{"cron": "* * *", "agendaTemplateId": "t"}"#).await;
    assert_eq!(status, 422, "{answer}");
    assert_eq!(served.send("DELETE", "/v1/schedules/s", &[], "").await.0, 200);
}

#[tokio::test]
async fn the_description_names_every_path() {
    let served = Served::new().await;
    let document = served.get("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    for (path, methods) in document["paths"].as_object().unwrap() {
        let real = path
            .replace("{id}", "x")
            .replace("{operation}", "x")
            .replace("{lease}", "x~1")
            .replace("{link}", "x");
        for method in methods.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let (status, answer) = served.send(&method.to_uppercase(), &real, &[], "{}").await;
            let is_known = status != 405
                && !answer["detail"].as_str().unwrap_or_default().starts_with("there is nothing");
            assert!(is_known, "{method} {path}: {status} {answer}");
        }
    }
}
