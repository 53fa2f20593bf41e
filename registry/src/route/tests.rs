//! Each step of the choice, each tie, and each case without a handler.

use super::*;
use crate::Descriptor;
use pop_document::Source;

fn catalog(registry: &str) -> Catalog {
    let source = Source::new("r.yaml", registry.as_bytes()).unwrap();
    let mut faults = Vec::new();
    let catalog = Catalog::build(Some(&source), &mut faults);
    assert_eq!(faults, []);
    catalog
}

fn request(handler_type: &str) -> RouteRequest<'_> {
    RouteRequest::of_type(handler_type, LaunchType::Local)
}

/// The chosen handler and the step that chose it.
fn chosen_by(catalog: &Catalog, request: RouteRequest<'_>) -> (String, RouteStep) {
    let routed = route(catalog, &request).unwrap();
    (routed.entry.map_or("-", |entry| &entry.id).to_owned(), routed.step)
}

fn rejected(catalog: &Catalog, request: RouteRequest<'_>) -> Vec<String> {
    route(catalog, &request).unwrap().rejected.iter().map(ToString::to_string).collect()
}

/// Three handlers of one type, none of which has the type as id.
const THREE: &str = "z: {type: probe, command: [z], actions: [read, write], version: 1}\n\
                     y: {type: probe, command: [y], actions: [write], version: 2, inputs: [agenda]}\n\
                     x: {type: probe, command: [x], inputs: [local]}\nother: {command: [o]}\n";

#[test]
fn r12_1_an_operation_of_the_run_has_the_agendas_handler() {
    let catalog = catalog(THREE);
    let routed = RouteRequest { assigned: Some("y"), handler: Some("x"), stream: LOCAL, ..request("probe") };
    assert_eq!(chosen_by(&catalog, routed), ("y".to_owned(), RouteStep::AssignedLocal));
}

#[test]
fn r12_2_any_other_operation_has_the_agendas_handler() {
    let catalog = catalog(THREE);
    let routed = RouteRequest { assigned: Some("y"), handler: Some("z"), ..request("probe") };
    assert_eq!(chosen_by(&catalog, routed), ("y".to_owned(), RouteStep::Assigned));
}

#[test]
fn r12_2_an_assigned_handler_that_does_not_fit_is_rejected() {
    let catalog = catalog(THREE);
    let agenda = RouteRequest { assigned: Some("other"), handler: Some("y"), ..request("probe") };
    assert_eq!(chosen_by(&catalog, agenda), ("y".to_owned(), RouteStep::Named));
    assert_eq!(rejected(&catalog, agenda), ["`other` serves type `other`"]);
    let by_action = RouteRequest { assigned: Some("y"), action: Some("read"), ..request("probe") };
    assert_eq!(chosen_by(&catalog, by_action), ("z".to_owned(), RouteStep::First));
    assert_eq!(rejected(&catalog, by_action), ["`y` does not support the action", "`x` comes later"]);
    let by_version = RouteRequest { assigned: Some("z"), version: Some("2"), ..request("probe") };
    assert_eq!(chosen_by(&catalog, by_version), ("y".to_owned(), RouteStep::First));
    assert_eq!(rejected(&catalog, by_version), ["`z` has version `1`", "`x` has no version"]);
    // an unknown name is a fault, not a rejection
    let unknown = RouteRequest { assigned: Some("othr"), ..request("probe") };
    let near = Some("other".to_owned());
    assert_eq!(route(&catalog, &unknown), Err(NoRoute::UnknownHandler { handler: "othr".to_owned(), near }));
}

#[test]
fn r12_3_the_operations_handler_comes_before_roles() {
    let catalog = catalog(&format!("{THREE}$routing: {{roles: {{r: {{inputs: [agenda], handler: y}}}}}}\n"));
    let routed = RouteRequest { handler: Some("z"), ..request("probe") };
    assert_eq!(chosen_by(&catalog, routed), ("z".to_owned(), RouteStep::Named));
    for (handler, action, reason) in [
        ("other", None, RejectionReason::OtherType("other".to_owned())),
        ("y", Some("read"), RejectionReason::OtherAction),
    ] {
        let routed = RouteRequest { handler: Some(handler), action, ..request("probe") };
        let unfit = RejectedHandler { handler: handler.to_owned(), reason };
        assert_eq!(route(&catalog, &routed), Err(NoRoute::Unfit(unfit)));
    }
    let unknown = RouteRequest { handler: Some("nobody-at-all"), ..request("probe") };
    assert!(matches!(route(&catalog, &unknown), Err(NoRoute::UnknownHandler { near: None, .. })));
}

#[test]
fn r12_4_a_role_with_the_stream_chooses_its_handler() {
    let roles = "$routing: {roles: {b: {inputs: [agenda], handler: other}, c: {inputs: [local], handler: x}, \
                 a: {inputs: [local, agenda], handler: y}}}\n";
    let catalog = catalog(&format!("{THREE}{roles}"));
    let agenda = request("probe");
    assert_eq!(chosen_by(&catalog, agenda), ("y".to_owned(), RouteStep::Role("a".to_owned())));
    assert_eq!(rejected(&catalog, agenda), ["`other` serves type `other`"]);
    // of two roles with this stream the first in the file wins
    let local = RouteRequest { stream: LOCAL, ..request("probe") };
    assert_eq!(chosen_by(&catalog, local), ("x".to_owned(), RouteStep::Role("c".to_owned())));
}

#[test]
fn r12_5_the_first_handler_that_serves_the_action() {
    let catalog = catalog(THREE);
    let table = [
        (None, None, "z"),
        (Some("write"), None, "z"),
        (Some("read"), Some("1"), "z"),
        (Some("write"), Some("2"), "y"),
    ];
    for (action, version, wanted) in table {
        let routed = RouteRequest { action, version, ..request("probe") };
        assert_eq!(
            chosen_by(&catalog, routed),
            (wanted.to_owned(), RouteStep::First),
            "{action:?} {version:?}"
        );
    }
}

#[test]
fn r12_5_a_tie_goes_to_type_id_then_file_then_descriptors() {
    let order = |registry: &str| chosen_by(&catalog(registry), request("probe")).0;
    assert_eq!(order("b: {type: probe, command: [b]}\na: {type: probe, command: [a]}\n"), "b");
    assert_eq!(order("b: {type: probe, command: [b]}\nprobe: {command: [a]}\n"), "probe");
    let json = br#"{"b": {"type": "probe", "command": ["b"]}, "a": {"type": "probe", "command": ["a"]}}"#;
    let json = Source::new("r.json", json).unwrap();
    let text = "[main]\nenabled=1\n[types]\nbind=probe\ncontent=probe\n[probe]\nclass=x\n";
    let descriptors = |names: [&str; 1]| -> Vec<Descriptor> {
        let of = |name| Descriptor::read(Source::ini(format!("{name}.conf"), text.as_bytes()).unwrap());
        names.into_iter().map(of).collect()
    };
    let both = Catalog::assemble(Some(&json), descriptors(["0"]), &mut Vec::new());
    assert_eq!(chosen_by(&both, request("probe")).0, "b");
    assert_eq!(
        rejected(&both, request("probe")),
        ["`a` comes later", "`0/content.probe` comes later", "`0/bind.probe` comes later"]
    );
    let alone = Catalog::assemble(None, descriptors(["0"]), &mut Vec::new());
    assert_eq!(chosen_by(&alone, request("probe")).0, "0/content.probe");
    let bind = RouteRequest { action: Some("bind.bind"), ..request("probe") };
    assert_eq!(chosen_by(&alone, bind).0, "0/bind.probe");
}

#[test]
fn r9_a_version_selects_and_an_unknown_one_lists_the_known() {
    let catalog = catalog(THREE);
    for (version, wanted) in [("1", "z"), ("2", "y")] {
        let routed = RouteRequest { version: Some(version), ..request("probe") };
        assert_eq!(chosen_by(&catalog, routed).0, wanted);
    }
    let unknown = RouteRequest { version: Some("3"), ..request("probe") };
    let known = vec!["1".to_owned(), "2".to_owned()];
    assert_eq!(route(&catalog, &unknown), Err(NoRoute::UnknownVersion { known }));
    let built_in = RouteRequest { version: Some("3"), ..request("sample") };
    assert_eq!(route(&catalog, &built_in), Err(NoRoute::UnknownVersion { known: Vec::new() }));
    let named = RouteRequest { version: Some("2"), handler: Some("z"), ..request("probe") };
    let unfit = RejectedHandler {
        handler: "z".to_owned(),
        reason: RejectionReason::OtherVersion(Some("1".to_owned())),
    };
    assert_eq!(route(&catalog, &named), Err(NoRoute::Unfit(unfit)));
}

#[test]
fn r11_a_handler_supports_only_its_actions() {
    let catalog = catalog("probe: {command: [p], actions: {read: {}, write: {policies: {onFail: SKIP}}}}\n");
    for action in ["read", "write"] {
        let routed = RouteRequest { action: Some(action), ..request("probe") };
        assert_eq!(chosen_by(&catalog, routed).0, "probe");
    }
    let routed = RouteRequest { action: Some("erase"), ..request("probe") };
    let known = vec!["read".to_owned(), "write".to_owned()];
    assert_eq!(route(&catalog, &routed), Err(NoRoute::UnknownAction { known }));
    let layers = |action| catalog.entry("probe").unwrap().policies.layers(AGENDA, Some(action)).len();
    assert_eq!((layers("read"), layers("write")), (0, 1));
}

#[test]
fn r13_a_handler_discards_other_streams_except_in_step_1() {
    let role = "$routing: {roles: {r: {inputs: [agenda], handler: x}}}\n";
    let catalog = catalog(&format!("{THREE}{role}"));
    let discarded = |handler: &str, step, input: &str| {
        Err(NoRoute::Discarded { handler: handler.to_owned(), step, inputs: vec![input.to_owned()] })
    };
    // `y` accepts only agenda, `x` only local
    let local = RouteRequest { stream: LOCAL, ..request("probe") };
    let agenda = request("probe");
    let table = [
        (RouteRequest { assigned: Some("y"), ..local }, None),
        (RouteRequest { assigned: Some("x"), ..agenda }, Some(discarded("x", RouteStep::Assigned, LOCAL))),
        (RouteRequest { handler: Some("y"), ..local }, Some(discarded("y", RouteStep::Named, AGENDA))),
        (agenda, Some(discarded("x", RouteStep::Role("r".to_owned()), LOCAL))),
        (RouteRequest { version: Some("2"), ..local }, Some(discarded("y", RouteStep::First, AGENDA))),
    ];
    for (routed, wanted) in table {
        let routed = route(&catalog, &routed);
        match wanted {
            None => assert_eq!(routed.unwrap().step, RouteStep::AssignedLocal),
            Some(wanted) => assert_eq!(routed, wanted),
        }
    }
}

#[test]
fn r13_allow_handlers_accepts_every_stream() {
    let catalog = catalog(&format!("{THREE}$routing: {{allowHandlers: true}}\n"));
    let routed = RouteRequest { handler: Some("y"), stream: LOCAL, ..request("probe") };
    assert_eq!(chosen_by(&catalog, routed).0, "y");
}

#[test]
fn launchable_handlers_come_first_and_built_in_types_last() {
    let catalog = catalog(
        "basePodConfig: {}\npod: {type: probe, podConfig: {imageName: p:1}}\nlocal: {type: probe, command: [l]}\n\
         sample: {podConfig: {imageName: s:1}}\n",
    );
    assert_eq!(chosen_by(&catalog, request("probe")).0, "local");
    assert_eq!(rejected(&catalog, request("probe")), ["`pod` has no `command`, which this launcher needs"]);
    let docker = RouteRequest::of_type("probe", LaunchType::Docker);
    assert_eq!(chosen_by(&catalog, docker).0, "pod");
    assert_eq!(chosen_by(&catalog, request("sample")), ("-".to_owned(), RouteStep::BuiltIn));
    // a named handler is never replaced silently
    let named = RouteRequest { handler: Some("pod"), ..request("probe") };
    let missing = NoRoute::NotHere { handler: "pod".to_owned(), missing: "command" };
    assert_eq!(route(&catalog, &named), Err(missing));
}

#[test]
fn every_step_has_a_text() {
    let found: Vec<_> = [
        RouteStep::AssignedLocal,
        RouteStep::Assigned,
        RouteStep::Named,
        RouteStep::Role("r".to_owned()),
        RouteStep::First,
        RouteStep::BuiltIn,
    ]
    .iter()
    .map(ToString::to_string)
    .collect();
    assert_eq!(
        found,
        [
            "the agenda assigns it to all operations, including those made by the run",
            "the agenda assigns it to all operations",
            "the operation names it",
            "role `r` assigns it the stream",
            "it is the first handler that serves the type",
            "it is built in",
        ]
    );
}
