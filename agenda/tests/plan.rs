//! Plans and their faults: all faults are reported, with place and helpful message.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda::{Agenda, Plan};
use pop_contract::LaunchType;
use pop_document::{Fault, Source};
use pop_registry::Catalog;
use serde_json::{Value, json};
use std::sync::Arc;

fn build(text: &str) -> (Option<Plan>, Vec<String>) {
    let source = Source::new("agenda.yaml", text.as_bytes()).unwrap();
    let mut faults = Vec::new();
    let plan = match source.read() {
        Ok(root) => {
            let spellings = source.spellings(&root);
            let agenda = Agenda::parse(root, &mut faults).map(|agenda| agenda.spelled(spellings));
            agenda.and_then(|agenda| Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults))
        }
        Err(found) => {
            faults = found;
            None
        }
    };
    (plan, faults.iter().map(|fault| line(&source, fault)).collect())
}

/// `line:column code: message (label) [related]`
fn line(source: &Source, fault: &Fault) -> String {
    let sites: Vec<_> =
        std::iter::once(&fault.site).chain(fault.related.iter().map(|(site, _)| site)).collect();
    let places: Vec<_> = source
        .places(&sites)
        .into_iter()
        .map(|place| place.map_or("?".to_owned(), |place| format!("{}:{}", place.line, place.column)))
        .collect();
    let label = fault.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
    let related = fault.related.iter().zip(&places[1..]).map(|((_, words), at)| format!(" [{at} {words}]"));
    let related = related.collect::<Vec<_>>().concat();
    format!("{} {}: {}{label}{related}", places[0], fault.code, fault.message)
}

fn faults(text: &str) -> Vec<String> {
    let (plan, faults) = build(text);
    assert!(plan.is_none(), "a plan was built: {faults:?}");
    faults
}

#[test]
fn f34_all_unknown_names_are_reported_with_near_names() {
    insta::assert_snapshot!(faults(r#"
operations:
  - {name: probe, type: exce, payload: {command: ["true"]}}
  - name: thumb
    type: exec
    params: {dependsOn: "prob, other"}
    payload: {command: [x, "@<prbe.out::/w>", "@<probe>", "@<pop.agenda>"]}
  - {name: last, type: zzz}
"#).join("\n"), @r#"
    3:25 unknown-type: operation `probe` is of type `exce`, which no handler serves (did you mean `exec`?)
    6:26 unknown-dependency: operation `thumb` depends on `prob`, which is not in this agenda (did you mean `probe`?)
    6:32 unknown-dependency: operation `thumb` depends on `other`, which is not in this agenda
    7:31 unknown-reference: operation `thumb` refers to `prbe`, which is not in this agenda (did you mean `probe`?)
    7:50 unknown-reference: operation `thumb` refers to `probe`; its result is `probe.out` (did you mean `probe.out`?)
    7:62 unknown-reference: operation `thumb` refers to `pop.agenda`, which pop does not provide (did you mean `pop.agendaId`?)
    8:24 unknown-type: operation `last` is of type `zzz`, which no handler serves
    "#);
}

#[test]
fn f32_cycle_fault_has_path_and_place_of_each_edge() {
    insta::assert_snapshot!(faults(r#"
operations:
  - {name: a, type: sample, payload: "@<c.out>"}
  - {name: b, type: sample, params: {dependsOn: a}}
  - {name: c, type: sample, params: {dependsOn: [b]}}
  - {name: me, type: sample, payload: {x: "@<me.out::/y>"}}
"#).join("\n"), @r"
    3:39 cycle: operations depend on each other in a cycle: a -> c -> b -> a (`a` depends on `c`) [5:50 `c` depends on `b`] [4:49 `b` depends on `a`]
    6:44 cycle: operation `me` depends on itself (`me` depends on `me`)
    ");
}

#[test]
fn f33_f35_invalid_and_colliding_names_are_faults() {
    insta::assert_snapshot!(faults(r#"
operations:
  - {name: Probe, type: sample}
  - {name: probe, type: sample}
  - {name: ../x, type: sample}
  - {name: -rf, type: sample}
  - {type: sample}
  - {name: 7, type: sample}
  - just text
"#).join("\n"), @r#"
    5:12 bad-name: a name begins with a letter or digit, not with '.'
    6:12 bad-name: a name begins with a letter or digit, not with '-'
    7:5 missing-field: an operation needs a `name`
    8:12 wrong-type: `name` must be text, not `7`
    9:5 wrong-type: an operation must be a map, not text
    4:12 duplicate-name: `probe` and `Probe` differ only in letter case or Unicode form [3:12 the other operation]
    "#);
}

#[test]
fn wrong_types_in_an_agenda_are_faults() {
    insta::assert_snapshot!(faults(r#"
id: 7
operation: []
params: [x]
operations:
  - {name: a, type: exec, payload: {command: "ls -l"}, params: {timeoutMs: soon, dependsOn: 3}}
  - {name: b, type: exec, payloads: {}}
"#).join("\n"), @r#"
    3:1 unknown-field: unknown field `operation` is ignored (did you mean `operations`?)
    2:5 wrong-type: `id` must be text, not `7`
    4:9 wrong-type: `params` must be a map, not a list
    6:76 wrong-type: `timeoutMs` must be a whole number from 0, not `soon`
    6:93 wrong-type: `dependsOn` must name operations ("a, b" or ["a", "b"]), not a number
    7:27 unknown-field: an operation has no field `payloads`; it is ignored (did you mean `payload`?)
    6:46 wrong-type: `command` must be a list of arguments, not a shell line
    7:5 wrong-type: the payload of type `exec` must be a map, not null
    "#);
    assert_eq!(faults("operations: {}"), ["1:13 wrong-type: `operations` must be a list, not a map"]);
    assert_eq!(faults("id: x"), ["1:1 missing-field: an agenda needs the list `operations`"]);
    assert_eq!(faults("[1]"), ["1:1 wrong-type: an agenda must be a map, not a list"]);
}

#[test]
fn f34_reading_a_skippable_operation_needs_a_fallback() {
    let text = r#"
operations:
  - {name: a, type: sample, params: {onFail: SKIP}}
  - {name: b, type: sample, payload: "@<a.out::/x>"}
  - {name: c, type: sample, payload: ["@<a.out::/x?>", "@<a.out::?none>"]}
"#;
    assert_eq!(
        faults(text),
        ["4:39 no-fallback: operation `b` reads `a`, which may be skipped and then has no result"]
    );
}

#[test]
fn f34_dependencies_and_params_are_checked() {
    let text = r#"
params: {finally: true}
operations:
  - {name: a, type: sample, params: {forEach: 7}}
  - {name: b, type: sample, params: {dependsOn: "a.faild"}, payload: "@<pop.item>"}
  - {name: c, type: sample, params: {dependsOn: ["a.failed", "a.skipped"], maxParallel: 2}}
  - {name: d, type: sample, params: {dependsOn: "a.settled"}, payload: "@<a.out::/y?>"}
  - {name: e, type: sample, params: {finally: true}, payload: "@<d.out>"}
  - {name: f, type: sample, params: {dependsOn: e, agenda.operation.generator: {operationsJsonPointer: ops}}}
"#;
    assert_eq!(
        faults(text),
        [
            "2:10 misplaced-param: `finally` belongs to one operation and has no meaning here",
            "4:47 wrong-type: `forEach` must be a list, or a reference to one, not a number",
            "6:76 misplaced-param: `maxParallel` needs `forEach`: it limits its instances",
            "9:104 wrong-value: `operationsJsonPointer` must be a JSON pointer such as \"/operations\", not `ops`",
            "5:50 unknown-outcome: `faild` in `a.faild` is not an outcome: outcomes are settled, succeeded, skipped, failed, deadLettered, cancelled (did you mean `a.failed`?)",
            "5:73 unknown-reference: operation `b` refers to `pop.item` but has no `forEach`",
            "6:63 contradiction: operation `c` waits for outcomes that exclude each other [6:51 waits for another outcome]",
            "9:49 cycle: `f` depends on `e`, which waits for every operation without `finally`",
            "8:64 no-fallback: operation `e` reads `d`, which may have failed",
        ]
    );
}

#[test]
fn references_and_depends_on_both_make_edges() {
    let (plan, faults) = build(
        r#"
operations:
  - {name: last, type: sample, params: {dependsOn: "b , ,c"}, payload: {x: "@<a.out::/w> @<a.out::/h>", y: "@<b.out>"}}
  - {name: a, type: sample}
  - {name: b, type: sample, params: {dependsOn: ["a"]}}
  - {name: c, type: sample}
"#,
    );
    assert_eq!(faults, Vec::<String>::new());
    let plan = plan.unwrap();
    let name = |op| plan.operation(op).name.as_str();
    let last = plan.find("last").unwrap();
    let edges: Vec<_> =
        plan.graph().dependencies(last).map(|edge| format!("{} {:?}", name(edge.on), edge.kind)).collect();
    assert_eq!(edges, ["a Reads", "b Reads", "c Follows"]);
    let order: Vec<_> = plan.graph().order().0.into_iter().map(name).collect();
    assert_eq!(order, ["a", "b", "c", "last"]);
    let read: Vec<_> =
        plan.operations().filter(|(_, planned)| planned.is_read).map(|(op, _)| name(op)).collect();
    assert_eq!(read, ["a", "b"]);
}

#[test]
fn empty_agenda_gives_an_empty_plan() {
    assert!(build("operations: []").0.unwrap().is_empty());
}

#[test]
fn f44_100_000_operations_are_planned() {
    let operations: Vec<Value> = (0..100_000)
        .map(|i| {
            let needs = if i > 0 { format!("@<op{}.out::/x?>", i - 1) } else { String::new() };
            json!({"name": format!("op{i}"), "type": "exec", "payload": {"command": ["true", needs]}})
        })
        .collect();
    let text = json!({ "operations": operations }).to_string();
    assert_eq!(build(&text).0.unwrap().len(), 100_000);
}

#[test]
fn fr_c1_number_that_changes_as_text_is_a_fault() {
    insta::assert_snapshot!(faults(r#"
operations:
  - {name: arg, type: exec, payload: {command: [echo, 3.10, 1e3, True, 7, 1.5]}}
  - {name: env, type: exec, payload: {command: [x], env: {SHA: 1234e56, MODE: 0o644, BIN: 0x1F, OK: 1}}}
  - {name: each, type: exec, params: {forEach: [3.9, 3.10, 3.11]}, payload: {command: [echo, "@<pop.item>"]}}
  - name: inner
    type: sample
    params: {forEach: [{v: 3.10, w: 1.20}]}
    payload: {resultPayload: {a: "v@<pop.item::/v>", b: "@<pop.item::/w>"}}
  - name: lock
    type: sample
    params: {forEach: [1.10], lock: SAFE, lockKey: "@<pop.item>", version: 1.10}
    payload: {resultPayload: {a: 1.50, b: "@<pop.item>"}}
"#).join("\n"), @r"
    12:76 unknown-version: no handler of type `sample` has version `1.1`: there are none
    3:55 unquoted: `3.10` would become `3.1` as an argument of operation `arg`
    3:61 unquoted: `1e3` would become `1000.0` as an argument of operation `arg`
    3:66 unquoted: `True` would become `true` as an argument of operation `arg`
    4:64 unquoted: `1234e56` would become `1.234e+59` as the variable `SHA` of operation `env`
    4:79 unquoted: `0o644` would become `420` as the variable `MODE` of operation `env`
    4:91 unquoted: `0x1F` would become `31` as the variable `BIN` of operation `env`
    5:54 unquoted: `3.10` would become `3.1` as an argument of operation `each`
    8:28 unquoted: `3.10` would become `3.1` as text at `/resultPayload/a` in the payload of operation `inner`
    12:24 unquoted: `1.10` would become `1.1` as a lock key of operation `lock`
    12:76 unquoted: `1.10` would become `1.1` as the version of operation `lock`
    ");
}

#[test]
fn fr_c1_number_that_stays_a_number_needs_no_quotes() {
    let (plan, faults) = build(
        "operations:\n  - name: a\n    type: sample\n    params: {forEach: [3.10, 1e3]}\n    payload: {resultPayload: {a: 1.50, b: '@<pop.item>'}}\n",
    );
    assert!(plan.is_some(), "{faults:?}");
}

#[test]
fn fr_c2_unknown_reference_hint_names_the_escape() {
    let text = r#"{"operations": [{"name": "log", "type": "exec", "payload": {"command": ["git", "log", "--format=%h @<%an>"]}}]}"#;
    let source = Source::new("a.json", text.as_bytes()).unwrap();
    let mut faults = Vec::new();
    let agenda = Agenda::parse(source.read().unwrap(), &mut faults).unwrap();
    assert!(Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).is_none());
    let hint = "if `@<%an>` is text, write its `@` as `@<pop.at>`: `@<pop.at><%an>`";
    assert_eq!(faults[0].hint.as_deref(), Some(hint));
    let (plan, faults) = build(&text.replace("@<%an>", "@<pop.at><%an>"));
    assert!(plan.is_some(), "{faults:?}");
}

#[test]
fn fr_l13_empty_ids_count_as_absent() {
    let text = r#"{"id": "", "cid": " ", "customerId": "", "progressId": "", "operations": [{"id": "", "name": "a", "type": "sample"}]}"#;
    let (plan, faults) = build(text);
    assert!(plan.is_some(), "{faults:?}");
    let plan = plan.unwrap();
    let named =
        [&plan.identity.id, &plan.identity.cid, &plan.identity.customer_id, &plan.identity.progress_id];
    assert!(named.iter().all(|name| name.is_none()));
    assert!(plan.operations().all(|(_, planned)| planned.id.is_none()));
}

#[test]
fn faults_inside_an_operation_have_their_place() {
    insta::assert_snapshot!(faults(r#"
operations:
  - name: a
    type: agenda
    params: {forEach: [1], timeoutMs: 5, itemFailures: kep, itemName: "@<pop.itm>"}
    payload:
      operations:
        - {name: x, type: exec, payload: {command: [echo, 3.10, "@<y.out>", "@<pop.item>"]}}
        - {name: y, type: sample, params: {dependsOn: z}}
        - {name: y, type: sample, params: {agenda.operation.generator: {operationsJsonPointer: ""}}}
      result: "@<nothing.out>"
      extra: 1
  - {name: b, type: agenda, payload: {operations: []}}
  - {name: c, type: agenda, payload: [1]}
  - {name: d, type: agenda, payload: {operations: [{name: e, type: sample, payload: "@<pop.item>"}]}}
  - name: f
    type: agenda
    payload: {operations: [{name: h, type: sample, payload: "@<g.out>"}]}
  - {name: g, type: sample, payload: "@<f.out>"}
  - {name: i, type: sample, params: {forEach: {os: [a]}, maxParallel: 0}}
  - {name: j, type: sample, params: {itemName: x}}
"#).join("\n"), @r"
    5:56 wrong-value: `itemFailures` must be one of fail, drop, keep, not `kep` (did you mean `keep`?)
    20:71 wrong-value: `maxParallel` must be at least 1
    20:48 unknown-field: a matrix has `matrix`, `exclude` and `include`, not `os`
    21:38 misplaced-param: `itemName` needs `forEach`: it names its instances
    5:28 misplaced-param: `timeoutMs` has no effect on operation `a`: type `agenda` makes no attempts of its own
    12:7 unknown-field: the payload of type `agenda` has no field `extra`
    10:18 duplicate-name: two operations have the name `y` [9:18 the other operation]
    9:55 unknown-dependency: operation `y` depends on `z`, which is not in this agenda
    11:18 unknown-reference: operation `a` refers to `nothing`, which is not in this agenda
    10:44 misplaced-param: operation `y` is a generator, which is not possible inside type `agenda`
    5:74 unknown-reference: operation `a` refers to `pop.itm`, which pop does not provide (did you mean `pop.item`?)
    13:38 missing-field: operation `b` has no operations inside
    14:38 wrong-payload: the payload of operation `c` must be a map with `operations`, not a list
    15:88 unknown-reference: operation `e` refers to `pop.item` but has no `forEach`
    18:62 cycle: operations depend on each other in a cycle: f -> g -> f (`f` depends on `g`) [19:39 `g` depends on `f`]
    8:59 unquoted: `3.10` would become `3.1` as an argument of operation `x`
    ");
}

#[test]
fn equal_payloads_are_stored_once() {
    let (plan, _) = build(
        r#"
operations:
  - {name: a, type: exec, payload: {command: [x, 0.0]}}
  - {name: b, type: exec, payload: {command: [x, 0.0]}}
  - {name: c, type: exec, payload: {command: [x, -0.0]}}
  - {name: d, type: exec, payload: {command: [x, "@<a.out>"]}}
  - {name: e, type: exec, payload: {command: [x, "@<a.out>"]}}
  - name: f
    type: agenda
    payload: {operations: [{name: a, type: exec, payload: {command: [y]}}, {name: g, type: exec, payload: {command: [x, "@<a.out>"]}}]}
"#,
    );
    let plan = plan.unwrap();
    let payload = |name: &str| &plan.operation(plan.find(name).unwrap()).payload;
    assert!(Arc::ptr_eq(payload("a"), payload("b")));
    assert_eq!(payload("c").template().to_string(), r#"{"command":["x",-0.0]}"#);
    assert!(Arc::ptr_eq(payload("d"), payload("e")));
    // the same text refers to another operation there
    let inside = &plan.operation(plan.find("f").unwrap()).body().unwrap().operations()[1].payload;
    assert_ne!(inside, payload("d"));
}
