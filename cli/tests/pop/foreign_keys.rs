//! Unknown keys of an agenda, own keys, and policies on the command line.

use crate::bench::Bench;

const AGENDA: &str = "\
x-defaults: &defaults {timeoutMs: 60000, x-owner: media}
steps: []
operations:
  - {name: b, type: sample}
  - name: a
    type: sample
    params: {<<: *defaults, needs: b, if: \"false\", weight: 5, cpu: 2, schedule: x, maxAttempts: 3}
    x-note: mine
    timeout: 5
";

#[test]
fn fr_c4_c5_unknown_keys_warn_with_pops_words_and_strict_fails() {
    let bench = Bench::with_agenda(AGENDA);
    let said = bench.pop(0, "check a.yaml").stderr;
    for words in [
        "warning[unknown-field]: unknown field `steps` is ignored",
        "^^^^^ did you mean `operations`?",
        "warning[unknown-param]: unknown param `needs` is ignored",
        "^^^^^ did you mean `dependsOn`?",
        "^^ did you mean `when`?",
        "^^^ did you mean `resources.cpu`?",
        "^^^^^^^^^^^ did you mean `retry.maxAttempts`?",
        "^^^^^^ did you mean `priority`?",
        "help: a whole number; a larger one starts first",
        "help: pop runs an agenda once: start it from cron, a timer or a CronJob",
        "^^^^^^^ did you mean `timeoutMs` in its `params`?",
        "help: times are in milliseconds",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(said.ends_with("a.yaml: 2 operations, 8 warnings\n"), "{said}");
    assert!(!said.contains("x-") && !said.contains("maximumAttempts"), "{said}");
    for command in ["check", "plan", "run"] {
        let said = bench.pop(3, &format!("{command} a.yaml --strict")).stderr;
        assert!(said.contains("error[unknown-param]: unknown param `needs`"), "{said}");
    }
    assert!(!bench.has(".pop"));
}

#[test]
fn fr_c5_strict_fails_on_a_warning_of_the_properties_file() {
    let bench = Bench::with_agenda("operations: []\n");
    bench.write("p.properties", "pop.propertyy=1\nlaunchType=local\nlaunchType=docker\n");
    let said = bench.pop(0, "check a.yaml --propFile p.properties").stderr;
    assert!(said.starts_with("warning: "), "{said}");
    let said = bench.pop(4, "check a.yaml --strict --propFile p.properties").stderr;
    assert!(said.starts_with("error: "), "{said}");
}

#[test]
fn fr_c6_a_policy_argument_is_judged_as_an_argument() {
    let bench = Bench::with_agenda("operations:\n  - {name: a, type: sample}\n");
    let all = bench.pop(
        2,
        "run a.yaml --policy timoutMs=4 --policy WIDTH=720 --policy onFail=RPLY --policy retry={\"maxAttempts\":0} \
         --policy forEach=[1] --policy maximumAttempts=3 --policy needs=b --policy handler=nope",
    );
    insta::assert_snapshot!(all.screen(), @r#"
    exit 2
    --- stderr
    error: `--policy timoutMs=4`: `timoutMs` is not a policy
    hint: did you mean `timeoutMs`?
    error: `--policy WIDTH=720`: `WIDTH` is not a policy
    hint: a policy is a key of `params`, such as `timeoutMs`, `retry` or `onFail`
    error: `--policy forEach=[1]`: `forEach` belongs to one operation
    hint: write it into the `params` of that operation
    error: `--policy maximumAttempts=3`: `maximumAttempts` has no effect on a run
    error: `--policy needs=b`: `needs` is not a policy
    hint: did you mean `dependsOn` in the `params` of an operation?
    error: `--policy onFail=RPLY`: `onFail` must be one of REPLY, SKIP, DLQ, FATAL, not `RPLY`
    hint: did you mean `REPLY`?
    error: `--policy retry={"maxAttempts":0}`: `maxAttempts` counts the first attempt: it must be at least 1
    error: `--policy handler=nope`: there is no handler `nope`
    hint: `pop handlers` lists them
    "#);
    bench.pop(0, "run a.yaml --policy timeoutMs=4000 --policy onFail=SKIP");
    let twice = bench.pop(2, "check a.yaml a.yaml --policy timoutMs=4").stderr;
    assert_eq!(
        twice,
        "error: `--policy timoutMs=4`: `timoutMs` is not a policy\nhint: did you mean `timeoutMs`?\n"
    );
    bench.pop(2, "handlers --policy timeoutMs=4");
    let json = bench.pop(2, "check a.yaml --output json --policy timoutMs=4").json();
    assert_eq!(json[0]["message"], "`--policy timoutMs=4`: `timoutMs` is not a policy");
    assert_eq!(
        (&json[0]["hint"], &json[0]["file"]),
        (&"did you mean `timeoutMs`?".into(), &serde_json::Value::Null)
    );
}

#[test]
fn fr_c6_the_former_option_names_the_new_one() {
    let bench = Bench::with_agenda("operations: []\n");
    for line in ["run a.yaml --param timeoutMs=4", "check --param=timeoutMs=4 a.yaml"] {
        let said = bench.pop(2, line).stderr;
        assert!(said.contains("write `--policy timeoutMs=4`"), "{said}");
    }
    assert!(!bench.pop(0, "run --help").stdout.contains("--param "));
}
