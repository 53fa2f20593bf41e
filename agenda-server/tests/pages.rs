//! The web pages and what they need: headers, requests of other sites, lists, decisions, templates, reports of executors.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda_server::{AgendaCheck, AgendaServer, AuditLog, Scope, ServerSettings, issue_token};
use pop_contract::LaunchType;
use pop_report::OperationState;
use pop_service::Rules;
use pop_service_store::Store;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

struct Served {
    _folder: TempDir,
    address: SocketAddr,
    store: Store,
    _stop: oneshot::Sender<()>,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }
}

impl Served {
    async fn new(needs_token: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::sqlite(&folder.path().join("pop.db")).unwrap();
        let settings = ServerSettings {
            listen: "127.0.0.1:0".parse().unwrap(),
            tls: None,
            listens_locally: false,
            needs_token,
            longest_body: 16 * 1024 * 1024,
            rate: 10_000,
            hides_status: false,
            rules: Rules { lease: 60_000, longest_lease: 60_000 },
            recheck: None,
            audit: Some(AuditLog::open(&folder.path().join("audit.jsonl")).unwrap()),
            send_webhook: None,
        };
        let check = AgendaCheck::new(None, LaunchType::Local, &mut Vec::new());
        let server = AgendaServer::bind(settings, store.clone(), check).await.unwrap();
        let address = server.address();
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(server.serve(async move { drop(stopped.await) }));
        Self { _folder: folder, address, store, _stop: stop }
    }

    async fn send(&self, method: &str, path: &str, headers: &[String], body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let has = |name: &str| headers.iter().any(|header| header.to_lowercase().starts_with(name));
        let mut head = vec![
            format!("{method} {path} HTTP/1.1"),
            "connection: close".to_owned(),
            format!("content-length: {}", body.len()),
        ];
        if !has("host:") {
            head.push(format!("host: {}", self.address));
        }
        if !has("content-type:") {
            head.push("content-type: application/json".to_owned());
        }
        head.extend(headers.iter().cloned());
        let head = head.join("\r\n");
        stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.ok();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send("GET", path, &[], "").await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let answer = self.send("POST", path, &[], &body.to_string()).await;
        assert!(answer.status < 300, "{path}: {} {}", answer.status, answer.body);
        answer.json()
    }

    /// Submits an agenda with operations `a` and `b`, which waits for `a`. Returns its id.
    async fn submit(&self, title: &str) -> String {
        let agenda = json!({"title": title, "linkId": format!("link {title}"), "operations": [
            {"name": "a", "type": "sample"}, {"name": "b", "type": "sample", "params": {"dependsOn": "a"}}]});
        self.post("/v1/agendas", agenda).await["id"].as_str().unwrap().to_owned()
    }

    /// Pulls one agenda. Returns its lease.
    async fn pull(&self) -> String {
        let pulled = self.post("/v1/insights/default/pull", json!({"count": 1, "puller": "p"})).await;
        pulled["items"][0]["progressId"].as_str().unwrap().to_owned()
    }

    async fn runs(&self, query: &str) -> Vec<String> {
        let runs = self.get(&format!("/v1/runs?{query}")).await;
        runs["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["title"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn headers(list: &[&str]) -> Vec<String> {
    list.iter().map(|header| (*header).to_owned()).collect()
}

#[tokio::test]
async fn the_page_needs_no_token_and_allows_only_itself() {
    let served = Served::new(true).await;
    // also when another site links to it
    for of in [&[][..], &["sec-fetch-site: cross-site", "sec-fetch-mode: navigate"]] {
        let page = served.send("GET", "/", &headers(of), "").await;
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").unwrap();
        for part in
            ["default-src 'none'", "script-src 'sha256-", "connect-src 'self'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"));
        assert!(page.body.contains("<title>pop agenda service</title>"));
    }
    let answer = served.send("GET", "/v1/runs", &[], "").await;
    assert_eq!((answer.status, answer.header("content-type")), (401, Some("application/problem+json")));
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn a_token_is_read_from_its_header_only_and_no_cookie_is_set() {
    let served = Served::new(true).await;
    let token = issue_token(served.store.clone(), "reader", &[Scope::Read]).await.unwrap();
    let anonymous = served.get("/v1/session").await;
    assert_eq!((&anonymous["isSignedIn"], &anonymous["scopes"]), (&json!(false), &json!([])));
    let signed = served.send("GET", "/v1/session", &[format!("authorization: Bearer {token}")], "").await;
    assert_eq!(signed.json()["scopes"], json!(["read"]));
    assert_eq!(signed.header("set-cookie"), None);
    for header in [format!("cookie: token={token}"), format!("cookie: {token}"), format!("x-token: {token}")]
    {
        assert_eq!(served.send("GET", "/v1/runs", &[header], "").await.status, 401);
    }
    let path = format!("/v1/agendas/x?token={token}");
    assert_eq!(served.send("GET", &path, &[], "").await.status, 401);
    assert_eq!(
        served.send("GET", "/v1/session", &headers(&["authorization: Bearer pop_0"]), "").await.status,
        401
    );
}

#[tokio::test]
async fn a_request_of_another_site_is_refused_with_and_without_a_token() {
    for needs_token in [false, true] {
        let served = Served::new(needs_token).await;
        let token = issue_token(served.store.clone(), "all", &[Scope::Admin]).await.unwrap();
        let agenda = json!({"operations": [{"name": "a", "type": "sample"}]}).to_string();
        let own = format!("origin: http://{}", served.address);
        for (extra, status) in [
            (vec![own.clone()], 201),
            (headers(&["sec-fetch-site: same-origin"]), 201),
            // a proxy with TLS has passed another host on
            (headers(&["sec-fetch-site: same-origin", "origin: https://pop.example"]), 201),
            (headers(&["origin: http://evil.example"]), 403),
            (headers(&["origin: http://127.0.0.1:1"]), 403),
            (headers(&["origin: null"]), 403),
            (headers(&["sec-fetch-site: cross-site"]), 403),
            (headers(&["sec-fetch-site: same-site"]), 403),
            // what a form can send
            (vec![own.clone(), "content-type: text/plain".to_owned()], 415),
            (vec![own.clone(), "content-type: application/x-www-form-urlencoded".to_owned()], 415),
            (vec![own.clone(), "content-type: multipart/form-data".to_owned()], 415),
        ] {
            let mut all = extra.clone();
            if needs_token {
                all.push(format!("authorization: Bearer {token}"));
            }
            let answer = served.send("POST", "/v1/agendas", &all, &agenda).await;
            assert_eq!(answer.status, status, "{extra:?}: {}", answer.body);
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
        // a preflight is not answered with permissions
        let asked = headers(&["origin: http://evil.example", "access-control-request-method: POST"]);
        let preflight = served.send("OPTIONS", "/v1/agendas", &asked, "").await;
        assert!(preflight.status >= 400 && preflight.header("access-control-allow-origin").is_none());
    }
    // a name of another host that points to this machine
    let served = Served::new(false).await;
    let rebound = headers(&["host: evil.example", "sec-fetch-site: same-origin"]);
    assert_eq!(served.send("GET", "/v1/runs", &rebound, "").await.status, 403);
}

#[tokio::test]
async fn lists_have_filters_and_pages() {
    let served = Served::new(false).await;
    for title in ["one", "Two 100%", "three", "four"] {
        served.submit(title).await;
    }
    served.pull().await;
    assert_eq!(served.runs("").await, ["four", "three", "Two 100%", "one"]);
    assert_eq!(served.runs("state=running").await, ["one"]);
    assert_eq!(served.runs("state=waiting,running&limit=1").await, ["four"]);
    assert_eq!(served.runs("state=failed").await, Vec::<String>::new());
    assert_eq!(served.runs("text=tWO").await, ["Two 100%"]);
    assert_eq!(served.runs("text=%25").await, ["Two 100%"]);
    assert_eq!(served.runs("text=link+three").await, ["three"]);
    assert_eq!(served.runs("insightId=default&customerId=default").await.len(), 4);
    assert!(served.runs("customerId=other").await.is_empty());
    let mut seen = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        seen.extend(served.runs(&query).await);
        let next = served.get(&format!("/v1/runs?{query}")).await["next"].clone();
        let Some(next) = next.as_i64() else { break };
        query = format!("limit=3&before={next}");
    }
    assert_eq!(seen, ["four", "three", "Two 100%", "one"]);
    let queue = served.get("/v1/queue").await;
    let titles = |list: &Value| -> Vec<Value> {
        list.as_array().unwrap().iter().map(|run| run["title"].clone()).collect()
    };
    assert_eq!(titles(&queue["waiting"]), ["Two 100%", "three", "four"]);
    assert_eq!(queue["running"][0]["lease"]["puller"], "p");
    assert_eq!(queue["queues"], json!([{"insightId": "default", "waiting": 3, "leased": 1}]));
}

#[tokio::test]
async fn a_cancelled_agenda_ends_and_its_executor_is_refused() {
    let served = Served::new(false).await;
    let id = served.submit("x").await;
    let lease = served.pull().await;
    let report = json!({"processingState": "EXECUTING",
        "operationProgress": [{"operation": "a", "processingState": "EXECUTING", "startedTime": 5}]});
    served.post(&format!("/v1/leases/{lease}/progress"), report.clone()).await;
    served.post(&format!("/v1/agendas/{id}/cancel"), json!({})).await;
    assert_eq!(served.runs("state=cancelled").await, ["x"]);
    for what in ["progress", "renew", "report", "logs"] {
        let path = format!("/v1/leases/{lease}/{what}");
        assert_eq!(served.send("POST", &path, &[], &report.to_string()).await.status, 410, "{what}");
    }
    let again = served.send("POST", &format!("/v1/agendas/{id}/cancel"), &[], "").await;
    assert_eq!(again.status, 409, "{}", again.body);
    let overview = served.get(&format!("/v1/agendas/{id}/overview")).await;
    assert_eq!(overview["progress"]["processingStateMessage"], "cancelled");
    assert_eq!(
        overview["progress"]["diagnosticEvents"][0]["message"],
        "cancelled by a caller on this machine"
    );
    let shown = served.get(&format!("/v1/agendas/{id}/report")).await;
    let states = [OperationState::Cancelled, OperationState::Waiting].map(OperationState::number);
    assert_eq!((&shown["source"], &shown["data"]["chunk"]["state"]), (&json!("progress"), &json!(states)));
    // it may run again
    served.post(&format!("/v1/agendas/{id}/rerun"), json!({"words": ["continue"]})).await;
    assert_eq!(served.runs("state=waiting").await, ["x"]);
}

#[tokio::test]
async fn a_reclaimed_agenda_waits_again_and_the_old_executor_cannot_take_it_back() {
    let served = Served::new(false).await;
    let id = served.submit("x").await;
    let first = served.pull().await;
    let report = json!({"processingState": "EXECUTING"});
    served.post(&format!("/v1/leases/{first}/progress"), report.clone()).await;
    served.post(&format!("/v1/agendas/{id}/reclaim"), json!({})).await;
    let late = served.send("POST", &format!("/v1/leases/{first}/progress"), &[], &report.to_string()).await;
    assert_eq!(late.status, 410);
    let overview = served.get(&format!("/v1/agendas/{id}/overview")).await;
    assert_eq!((&overview["work"]["attempts"], &overview["ahead"]), (&json!(1), &json!(0)));
    assert_ne!(served.pull().await, first);
    let waiting = served.submit("y").await;
    assert_eq!(served.send("POST", &format!("/v1/agendas/{waiting}/reclaim"), &[], "").await.status, 409);
}

#[tokio::test]
async fn what_an_executor_reports_is_shown_until_the_agenda_is_rerun_or_deleted() {
    let served = Served::new(false).await;
    let id = served.submit("x").await;
    let lease = served.pull().await;
    let data = json!({"head": {"run": "r"}, "chunk": {"count": 0}, "live": "http://evil.example"});
    served.post(&format!("/v1/leases/{lease}/report"), data).await;
    let log = |text: &str| json!({"logs": [{"operation": "a", "attempt": 1, "text": text, "isCut": true}]});
    served.post(&format!("/v1/leases/{lease}/logs"), log("first\n")).await;
    served.post(&format!("/v1/leases/{lease}/logs"), log("second\n")).await;
    let too_long = served
        .send("POST", &format!("/v1/leases/{lease}/logs"), &[], &log(&"x".repeat(70_000)).to_string())
        .await;
    assert_eq!(too_long.status, 422);
    let shown = served.get(&format!("/v1/agendas/{id}/report")).await;
    assert_eq!((&shown["source"], &shown["data"]["head"]["run"]), (&json!("executor"), &json!("r")));
    assert_eq!(shown["data"].get("live"), None);
    assert_eq!(served.get(&format!("/v1/agendas/{id}/overview")).await["logs"], json!(["a"]));
    assert_eq!(served.get(&format!("/v1/agendas/{id}/logs/a")).await["text"], "second\n");
    // the last report may come after the end
    let end = json!({"processingState": "COMPLETE", "processingStateMessage": "succeeded"});
    served.post(&format!("/v1/leases/{lease}/progress"), end).await;
    served.post(&format!("/v1/leases/{lease}/report"), json!({"head": {"run": "last"}})).await;
    assert_eq!(served.get(&format!("/v1/agendas/{id}/report")).await["data"]["head"]["run"], "last");
    // the report of a run that has grown too large is taken back
    served.post(&format!("/v1/leases/{lease}/report"), json!({})).await;
    assert_eq!(served.get(&format!("/v1/agendas/{id}/report")).await["source"], "progress");
    served.post(&format!("/v1/agendas/{id}/rerun"), json!({"words": ["resetAll"]})).await;
    assert_eq!(served.get(&format!("/v1/agendas/{id}/report")).await["source"], "progress");
    let next = served.pull().await;
    served.post(&format!("/v1/leases/{next}/logs"), log("third\n")).await;
    let done = json!({"processingState": "COMPLETE", "processingStateMessage": "succeeded"});
    served.post(&format!("/v1/leases/{next}/progress"), done).await;
    assert_eq!(served.send("DELETE", &format!("/v1/agendas/{id}"), &[], "").await.status, 200);
    let left = served.store.transact(|ledger| {
        Ok((
            ledger.find(pop_service::Kind::RunReport, &pop_service::Query::default())?.len(),
            ledger.find(pop_service::Kind::OperationLog, &pop_service::Query::default())?.len(),
        ))
    });
    assert_eq!(left.await.unwrap(), (0, 0));
}

#[tokio::test]
async fn a_template_takes_values_of_inputs_and_names_each_wrong_one() {
    let served = Served::new(false).await;
    let template = json!({"id": "t", "agenda": {"title": "made", "inputs": {
        "folder": {"description": "where"}, "width": {"type": "integer", "enum": [480, 720], "default": 720},
        "note": {"required": false}},
        "operations": [{"name": "a", "type": "sample", "payload": {"f": "@<pop.inputs::/folder>"}}]}});
    served.post("/v1/agenda-templates", template).await;
    let path = "/v1/agenda-templates/t/agendas";
    let wrong = json!({"inputs": {"width": 500, "wide": 1}});
    let refused = served.send("POST", path, &[], &wrong.to_string()).await;
    assert_eq!(refused.status, 422);
    let pointers: Vec<Value> =
        refused.json()["faults"].as_array().unwrap().iter().map(|fault| fault["pointer"].clone()).collect();
    assert!(
        pointers.contains(&json!("/inputs/folder")) && pointers.contains(&json!("/inputs/width")),
        "{pointers:?}"
    );
    assert!(refused.body.contains("`wide`") && !refused.body.contains("--input"), "{}", refused.body);
    let good = json!({"inputs": {"folder": "in", "width": 480}, "title": "mine"});
    let made = served.post(path, good).await;
    assert_eq!(made["title"], "mine");
    assert_eq!(
        (&made["inputs"]["folder"]["default"], &made["inputs"]["width"]["default"]),
        (&json!("in"), &json!(480))
    );
    assert_eq!(made["inputs"]["folder"]["required"], false);
    // a new agenda is as good as the file that says so
    let checked = served.post("/v1/check", made).await;
    let errors =
        checked["faults"].as_array().unwrap().iter().filter(|fault| fault["severity"] == "error").count();
    assert_eq!(errors, 0, "{checked}");
}

#[tokio::test]
async fn yaml_is_checked_and_stored_like_json() {
    let served = Served::new(false).await;
    let yaml = headers(&["content-type: application/yaml"]);
    let good = "title: y\noperations:\n  - {name: a, type: sample}\n";
    let made = served.send("POST", "/v1/agendas", &yaml, good).await;
    assert_eq!((made.status, &made.json()["title"]), (201, &json!("y")), "{}", made.body);
    let bad = "operations:\n  - {name: a, type: sample, payload: '@<b.out>'}\n";
    let refused = served.send("POST", "/v1/agendas", &yaml, bad).await;
    assert_eq!((refused.status, &refused.json()["faults"][0]["line"]), (422, &json!(2)), "{}", refused.body);
    let broken = served.send("POST", "/v1/agendas", &yaml, "a: [\n").await;
    assert_eq!(broken.status, 400, "{}", broken.body);
    let faults = served.send("POST", "/v1/check", &yaml, "a: [\n").await.json();
    assert!(faults["faults"][0]["line"].is_u64(), "{faults}");
}

#[tokio::test]
async fn a_page_that_waits_hears_of_a_change_and_not_of_silence() {
    let served = Arc::new(Served::new(false).await);
    let version = served.get("/v1/changes").await["version"].as_u64().unwrap();
    let silent = served.get(&format!("/v1/changes?since={version}&waitMs=50")).await;
    assert_eq!(silent, json!({"version": version, "changed": false}));
    let waiting = {
        let served = Arc::clone(&served);
        tokio::spawn(async move { served.get(&format!("/v1/changes?since={version}&waitMs=60000")).await })
    };
    tokio::task::yield_now().await;
    served.submit("x").await;
    let heard = tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap().unwrap();
    assert_eq!(heard["changed"], true);
    assert!(heard["version"].as_u64().unwrap() > version);
}

#[tokio::test]
async fn scopes_hold_for_what_pages_do() {
    let served = Served::new(true).await;
    let mut tokens = Vec::new();
    for scope in Scope::ALL {
        tokens.push((scope, issue_token(served.store.clone(), scope.as_str(), &[scope]).await.unwrap()));
    }
    for (method, path, needed) in [
        ("GET", "/v1/runs", Scope::Read),
        ("GET", "/v1/queue", Scope::Read),
        ("GET", "/v1/changes", Scope::Read),
        ("GET", "/v1/agendas/x/overview", Scope::Read),
        ("GET", "/v1/agendas/x/report", Scope::Read),
        ("GET", "/v1/agendas/x/logs/a", Scope::Read),
        ("POST", "/v1/agendas/x/cancel", Scope::Submit),
        ("POST", "/v1/agendas/x/reclaim", Scope::Admin),
        ("POST", "/v1/agenda-templates/x/agendas", Scope::Submit),
        ("POST", "/v1/leases/x~1/report", Scope::Pull),
        ("POST", "/v1/leases/x~1/logs", Scope::Pull),
        ("GET", "/v1/audit", Scope::Admin),
    ] {
        for (scope, token) in &tokens {
            let status =
                served.send(method, path, &[format!("authorization: Bearer {token}")], "{}").await.status;
            let may = *scope == needed || *scope == Scope::Admin;
            assert_eq!(status == 403, !may, "{method} {path} with {scope}: {status}");
        }
        assert_eq!(served.send(method, path, &[], "{}").await.status, 401, "{path}");
    }
    let admin = format!("authorization: Bearer {}", tokens[3].1);
    let audit = served.send("GET", "/v1/audit?limit=5", &[admin], "").await.json();
    assert_eq!(audit["items"].as_array().unwrap().len(), 5);
    assert!(audit["next"].is_u64() && audit["items"][0]["status"].is_u64());
}
