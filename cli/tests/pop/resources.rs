//! `resources`, `priority` and `--resources`: what runs at once, faults before the run, and waits explained.

use crate::bench::Bench;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs;

/// The largest number of attempts that ran at once.
fn most_at_once(events: &[Value]) -> usize {
    let (mut running, mut most) = (0_usize, 0);
    for event in events {
        match event["event"].as_str() {
            Some("AttemptStarted") => running += 1,
            Some("AttemptEnded") => running -= 1,
            _ => {}
        }
        most = most.max(running);
    }
    most
}

/// Six operations in pairs: the two of a pair meet at a named pipe, and each takes one of two places as a folder.
fn pairs(params: &str, payload: &str) -> Bench {
    let mut agenda = "operations:\n".to_owned();
    for index in 0..6 {
        let meet = if index % 2 == 0 { "echo here >" } else { "read line <" };
        let pipe = index / 2;
        write!(
            agenda,
            "  - name: op{index}\n    type: exec\n    params: {params}\n    payload:\n      shell: |\n        \
             if mkdir place-1; then own=1; else mkdir place-2; own=2; fi\n        {meet} pipe-{pipe}\n        \
             rmdir place-$own\n      {payload}\n"
        )
        .unwrap();
    }
    let bench = Bench::with_agenda(&agenda);
    (0..3).for_each(|pipe| bench.fifo(&format!("pipe-{pipe}")));
    bench
}

#[test]
fn as_many_run_at_once_as_the_total_allows() {
    for (params, payload, totals) in [
        ("{resources: {license: 1}}", "reports: true", "license=2"),
        ("{resources: {cpu: 500m, memory: 1Mi}}", "reports: true", "cpu=1,memory=2Mi"),
        ("{}", "memory: 1Gi", "memory=2Gi"),
    ] {
        let bench = pairs(params, payload);
        // each pair needs two at once, and a third would find no place
        let ended = bench.pop(0, &format!("run a.yaml -j 6 --output json --resources {totals}"));
        assert_eq!(most_at_once(&ended.events()), 2, "{params} {payload}");
        let name = totals.split('=').next().unwrap();
        assert!(ended.events()[0]["options"]["resources"][name].is_string());
    }
    // without resources all run at once
    let bench = Bench::with_agenda(
        "operations: [{name: a, type: exec, params: {forEach: [1, 2, 3]}, payload: {command: ['true']}}]\n",
    );
    let ended = bench.pop(0, "run a.yaml -j 6 --output json --resources license=1");
    assert_eq!(most_at_once(&ended.events()), 3);
    assert!(ended.events()[0]["options"].get("resources").is_none());
}

#[test]
fn pod_settings_of_a_registry_and_variables_count() {
    let bench = Bench::with_agenda("operations: [{name: a, type: work, params: {forEach: [1, 2, 3]}}]\n");
    bench.write(
        "registry.yaml",
        "basePodConfig: {imageName: x}\nwork: {command: ['true'], podConfig: {memoryLimitCount: 1Gi}}\n",
    );
    let run = |memory: &str| {
        let call = bench.call("run a.yaml -j 6 --output json").variable("POP_RESOURCES", memory);
        most_at_once(&call.ends(0).events())
    };
    assert_eq!((run("memory=1Gi"), run("memory=2Gi"), run("memory=8Gi")), (1, 2, 3));
    // the command line wins by name
    let call = bench.call("run a.yaml -j 6 --output json --resources gpu=1 --resources memory=1Gi");
    let events = call.variable("POP_RESOURCES", "memory=8Gi,license=2").ends(0).events();
    let totals = &events[0]["options"]["resources"];
    assert_eq!([&totals["memory"], &totals["gpu"], &totals["license"]], ["1Gi", "1", "2"]);
    assert_eq!(most_at_once(&events), 1);
    let said = bench.call("run a.yaml").variable("POP_RESOURCES", "memory=1XB").ends(2).stderr;
    assert!(
        said.starts_with("error: variable `POP_RESOURCES`: `memory` must be an amount of memory"),
        "{said}"
    );
}

#[test]
fn larger_priority_runs_first() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, payload: {command: ['true']}}\n  \
         - {name: b, type: exec, params: {priority: 2}, payload: {command: ['true']}}\n  \
         - {name: c, type: exec, params: {priority: -1}, payload: {command: ['true']}}\n  \
         - {name: d, type: exec, params: {priority: 2}, payload: {command: ['true']}}\n",
    );
    let events = bench.pop(0, "run a.yaml -j 1 --output json").events();
    let started = events.iter().filter(|event| event["event"] == "AttemptStarted");
    assert_eq!(started.map(|event| event["operation"].as_str().unwrap()).collect::<String>(), "bdac");
    let said = bench.pop(0, "explain last b").stdout;
    assert!(said.contains("\n  policy    priority = 2 (operation)\n"), "{said}");
}

const NEEDS: &str = "\
operations:
  - {name: train, type: exec, params: {resources: {gpu: 2, memory: 4000Gi}}, payload: {command: ['true']}}
  - {name: solve, type: exec, params: {resources: {licence: 1}}, payload: {command: ['true']}}
";

#[test]
fn needs_beyond_the_totals_are_refused_before_the_run() {
    let bench = Bench::with_agenda(NEEDS);
    let memory = "error[resources-exceeded]: operation `train` needs memory 4000Gi, but the run has ";
    // without totals, a check cannot know the names
    let said = bench.pop(3, "check a.yaml").stderr;
    assert!(
        said.starts_with(memory) && said.ends_with("1 fault in a.yaml; nothing was started (exit 3)\n"),
        "{said}"
    );
    let said = bench.pop(3, "run a.yaml --resources gpu=1,license=3,memory=1Gi").stderr;
    for words in [
        "error[resources-exceeded]: operation `train` needs gpu 2, but the run has 1 in all\n --> a.yaml:2:57\n",
        "help: lower the amount, or set the total with `--resources gpu=2`\n",
        "needs memory 4000Gi, but the run has 1Gi in all\n --> a.yaml:2:68\n",
        "error[no-resource-total]: operation `solve` needs licence 1, but the run has no total of `licence`\n --> a.yaml:3:52\n",
        "^^^^^^^ did you mean `license`?\n",
        "help: set the total with `--resources licence=N`\n",
        "3 faults in a.yaml; nothing was started (exit 3)\n",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
    for command in ["check", "plan"] {
        let checked =
            bench.pop(3, &format!("{command} a.yaml --resources gpu=1,license=3,memory=1Gi")).stderr;
        assert_eq!(checked, said);
    }
    assert!(!bench.has(".pop"));
    let enough = "--resources gpu=2,licence=1,memory=4000Gi";
    assert_eq!(bench.pop(0, &format!("check a.yaml {enough}")).stderr, "a.yaml: 2 operations, no faults\n");
    bench.pop(0, &format!("run a.yaml {enough}"));
    let said = bench.pop(2, "run a.yaml --resources gpu").stderr;
    assert!(said.contains("`gpu` has no amount: write it as NAME=N, such as gpu=2"), "{said}");
}

#[test]
fn plans_show_needs_and_pods_request_them() {
    let agenda = "params: {resources: {cpu: 250m}}\noperations:\n  \
        - {name: a, type: exec, params: {priority: 3}, payload: {command: ['true'], image: x, memory: 64Mi}}\n  \
        - {name: b, type: exec, params: {forEach: ['1'], resources: {gpu: 1}}, payload: {command: ['true'], image: x, cpu: '@<pop.item>'}}\n";
    let bench = Bench::with_agenda(agenda);
    let said = bench.pop(0, "plan a.yaml").stdout;
    assert!(said.contains("  a (exec)\n      needs cpu 250m, memory 64Mi\n      has priority 3\n"), "{said}");
    assert!(
        said.contains(
            "      needs gpu 1\n      needs the amounts that `cpu` and `memory` of its payload refer to\n"
        ),
        "{said}"
    );
    let planned = bench.pop(0, "plan a.yaml --output json").json();
    assert_eq!(planned["operations"][0]["resources"], json!({"cpu": "250m", "memory": "64Mi"}));
    assert_eq!(planned["operations"][0]["priority"], 3);
    assert_eq!(planned["operations"][1]["resources"], json!({"gpu": 1}));
    // a cluster packs CPU and memory itself
    let pods = bench.pop(0, "plan a.yaml --on kubernetes --output manifests").json();
    let container = &pods["items"][0]["spec"]["containers"][0]["resources"];
    assert_eq!(container["requests"], json!({"cpu": "250m", "memory": "64Mi"}));
    assert_eq!(container["limits"], container["requests"]);
    assert_eq!(
        bench
            .pop(3, "check a.yaml --on kubernetes --resources cpu=100m")
            .stderr
            .matches("needs cpu 250m")
            .count(),
        1
    );
    bench.pop(0, "run a.yaml --resources gpu=1");
    let said = bench.pop(0, "explain last b#0").stdout;
    assert!(said.contains("  needs     cpu 1, gpu 1\n"), "{said}");
}

#[test]
fn explain_names_the_resource_and_who_holds_it() {
    let bench = Bench::with_agenda(
        "params: {resources: {license: 1}}\noperations:\n  \
         - {name: first, type: exec, payload: {shell: 'echo >> started; read line < pipe'}}\n  \
         - {name: second, type: exec, payload: {command: ['true']}}\n  \
         - {name: other, type: exec, params: {resources: {license: 0}}, payload: {shell: 'echo >> started'}}\n",
    );
    bench.fifo("pipe");
    let running = bench.call("run a.yaml -j 4 --resources license=1 --run-id one").spawn();
    bench.wait_for("started", 2);
    let said = bench.pop(0, "explain one second").stdout;
    let words = "it needs license 1, with 0 of 1 left; held by `first`";
    assert!(said.starts_with(&format!("second: is ready and queued: {words}\n")), "{said}");
    let data = bench.pop(0, "explain one second --output json").json();
    assert_eq!(
        (&data["state"], &data["waitsFor"], &data["needs"]),
        (&json!("queued"), &json!(["first"]), &json!({"license": 1}))
    );
    fs::write(bench.path("pipe"), "go on\n").unwrap();
    assert_eq!(running.end().code, 0);
    let ended = bench.pop(0, "explain one second");
    let said = ended.steady(&ended.stdout);
    assert!(said.starts_with("second: succeeded\n") && said.contains("  resources waited from "), "{said}");
    assert!(said.contains(&format!(": {words}\n")), "{said}");
    let data = bench.pop(0, "explain one second --output json").json();
    let wait = &data["resourceWaits"][0];
    assert!(wait["from"].as_u64() < wait["until"].as_u64(), "{wait}");
    assert_eq!(wait["heldBy"], json!(["first"]));
    assert_eq!(wait["resources"], json!([{"resource": "license", "needed": "1", "left": "0", "total": "1"}]));
    assert_eq!(bench.pop(0, "explain one first --output json").json()["resourceWaits"], json!([]));
}

#[test]
fn resume_keeps_the_totals_unless_they_are_set_again() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, params: {resources: {gpu: 2}}, payload: {command: [test, -e, ready]}}\n",
    );
    bench.pop(10, "run a.yaml --run-id one --resources gpu=2,license=1");
    let totals = |arguments: &str, code: i32| {
        let call =
            bench.call(&format!("resume one --output json {arguments}")).variable("POP_RESOURCES", "gpu=9");
        let event = call.ends(code).events().swap_remove(0);
        assert_eq!(event["event"], "RunResumed");
        [&event["options"]["resources"]["gpu"], &event["options"]["resources"]["license"]].map(Value::clone)
    };
    assert_eq!(totals("", 10), ["2", "1"]);
    assert_eq!(totals("--resources gpu=3", 10), ["3", "1"]);
    let said = bench.pop(2, "resume one --resources gpu=1").stderr;
    assert_eq!(
        said,
        "error: operation `a` needs gpu 2, but the run would have 1 in all\nhint: set the total with `--resources gpu=2`\n"
    );
    bench.write("ready", "");
    assert_eq!(totals("", 0), ["3", "1"]);
}
