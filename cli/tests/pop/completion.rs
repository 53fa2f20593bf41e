//! Shell completion: names of runs, operations and types, without starting anything of the folder.

use crate::bench::Bench;

/// What a shell would offer for the last word of a line, before it escapes blanks.
fn offered(bench: &Bench, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let mut call = bench.call("--");
    for word in &words {
        call = call.argument(word);
    }
    let index = (words.len() - 1).to_string();
    let call = call.variable("POP_COMPLETE", "bash").variable("_CLAP_COMPLETE_INDEX", &index);
    let ended = call.variable("_CLAP_IFS", "\n").ends(0);
    assert_eq!(ended.stderr, "", "{line}");
    ended.stdout.lines().map(str::to_owned).collect()
}

/// The offered words that are no options.
fn names(bench: &Bench, line: &str) -> Vec<String> {
    offered(bench, line).into_iter().filter(|word| !word.starts_with('-')).collect()
}

#[test]
fn commands_options_and_agendas_are_offered() {
    let bench = Bench::with_agenda("operations: []\n");
    bench.write("notes.txt", "");
    bench.write("more/b.json", "{}");
    assert_eq!(offered(&bench, "pop ru"), ["run", "runs"]);
    assert_eq!(offered(&bench, "pop run --keep"), ["--keep-going"]);
    assert_eq!(offered(&bench, "pop run --sync e"), ["each"]);
    // options follow
    assert_eq!(offered(&bench, "pop run ")[..4], ["a.yaml", "more/", "-", "--run-id"]);
    assert_eq!(offered(&bench, "pop check more/"), ["more/b.json"]);
    assert!(!offered(&bench, "pop ").contains(&"guard".to_owned()));
}

#[test]
fn runs_and_operations_are_offered() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: probe, type: exec, payload: {command: ['true']}}\n  - {name: fetch all, type: exec, \
         params: {onFail: DLQ}, payload: {command: ['false']}}\n",
    );
    assert_eq!(names(&bench, "pop show "), Vec::<String>::new());
    bench.pop(11, "run a.yaml --run-id one");
    bench.write("b.yaml", "operations: [{name: b, type: exec, payload: {command: ['true']}}]\n");
    bench.pop(0, "run b.yaml --run-id other --runs elsewhere");
    assert_eq!(names(&bench, "pop show "), ["last", "one"]);
    assert_eq!(offered(&bench, "pop logs o"), ["one"]);
    assert_eq!(names(&bench, "pop show one "), ["probe", "fetch all"]);
    assert_eq!(offered(&bench, "pop explain last p"), ["probe"]);
    assert_eq!(names(&bench, "pop rerun "), ["last", "one"]);
    assert_eq!(names(&bench, "pop rerun one "), ["probe", "fetch all"]);
    assert_eq!(offered(&bench, "pop rerun one --from p"), ["probe"]);
    assert_eq!(names(&bench, "pop logs --runs elsewhere -n 5 last "), ["b"]);
    let call = bench.call("-- pop show one f").variable("POP_COMPLETE", "bash");
    let call = call.variable("_CLAP_COMPLETE_INDEX", "3").variable("_CLAP_COMPLETE_COMP_TYPE", "9");
    assert_eq!(call.ends(0).stdout, "fetch\\ all");
    assert_eq!(names(&bench, "pop show nothing "), Vec::<String>::new());
    assert_eq!(names(&bench, "pop dlq replay "), ["last", "one"]);
    assert_eq!(names(&bench, "pop dlq replay one "), ["fetch all"]);
    assert_eq!(names(&bench, "pop cancel "), Vec::<String>::new());
}

#[test]
fn types_are_offered_and_no_handler_is_started() {
    let bench = Bench::new();
    bench.program("handler", "#!/bin/sh\necho started >> started\n");
    bench.write("registry.yaml", "probe: {command: [./handler], describe: true}\n");
    bench.write("other.yaml", "thumbnail: {command: [./handler], describe: true}\n");
    assert_eq!(offered(&bench, "pop handlers show p"), ["probe"]);
    assert_eq!(offered(&bench, "pop handlers --registry other.yaml show t"), ["thumbnail"]);
    // a registry that cannot be read is no message on the terminal
    bench.write("registry.yaml", "probe: {command: [\n");
    assert_eq!(offered(&bench, "pop handlers show e"), ["exec"]);
    assert!(!bench.has("started"));
}

#[test]
fn completion_scripts_ask_pop() {
    let bench = Bench::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = bench.pop(0, &format!("completions {shell}")).stdout;
        assert!(script.contains("POP_COMPLETE") && script.contains("pop"), "{shell}: {script}");
    }
    bench.call("-- pop").variable("POP_COMPLETE", "tcsh").ends(2);
}

#[test]
fn man_writes_a_page_for_each_command() {
    let bench = Bench::new();
    bench.pop(0, "man --into pages/man1");
    for page in ["pop.1", "pop-run.1", "pop-cancel.1", "pop-dlq-replay.1", "pop-man.1"] {
        let text = bench.read(&format!("pages/man1/{page}"));
        assert!(text.contains(".SH NAME") && text.contains("Exit codes"), "{page}: {text}");
    }
    assert!(!bench.has("pages/man1/pop-guard.1"));
    bench.write("file", "");
    bench.pop(1, "man --into file");
}

#[test]
fn names_of_resources_are_offered() {
    let bench = Bench::with_agenda(
        "params: {resources: {license: 1}}\noperations: [{name: a, type: exec, params: {resources: {gpu: 1}}, payload: {command: ['true']}}]\n",
    );
    assert_eq!(offered(&bench, "pop run a.yaml --resources "), ["cpu=", "gpu=", "license=", "memory="]);
    assert_eq!(offered(&bench, "pop check a.yaml --resources gpu=2,l"), ["gpu=2,license="]);
    assert_eq!(offered(&bench, "pop run --resources g"), Vec::<String>::new());
}
