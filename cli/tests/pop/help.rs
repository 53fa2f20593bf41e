//! What people see before anything runs, word for word: help, plans and the catalogue of handlers.

use crate::bench::Bench;
use crate::screens::MIXED;

#[test]
fn help() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.pop(0, "--help").screen(), @r"
    exit 0
    --- stdout
    Run an agenda of operations: as processes here, in dependency order, resumable, explained

    Usage: pop <COMMAND>

    Commands:
      run          Run an agenda
      check        Find every fault of agendas; nothing is started
      plan         Show what would run, in which order and why; nothing is started
      resume       Go on with a run after a crash, a stop or a failure; what finished is not run again
      runs         List runs, newest first
      show         Show a run, or one of its operations
      logs         Print the logs of a run, or of one of its operations
      explain      Explain why an operation is where it is
      dlq          Tell of dead letters (operations that were set aside), and replay them
      cache        Tell of results that are kept for later runs, and forget them
      verify       Run an agenda under several launchers and compare all that comes of it
      handlers     List the types that operations can have, or show one with the origin of each field
      handler      Put a program to the handler contract
      new          Make the first files of a new handler
      completions  Print a completion script for a shell
      man          Print the manual page
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Exit codes: 0 all settled as allowed, 1 fault in pop, 2 command line, 3 agenda does not plan, 4
    registry or settings invalid, 10 an operation failed, 12 stopped by FATAL, 13 time limit, 14 Docker
    or cluster not reachable, 15 journal unusable, 130 interrupted, 143 terminated.
    ");
    insta::assert_snapshot!(bench.pop(0, "run -h").screen(), @r"
    exit 0
    --- stdout
    Run an agenda

    Usage: pop run [OPTIONS] [AGENDA]

    Arguments:
      [AGENDA]  The agenda: a JSON or YAML file, or - for standard input

    Options:
          --run-id <ID>           What the run is called; a run of that id that was begun and has not
                                  ended is gone on with [default: the time]
      -j, --parallel <N>          How many operations run at once [default: the number of processors]
      -k, --keep-going            After a failure, run everything that does not need what failed
          --time-limit <SECONDS>  How long the run may take, in seconds
          --grace <SECONDS>       How long operations that are asked to stop may take before they are
                                  killed, in seconds [default: 10]
          --sync <SYNC>           When the disk is made to have the journal: behind (within 100 ms) or
                                  each (before anything follows) [default: behind] [possible values:
                                  behind, each]
          --output <OUTPUT>       What is printed while it runs [default: text] [possible values: text,
                                  json]
          --host-folder <DIR>     Folder of what runs share: locks, delays, versions, cached results
                                  [default: .host in the folder of runs] [env: POP_HOST_FOLDER=]
          --registry <FILE>       Registry file [default: registry.json or registry.yaml beside the
                                  agenda, then /app/config/registry.json]
          --conf-d <DIR>          Folder of handler descriptors (*.conf) [default: conf.d beside the
                                  agenda, then /app/config/conf.d]
          --handlers <DIR>        Folder in which programs of descriptors are looked for; may be
                                  repeated [default: handlers beside conf.d, then /usr/lib/pop/handlers,
                                  /usr/lib64/pop/handlers]
          --param <KEY=VALUE>     A value for the agenda's params, over what stands there; may be
                                  repeated
          --runs <DIR>            Folder of runs [env: POP_RUNS=] [default: .pop/runs]
      -h, --help                  Print help (see more with '--help')

    Launch data:
          --launch-type <TYPE>           How this process was launched [local, docker, kubernetes;
                                         default: local]
          --external-launch-type <TYPE>  How operations are launched [local, docker, kubernetes;
                                         default: local] [alias: --on]
          --prop-file <FILE>             Java .properties file [default: the first of
                                         ./config/external.properties, ./config/external-properties,
                                         /app/config/external.properties]
          --payload-file <FILE>          File of the agenda, if it is not given as an argument
    ");
}

#[test]
fn help_of_verify() {
    insta::assert_snapshot!(Bench::new().pop(0, "verify -h").screen(), @r"
    exit 0
    --- stdout
    Run an agenda under several launchers and compare all that comes of it

    Usage: pop verify [OPTIONS] --on <TYPES> <AGENDA>

    Arguments:
      <AGENDA>  The agenda: a JSON or YAML file, or - for standard input

    Options:
          --on <TYPES>          Two or more launchers, with commas [local, docker, kubernetes]
          --without <PATH>      File or folder that is not copied into the workspaces; may be repeated
          --outputs <PATH>...   Files, or folders of them, that are compared [default: every file that
                                is new or changed]
          --keep                Keep the workspaces although all is equal
      -j, --parallel <N>        How many operations run at once [default: the number of processors]
      -k, --keep-going          After a failure, run everything that does not need what failed
          --output <OUTPUT>     What is printed [default: text] [possible values: text, json]
          --registry <FILE>     Registry file [default: registry.json or registry.yaml beside the
                                agenda, then /app/config/registry.json]
          --conf-d <DIR>        Folder of handler descriptors (*.conf) [default: conf.d beside the
                                agenda, then /app/config/conf.d]
          --handlers <DIR>      Folder in which programs of descriptors are looked for; may be repeated
                                [default: handlers beside conf.d, then /usr/lib/pop/handlers,
                                /usr/lib64/pop/handlers]
          --param <KEY=VALUE>   A value for the agenda's params, over what stands there; may be repeated
          --launch-type <TYPE>  How this process was launched [local, docker, kubernetes; default:
                                local]
          --prop-file <FILE>    Java .properties file
      -h, --help                Print help (see more with '--help')

    Exit codes: 0 all is equal, 10 something differs; those of `pop run` if a run cannot be compared.
    ");
}

#[test]
fn help_of_run() {
    insta::assert_snapshot!(Bench::new().pop(0, "run --help").screen(), @r"
    exit 0
    --- stdout
    Run an agenda

    Usage: pop run [OPTIONS] [AGENDA]

    Arguments:
      [AGENDA]
              The agenda: a JSON or YAML file, or - for standard input

    Options:
          --run-id <ID>
              What the run is called; a run of that id that was begun and has not ended is gone on with
              [default: the time]

      -j, --parallel <N>
              How many operations run at once [default: the number of processors]

      -k, --keep-going
              After a failure, run everything that does not need what failed

          --time-limit <SECONDS>
              How long the run may take, in seconds

          --grace <SECONDS>
              How long operations that are asked to stop may take before they are killed, in seconds
              
              [default: 10]

          --sync <SYNC>
              When the disk is made to have the journal: behind (within 100 ms) or each (before anything
              follows)

              Possible values:
              - behind: Within 100 ms
              - each:   Before anything follows
              
              [default: behind]

          --output <OUTPUT>
              What is printed while it runs

              Possible values:
              - text: For people
              - json: For programs
              
              [default: text]

          --host-folder <DIR>
              Folder of what runs share: locks, delays, versions, cached results [default: .host in the
              folder of runs]
              
              [env: POP_HOST_FOLDER=]

          --registry <FILE>
              Registry file [default: registry.json or registry.yaml beside the agenda, then
              /app/config/registry.json]

          --conf-d <DIR>
              Folder of handler descriptors (*.conf) [default: conf.d beside the agenda, then
              /app/config/conf.d]

          --handlers <DIR>
              Folder in which programs of descriptors are looked for; may be repeated [default: handlers
              beside conf.d, then /usr/lib/pop/handlers, /usr/lib64/pop/handlers]

          --param <KEY=VALUE>
              A value for the agenda's params, over what stands there; may be repeated

          --runs <DIR>
              Folder of runs
              
              [env: POP_RUNS=]
              [default: .pop/runs]

      -h, --help
              Print help (see a summary with '-h')

    Launch data:
          --launch-type <TYPE>
              How this process was launched [local, docker, kubernetes; default: local]

          --external-launch-type <TYPE>
              How operations are launched [local, docker, kubernetes; default: local]
              
              [alias: --on]

          --prop-file <FILE>
              Java .properties file [default: the first of ./config/external.properties,
              ./config/external-properties, /app/config/external.properties]

          --payload-file <FILE>
              File of the agenda, if it is not given as an argument
    ");
}

#[test]
fn every_command_has_help_a_page_and_completions() {
    let bench = Bench::new();
    for command in [
        "run",
        "check",
        "plan",
        "resume",
        "runs",
        "show",
        "logs",
        "explain",
        "handlers",
        "handlers show",
        "handlers reload",
        "handler check",
        "new",
    ] {
        let help = bench.pop(0, &format!("{command} --help")).stdout;
        assert!(help.contains(&format!("Usage: pop {command}")), "{help}");
    }
    assert!(bench.pop(0, "man").stdout.contains(".TH pop 1"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.call("completions").argument(shell).ends(0).stdout.contains("resume"));
    }
    assert!(bench.pop(0, "--version").stdout.starts_with("pop "));
}

#[test]
fn words_of_the_command_line_that_are_wrong() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.pop(2, "rum a.yaml").screen(), @r"
    exit 2
    --- stderr
    error: unrecognized subcommand 'rum'

      tip: some similar subcommands exist: 'runs', 'run', 'resume'

    Usage: pop <COMMAND>

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(bench.pop(2, "run").screen(), @r"
    exit 2
    --- stderr
    error: no agenda was given
    hint: name its file: `pop run agenda.json`
    ");
    insta::assert_snapshot!(bench.pop(2, "show last").screen(), @r"
    exit 2
    --- stderr
    error: there is no run `last` in `.pop/runs`
    hint: `pop runs` lists the runs; `last` is the newest
    ");
}

#[test]
fn a_plan_in_every_form() {
    let bench = Bench::with_agenda(MIXED);
    insta::assert_snapshot!(bench.pop(0, "plan a.yaml").screen(), @r#"
    exit 0
    --- stdout
    step 1
      probe (exec)
          runs echo '{"w": 720}'
    step 2
      thumb (exec)
          follows probe
          runs sh -c "echo 'no such codec'; echo giving up >&2; exit 3"
    step 3
      upload (exec)
          reads thumb
          runs echo '@<thumb.out::/exitCode>'
          fills /command/1 from "@<thumb.out::/exitCode>"
    step 4
      notify (exec)
          follows upload
          runs echo done
    "#);
    insta::assert_snapshot!(bench.pop(0, "plan a.yaml --output dot").screen(), @r#"
    exit 0
    --- stdout
    digraph agenda {
      rankdir=LR;
      node [shape=box];
      "probe" [label="probe\nexec"];
      "thumb" [label="thumb\nexec"];
      "probe" -> "thumb" [style=dashed];
      "upload" [label="upload\nexec"];
      "thumb" -> "upload";
      "notify" [label="notify\nexec"];
      "upload" -> "notify" [style=dashed];
    }
    "#);
    insta::assert_snapshot!(bench.pop(0, "plan a.yaml --output mermaid").screen(), @r#"
    exit 0
    --- stdout
    graph LR
      o0["probe"]
      o1["thumb"]
      o0 -.-> o1
      o2["upload"]
      o1 --> o2
      o3["notify"]
      o2 -.-> o3
    "#);
    let json = bench.pop(0, "plan a.yaml --output json").json();
    insta::assert_snapshot!(format!("{:#}", json["operations"][2]), @r#"
    {
      "follows": [],
      "name": "upload",
      "payload": {
        "command": [
          "echo",
          "@<thumb.out::/exitCode>"
        ]
      },
      "reads": [
        "thumb"
      ],
      "runs": "echo '@<thumb.out::/exitCode>'",
      "step": 3,
      "type": "exec"
    }
    "#);
    assert!(!bench.has(".pop"));
}

#[test]
fn f46_a_secret_in_the_registry_is_not_shown_with_its_type() {
    let bench = Bench::new();
    bench.write("registry.yaml", "probe: {command: [a], envVars: {API_TOKEN: hunter2}}\n");
    let shown = bench.pop(0, "handlers show probe").screen();
    assert!(shown.contains("secret-literal") && shown.contains("envVars.API_TOKEN"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn the_catalogue_and_the_origins_of_a_type() {
    let bench = Bench::new();
    bench.write(
        "registry.yaml",
        "basePodConfig: {cpuMinRequestCount: 250m}\nprobe:\n  command: [./probe.sh, a b]\n  envVars: {MODE: fast}\n  \
         secrets: {KEY: {fromEnv: PROBE_KEY, fromSecret: {name: probe, key: k}}}\n  podConfig: {imageName: probe:7}\n",
    );
    insta::assert_snapshot!(bench.pop(0, "handlers").screen(), @r"
    exit 0
    --- stdout
    TYPE          HANDLER       VERSION  COMMAND           IMAGE    FROM           ACTIONS
    probe         probe         -        ./probe.sh 'a b'  probe:7  registry.yaml  all
    exec          exec          -        -                 -        built in       all
    dispatch      dispatch      -        -                 -        built in       all
    logMessages   logMessages   -        -                 -        built in       all
    updateAgenda  updateAgenda  -        -                 -        built in       all
    sample        sample        -        -                 -        built in       all
    ");
    insta::assert_snapshot!(bench.pop(0, "handlers show probe").screen(), @r#"
    exit 0
    --- stdout
    probe
    command                          ./probe.sh 'a b'                       entry, registry.yaml:3:12
    envVars.MODE                     fast                                   entry, registry.yaml:4:19
    secrets.KEY                      fromEnv PROBE_KEY, fromSecret probe/k  entry, registry.yaml:5:18
    podConfig.cpuMaxRequestCount     "1.0"                                  core default
    podConfig.cpuMinRequestCount     "250m"                                 basePodConfig, registry.yaml:1:37
    podConfig.endOfLogIdentifier     "HandlerComplete"                      core default
    podConfig.imageName              "probe:7"                              entry, registry.yaml:6:26
    podConfig.podScheduledTimeoutMs  300000                                 core default
    podConfig.pullAlways             false                                  core default
    podConfig.reapCompletedPods      false                                  core default
    podConfig.serviceAccountName     "pop-service"                          core default
    "#);
    insta::assert_snapshot!(bench.pop(0, "handlers show exec").screen(), @r"
    exit 0
    --- stdout
    exec: built in, needs no entry
    ");
    insta::assert_snapshot!(bench.pop(2, "handlers show prob").screen(), @r"
    exit 2
    --- stderr
    error: no handler serves type `prob`
    hint: did you mean `probe`?
    ");
}
