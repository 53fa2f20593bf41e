//! Calls in memory: every method of every capability, missing methods, failures and panics.

use super::*;
use crate::{DiagnosticEvent, InMemory, InMemoryRun, describe};
use pop_contract::{Blame, Call, Capability};
use pop_contract::{CallEnd, DispatchReport, Failure, HandlerReport};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize, JsonSchema)]
struct Unit {
    name: String,
}

/// The name of a unit selects the behaviour.
struct Content;

impl ContentHandler for Content {
    type Unit = Unit;
    const METHODS: &'static [Method] = &[Method::Install, Method::Uninstall, Method::Profile];

    fn about(&self) -> About {
        About::new("1.2", "content").error("mine", "an error of its own")
    }

    async fn install(
        &self,
        units: Vec<Unit>,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<ContentReport, HandlerError> {
        let mut report = ContentReport::default();
        for unit in &units {
            match unit.name.as_str() {
                "panic" => panic!("on purpose"),
                "error" => return Err(HandlerError::new("cannot").code("mine").trace("there:1")),
                "payload" => return Err(HandlerError::new("no such name").code("payload")),
                "several" => {
                    let both = ["one", "two"].map(DiagnosticEvent::new);
                    return Err(HandlerError::several(both.to_vec()));
                }
                "fail" => report.set_failed([("missing", json!(["fail"]))]),
                "fail-at-length" => report.set_failed([("missing", "x".repeat(70_000))]),
                "progress" => conduit.update_progress(json!(["any", {"json": 1}])),
                "progress-at-length" => conduit.update_progress("y".repeat(20_000)),
                name => report.set_succeeded(
                    [
                        ("name", json!(name)),
                        ("options", json!(options)),
                        ("type", json!(conduit.type_id())),
                        ("consumer", json!(conduit.consumer_id())),
                        ("key", json!(conduit.config::<u64>("import_key")?)),
                        ("cancelled", json!(conduit.cancelled())),
                    ],
                    units.len() as u64,
                ),
            }
        }
        Ok(report)
    }

    async fn profile(&self, conduit: &mut Conduit<'_>) -> Result<ProfileReport, HandlerError> {
        let root: String = conduit.require("root")?;
        let mut report = ProfileReport::default();
        report.set_succeeded([("root", root)], 0);
        Ok(report)
    }
}

struct Repositories;

impl BindHandler for Repositories {
    async fn bind(
        &self,
        binding: Binding,
        _: &Options,
        _: &mut Conduit<'_>,
    ) -> Result<BindReport, HandlerError> {
        let mut report = BindReport::default();
        report.set_succeeded(binding.details, 1);
        Ok(report)
    }

    async fn unbind(
        &self,
        repo_id: &str,
        _: &Options,
        _: &mut Conduit<'_>,
    ) -> Result<BindReport, HandlerError> {
        Err(HandlerError::new(format!("{repo_id} is in use")))
    }
}

/// Restarts unless an option says that the machine cannot, or must not.
struct Machine;

impl SystemHandler for Machine {
    async fn reboot(&self, options: &Options, _: &mut Conduit<'_>) -> Result<RebootReport, HandlerError> {
        let mut report = RebootReport::default();
        if options.contains_key("cannot") {
            report.set_failed([("message", "no permission")]);
        }
        if options.contains_key("later") {
            report.reboot_scheduled = Some(false);
        }
        Ok(report)
    }
}

/// Declares the capabilities without implementing their methods.
struct Nothing;

impl ContentHandler for Nothing {
    type Unit = Value;
}

impl BindHandler for Nothing {}

impl SystemHandler for Nothing {}

fn all() -> Capabilities<Content, Repositories, Machine> {
    Capabilities::new().content(Content).bind(Repositories).system(Machine)
}

async fn install(name: &str) -> InMemoryRun {
    let call =
        json!({"capability": "content", "method": "install", "type": "rpm", "units": [{"name": name}]});
    InMemory::default().run(&all(), &call).await
}

/// Returns the code and the report of the only diagnostic.
fn failed(run: &InMemoryRun) -> (String, Value) {
    assert!(!run.report.is_succeeded() && run.report.result.is_none());
    let [event] = run.report.progress.diagnostic_events.as_slice() else { panic!("{run:?}") };
    (event.status_code.clone().unwrap_or_default(), event.payload.clone().unwrap_or_default())
}

#[tokio::test]
async fn u13_report_of_a_method_is_the_result() {
    let run = install("zsh").await;
    assert_eq!(
        run.report.result,
        Some(json!({
            "succeeded": true, "num_changes": 1,
            "details": {"name": "zsh", "options": {}, "type": "rpm", "consumer": null, "key": null, "cancelled": false},
        }))
    );
}

#[tokio::test]
async fn u17_conduit_has_consumer_configuration_and_cancellation() {
    let call = json!({"capability": "content", "method": "install", "type": "tar", "units": [{"name": "a"}],
                      "options": {"force": true}});
    let agenda = InMemory::default().variable("AGENDA_ID", "agenda-7").property("import_key", "1");
    let run = agenda.variable("CUSTOMER_ID", "consumer-7").stopped_at(0.0).run(&all(), &call).await;
    assert_eq!(
        run.report.result.unwrap()["details"],
        json!({"name": "a", "options": {"force": true}, "type": "tar", "consumer": "consumer-7", "key": 1,
               "cancelled": true})
    );
    let run = InMemory::default().variable("AGENDA_ID", "agenda-7").run(&all(), &call).await;
    assert_eq!(run.report.result.unwrap()["details"]["consumer"], "agenda-7");
    // the error about a value of the wrong kind names the value's origin
    let run = InMemory::default().property("import_key", "yes").run(&all(), &call).await;
    let (code, report) = failed(&run);
    assert_eq!(code, "report");
    let message = "`yes` of environment variable `POP_PROPERTIES/import_key` is not a whole number";
    assert!(report["details"]["message"].as_str().unwrap().starts_with(message), "{report}");
}

#[tokio::test]
async fn u17_progress_is_any_json_and_too_long_progress_is_logged() {
    let run = install("progress").await;
    let params = run.progress[0].params.as_ref().unwrap();
    assert_eq!(params["progress"], json!(["any", {"json": 1}]));
    let run = install("progress-at-length").await;
    assert!(run.report.is_succeeded());
    assert_eq!(run.progress.len(), 1, "only the final report");
    assert!(run.log[0].starts_with("progress of 20002 bytes is too long"), "{}", run.log[0]);
}

#[tokio::test]
async fn u13_failed_report_fails_the_operation_with_all_details() {
    let run = install("fail").await;
    let report = json!({"succeeded": false, "details": {"missing": ["fail"]}, "num_changes": 0});
    assert_eq!(failed(&run), ("report".to_owned(), report));
    let message = &run.report.progress.diagnostic_events[0].message;
    assert_eq!(message, "`content.install` failed: {\"missing\":[\"fail\"]}");
    assert_eq!(&run.log[0], message);
}

#[tokio::test]
async fn report_that_is_too_long_is_logged_whole() {
    let run = install("fail-at-length").await;
    let (code, report) = failed(&run);
    assert_eq!((code.as_str(), &report["succeeded"]), ("report", &json!(false)));
    let omitted = format!("{} bytes, see the log", run.log[1].len());
    assert_eq!(report["details"]["omitted"], omitted);
    assert!(serde_json::to_string(&run.report.progress).unwrap().len() < 4_000);
    let whole: Value = serde_json::from_str(&run.log[1]).unwrap();
    assert_eq!(whole["details"]["missing"].as_str().unwrap().len(), 70_000);
}

#[tokio::test]
async fn u14_error_or_panic_is_a_report_with_message_and_trace() {
    let (code, report) = failed(&install("error").await);
    let details = json!({"message": "cannot", "trace": "there:1"});
    assert_eq!((code.as_str(), &report["details"]), ("report", &details));
    let (_, report) = failed(&install("several").await);
    assert_eq!(report["details"], json!({"message": "one; two", "trace": ""}));

    let run = install("panic").await;
    let (code, report) = failed(&run);
    assert_eq!((code.as_str(), &report["succeeded"]), ("report", &json!(false)));
    let details = report["details"].as_object().unwrap();
    assert_eq!(details.keys().collect::<Vec<_>>(), ["message", "trace"]);
    assert_eq!(details["message"], "on purpose");
    assert!(details["trace"].as_str().unwrap().contains("capability/tests.rs:"), "{details:?}");
    assert_eq!(run.log, ["`content.install` failed: on purpose"]);
}

#[tokio::test]
async fn refused_payload_is_not_a_report() {
    assert_eq!(failed(&install("payload").await).0, "payload");
    for call in [
        json!({"capability": "content", "method": "install", "type": "rpm"}),
        json!({"capability": "content", "method": "install", "type": "rpm", "units": [{"nam": "a"}]}),
        json!({"capability": "bind", "method": "bind", "type": "yum"}),
        json!({"capability": "bind", "method": "unbind", "type": "yum"}),
        json!({"capability": "bind", "method": "bind", "type": "yum", "binding": {"details": {}}}),
        json!({"method": "install", "type": "rpm", "units": []}),
    ] {
        let run = InMemory::default().run(&all(), &call).await;
        assert_eq!(failed(&run).0, "payload", "{call}");
    }
    let call = json!({"capability": "content", "method": "install", "type": "rpm", "units": 7});
    let run = InMemory::default().run(&all(), &call).await;
    let message = &run.report.progress.diagnostic_events[0].message;
    assert!(message.starts_with("the payload is not a valid CallPayload: invalid type"), "{message}");
}

#[tokio::test]
async fn u18_missing_method_is_not_implemented() {
    // a complete payload, so that only the method is missing
    let call = |capability: &str, method: &str| {
        json!({"capability": capability, "method": method, "type": "t", "units": [], "repo_id": "r",
               "binding": {"repo_id": "r"}})
    };
    let all_methods = [
        ("content", ["install", "update", "uninstall", "profile"].as_slice()),
        ("bind", &["bind", "unbind", "clean"]),
        ("system", &["reboot"]),
    ];
    let bare = Capabilities::new().content(Nothing).bind(Nothing).system(Nothing);
    for (capability, methods) in all_methods {
        for method in methods {
            let payload = call(capability, method);
            for run in [
                InMemory::default().run(&bare, &payload).await,
                InMemory::default().run(&Capabilities::new(), &payload).await,
            ] {
                assert_eq!(failed(&run).0, "not-implemented", "{payload}");
                let message = &run.report.progress.diagnostic_events[0].message;
                assert_eq!(*message, format!("`{capability}.{method}` is not implemented by this handler"));
            }
        }
    }
    // methods that the handler does not list, methods of another capability, and unknown names
    for (capability, method) in [
        ("content", "update"),
        ("content", "uninstall"),
        ("content", "clean"),
        ("content", "reboot"),
        ("bind", "install"),
        ("bind", "clean"),
        ("content", "frobnicate"),
        ("kitchen", "install"),
    ] {
        let run = InMemory::default().run(&all(), &call(capability, method)).await;
        assert_eq!(failed(&run).0, "not-implemented", "{capability}.{method}");
    }
}

#[tokio::test]
async fn u19_bind_report_names_its_repository() {
    let binding = json!({"repo_id": "r", "details": {"url": "u"}});
    let call = json!({"capability": "bind", "method": "bind", "type": "yum", "binding": binding});
    let run = InMemory::default().run(&all(), &call).await;
    let report = json!({"succeeded": true, "details": {"url": "u"}, "num_changes": 1, "repo_id": "r"});
    assert_eq!(run.report.result, Some(report));
    let call = json!({"capability": "bind", "method": "unbind", "type": "yum", "repo_id": "r"});
    let run = InMemory::default().run(&all(), &call).await;
    let report = json!({"succeeded": false, "details": {"message": "r is in use", "trace": ""}, "num_changes": 0,
                        "repo_id": "r"});
    assert_eq!(failed(&run).1, report);
}

#[tokio::test]
async fn u19_reboot_report_says_whether_a_restart_is_scheduled() {
    let reboot = async |options: Value| {
        let call = json!({"capability": "system", "method": "reboot", "type": "Linux", "options": options});
        InMemory::default().run(&all(), &call).await
    };
    assert_eq!(reboot(json!({})).await.report.result.unwrap()["reboot_scheduled"], true);
    assert_eq!(reboot(json!({"later": 1})).await.report.result.unwrap()["reboot_scheduled"], false);
    assert_eq!(failed(&reboot(json!({"cannot": 1})).await).1["reboot_scheduled"], false);
}

/// The toolkit writes reports, and the dispatch reads them.
#[tokio::test]
async fn u15_dispatch_reads_reports_of_the_toolkit() {
    let ended = |run: InMemoryRun| {
        let diagnostics = run.report.progress.diagnostic_events;
        let failure = Failure { diagnostics, ..Failure::new(Blame::Handler, "failed", "it failed") };
        CallEnd::from(run.report.result.ok_or(failure))
    };
    let call = |type_id: &str| Call {
        capability: Capability::Content,
        method: Method::Install,
        type_id: type_id.to_owned(),
        repo_id: None,
    };
    let report = DispatchReport::aggregate([
        (call("rpm"), ended(install("zsh").await)),
        (call("tar"), ended(install("fail").await)),
    ]);
    assert_eq!(report.details["rpm"]["details"]["name"], "zsh");
    assert_eq!(report.details["tar"], json!({"succeeded": false, "details": {"missing": ["fail"]}}));
    assert_eq!((report.succeeded, report.num_changes), (false, 1));
}

#[test]
fn description_has_actions_and_schemas() {
    let described = describe(&all());
    let actions: Vec<&str> = described.actions.iter().map(|action| action.name.as_str()).collect();
    assert_eq!(
        actions,
        [
            "content.install",
            "content.uninstall",
            "content.profile",
            "bind.bind",
            "bind.unbind",
            "bind.clean",
            "system.reboot"
        ]
    );
    let errors: Vec<&str> = described.errors.iter().map(|error| error.name.as_str()).collect();
    assert_eq!(errors, ["mine", "payload", "not-implemented", "report"]);
    assert_eq!((described.version.as_deref(), described.about.as_deref()), (Some("1.2"), Some("content")));
    let input = described.input.unwrap();
    assert_eq!(input["required"], json!(["capability", "method", "type"]));
    assert!(input["$defs"]["Unit"]["properties"]["name"].is_object(), "{input}");
    let result = described.result.unwrap();
    for field in serde_json::to_value(HandlerReport::default()).unwrap().as_object().unwrap().keys() {
        assert!(result["properties"][field].is_object(), "{field}");
    }
    let only = describe(&Capabilities::new().bind(Repositories));
    assert_eq!(only.actions.len(), 3);
}
