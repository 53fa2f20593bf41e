//! Snapshots of help, plans and the list of handlers.

use crate::bench::Bench;
use crate::screens::MIXED;

#[test]
fn help() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.pop(0, "--help").screen(), @r"
    exit 0
    --- stdout
    Run agendas (operations with dependencies) as processes, containers or pods

    Usage: pop <COMMAND>

    Commands:
      run          Run an agenda
      check        Check agendas and list every error; start nothing
      plan         Show what would run, in which order and why; start nothing
      resume       Resume a run after a crash, a stop or a failure; finished operations do not run again
      rerun        Start a new run that reuses the unchanged results of an earlier one
      inputs       List the inputs of an agenda
      cancel       Cancel a running run, from any terminal; running operations get time to stop
      wait         Wait for the end of a run, and exit with its exit code
      watch        Show a running run, as `pop run` shows its own, and exit with its exit code
      runs         List runs, newest first
      show         Show a run, or one of its operations
      logs         Print the logs of a run, or of one of its operations
      explain      Explain the state of an operation: dependencies, attempts, payload, policies
      report       Write a page about a run, or a report for CI and other programs; follow a run live
      prune        Delete old runs, but none that runs, has dead letters or wrote cached results
      dlq          Manage the dead-letter queue: failed operations with `onFail: DLQ`
      cache        List or clear cached results
      traces       Send the trace of a run (spans of OpenTelemetry) to a collector
      verify       Run an agenda under several launchers and compare outcomes, results and files
      handlers     List handlers by operation type, or show one type with the origin of each field
      handler      Test a program against the handler contract; serve and manage a handler
      operator     Run a Kubernetes operator: that of Agendas, or one whose handler is a program
      serve        Serve agendas over HTTP: queue them, hand them to pullers, keep their progress
      pull         Take agendas from a service, and run each with an executor of its own
      reap         Delete old pods or containers of pop, or old agendas of a service
      new          Create the files of a new handler or operator
      completions  Print a shell completion script, for example for `source <(pop completions bash)`
      man          Print the manual page, or write a page for each command
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Exit codes:
      0    success: every operation succeeded, was skipped or came from the cache
      1    internal error
      2    invalid command line, or unknown run, operation or type
      3    invalid agenda
      4    invalid registry or settings
      10   an operation failed
      11   no operation failed, except some that are in the dead-letter queue (`onFail: DLQ`)
      12   an operation with `onFail: FATAL` failed
      13   time limit reached
      14   Docker Engine or cluster unreachable
      15   journal unusable, agenda or settings of the run changed, or run used by another process
      130  interrupted (SIGINT)
      143  terminated (SIGTERM, SIGHUP)
    ");
    insta::assert_snapshot!(bench.pop(0, "run -h").screen(), @r"
    exit 0
    --- stdout
    Run an agenda

    Usage: pop run [OPTIONS] [AGENDA]

    Arguments:
      [AGENDA]  Agenda file (JSON or YAML), or - for standard input

    Options:
          --run-id <ID>              Name of the run [default: its start time]. An existing run of this
                                     name is resumed; if it has ended, pop only returns its exit code
          --exit-zero                Exit with 0 also after a failure of the run (codes 10 to 13), for
                                     platforms that restart a failed program
      -j, --parallel <N>             Run at most N operations at once [default: the number of
                                     processors]
      -k, --keep-going               After a failure, still run operations that do not depend on the
                                     failed one
          --time-limit <SECONDS>     Stop the run after this many seconds [default: no limit]
          --cleanup-limit <SECONDS>  After --time-limit, give clean-up (operations with `finally`) this
                                     many seconds [default: 60]
          --grace <SECONDS>          When pop stops an operation, wait this many seconds after SIGTERM
                                     before SIGKILL [default: 10]
          --sync <SYNC>              When to sync the journal (the run's record of events) to disk:
                                     behind (in the background, within 100 ms) or each (each event,
                                     before pop acts on it) [default: behind] [possible values: behind,
                                     each]
      -q, --quiet                    Print warnings, and a summary only of a run that does not succeed;
                                     no events, no progress bars
          --output <OUTPUT>          Format of events during the run: text on stderr, or JSON lines on
                                     stdout [default: text] [possible values: text, json]
          --github-annotations       In a GitHub job (GITHUB_ACTIONS is true), also print each failure
                                     as an annotation, on standard error, when the run has ended
          --otlp <URL>               Send spans of the run to this OpenTelemetry collector, such as
                                     http://localhost:4318 (OTLP over HTTP); `env` takes the address
                                     from OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
                                     OTEL_EXPORTER_OTLP_ENDPOINT [default: send none] [env: POP_OTLP=]
          --host-folder <DIR>        Folder for the state that several runs share: locks, start times
                                     (delayMs), lock versions, cached results [default: .host in the
                                     --runs folder] [env: POP_HOST_FOLDER=]
          --file-cache-size <SIZE>   Limit of the files that operations with `cacheFiles` store in the
                                     host folder, for example 500M or 2T; the least recently used ones
                                     are deleted [default: 10G] [env: POP_FILE_CACHE_SIZE=]
          --resources <NAME=N>       Set totals of the resources that running operations share
                                     (`resources` in their params), such as gpu=2,license=3; repeatable
                                     [default: variable POP_RESOURCES, then cpu and memory of this
                                     machine for local processes; a resumed run keeps its totals]
          --strict                   Treat warnings of the agenda, the registry and the properties file
                                     as errors
      -i, --input <NAME=VALUE>       Set an input of the agenda; repeatable [default: variable
                                     POP_INPUT_NAME, then the input's default]
          --input-file <FILE>        Set inputs from a JSON or YAML file, a map of names to values;
                                     repeatable. --input takes precedence
          --registry <FILE>          Registry file, which maps operation types to programs [default:
                                     registry.json or registry.yaml next to the agenda, then
                                     /app/config/registry.json]
          --conf-d <DIR>             Folder of descriptors, *.conf files that declare handlers [default:
                                     conf.d next to the agenda, then /app/config/conf.d]
          --handlers <DIR>           Look in this folder for the programs that descriptors name;
                                     repeatable [default: handlers next to conf.d, then
                                     /usr/lib/pop/handlers, /usr/lib64/pop/handlers]
          --policy <KEY=VALUE>       Set a policy of the agenda (a key of its params, such as
                                     timeoutMs=5000), in place of the agenda's own value; repeatable
          --runs <DIR>               Folder that stores runs [env: POP_RUNS=] [default: .pop/runs]
      -h, --help                     Print help (see more with '--help')

    Launch data (variables or a properties file can set these, too):
          --launch-type <TYPE>           How this pop process itself was launched; in a pod
                                         (kubernetes), pop annotates the pod with its progress [local,
                                         docker, kubernetes; default: local]
          --external-launch-type <TYPE>  How to launch operations: as processes (local), containers
                                         (docker) or pods (kubernetes) [default: local] [alias: --on]
          --prop-file <FILE>             Java .properties file with settings such as
                                         registryPathOverride and agenda.progress.url [default: the
                                         first of ./config/external.properties,
                                         ./config/external-properties, /app/config/external.properties]
          --payload-file <FILE>          Agenda file, if AGENDA is omitted

    Exit codes:
      0    success: every operation succeeded, was skipped or came from the cache
      1    internal error
      2    invalid command line, or unknown run, operation or type
      3    invalid agenda
      4    invalid registry or settings
      10   an operation failed
      11   no operation failed, except some that are in the dead-letter queue (`onFail: DLQ`)
      12   an operation with `onFail: FATAL` failed
      13   time limit reached
      14   Docker Engine or cluster unreachable
      15   journal unusable, agenda or settings of the run changed, or run used by another process
      130  interrupted (SIGINT)
      143  terminated (SIGTERM, SIGHUP)
    ");
}

#[test]
fn help_of_verify() {
    insta::assert_snapshot!(Bench::new().pop(0, "verify -h").screen(), @r"
    exit 0
    --- stdout
    Run an agenda under several launchers and compare outcomes, results and files

    Usage: pop verify [OPTIONS] --on <TYPES> <AGENDA>

    Arguments:
      <AGENDA>  Agenda file (JSON or YAML), or - for standard input

    Options:
          --on <TYPES>          Two or more launchers, separated by commas [local, docker, kubernetes]
          --without <PATH>      Leave this file or folder out of the copies of the current folder;
                                repeatable
          --outputs <PATH>...   Compare only these files or folders [default: every new or changed file]
          --keep                Keep the copies even if everything is equal
      -j, --parallel <N>        Run at most N operations at once [default: the number of processors]
      -k, --keep-going          After a failure, still run operations that do not depend on the failed
                                one
          --output <OUTPUT>     Output format [default: text] [possible values: text, json]
      -i, --input <NAME=VALUE>  Set an input of the agenda; repeatable [default: variable
                                POP_INPUT_NAME, then the input's default]
          --input-file <FILE>   Set inputs from a JSON or YAML file, a map of names to values;
                                repeatable. --input takes precedence
          --registry <FILE>     Registry file, which maps operation types to programs [default:
                                registry.json or registry.yaml next to the agenda, then
                                /app/config/registry.json]
          --conf-d <DIR>        Folder of descriptors, *.conf files that declare handlers [default:
                                conf.d next to the agenda, then /app/config/conf.d]
          --handlers <DIR>      Look in this folder for the programs that descriptors name; repeatable
                                [default: handlers next to conf.d, then /usr/lib/pop/handlers,
                                /usr/lib64/pop/handlers]
          --policy <KEY=VALUE>  Set a policy of the agenda (a key of its params, such as
                                timeoutMs=5000), in place of the agenda's own value; repeatable
          --resources <NAME=N>  Set totals of the resources that running operations share (`resources`
                                in their params), such as gpu=2,license=3; repeatable [default: variable
                                POP_RESOURCES, then cpu and memory of this machine for local processes;
                                a resumed run keeps its totals]
          --launch-type <TYPE>  How this pop process itself was launched; in a pod (kubernetes), pop
                                annotates the pod with its progress [local, docker, kubernetes; default:
                                local]
          --prop-file <FILE>    Java .properties file with settings such as registryPathOverride
      -h, --help                Print help (see more with '--help')

    Exit codes: 0 everything is equal, 10 something differs; if a run cannot be compared, that run's
    exit code (1, 2, 3, 4, 14, 15)
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
              Agenda file (JSON or YAML), or - for standard input

    Options:
          --run-id <ID>
              Name of the run [default: its start time]. An existing run of this name is resumed; if it
              has ended, pop only returns its exit code

          --exit-zero
              Exit with 0 also after a failure of the run (codes 10 to 13), for platforms that restart a
              failed program

      -j, --parallel <N>
              Run at most N operations at once [default: the number of processors]

      -k, --keep-going
              After a failure, still run operations that do not depend on the failed one

          --time-limit <SECONDS>
              Stop the run after this many seconds [default: no limit]

          --cleanup-limit <SECONDS>
              After --time-limit, give clean-up (operations with `finally`) this many seconds
              
              [default: 60]

          --grace <SECONDS>
              When pop stops an operation, wait this many seconds after SIGTERM before SIGKILL
              
              [default: 10]

          --sync <SYNC>
              When to sync the journal (the run's record of events) to disk: behind (in the background,
              within 100 ms) or each (each event, before pop acts on it)

              Possible values:
              - behind: In the background, within 100 ms
              - each:   Each event, before pop acts on it
              
              [default: behind]

      -q, --quiet
              Print warnings, and a summary only of a run that does not succeed; no events, no progress
              bars

          --output <OUTPUT>
              Format of events during the run: text on stderr, or JSON lines on stdout

              Possible values:
              - text: Text for people
              - json: JSON for programs
              
              [default: text]

          --github-annotations
              In a GitHub job (GITHUB_ACTIONS is true), also print each failure as an annotation, on
              standard error, when the run has ended

          --otlp <URL>
              Send spans of the run to this OpenTelemetry collector, such as http://localhost:4318 (OTLP
              over HTTP); `env` takes the address from OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
              OTEL_EXPORTER_OTLP_ENDPOINT [default: send none]
              
              [env: POP_OTLP=]

          --host-folder <DIR>
              Folder for the state that several runs share: locks, start times (delayMs), lock versions,
              cached results [default: .host in the --runs folder]
              
              [env: POP_HOST_FOLDER=]

          --file-cache-size <SIZE>
              Limit of the files that operations with `cacheFiles` store in the host folder, for example
              500M or 2T; the least recently used ones are deleted [default: 10G]
              
              [env: POP_FILE_CACHE_SIZE=]

          --resources <NAME=N>
              Set totals of the resources that running operations share (`resources` in their params),
              such as gpu=2,license=3; repeatable [default: variable POP_RESOURCES, then cpu and memory
              of this machine for local processes; a resumed run keeps its totals]

          --strict
              Treat warnings of the agenda, the registry and the properties file as errors

      -i, --input <NAME=VALUE>
              Set an input of the agenda; repeatable [default: variable POP_INPUT_NAME, then the input's
              default]

          --input-file <FILE>
              Set inputs from a JSON or YAML file, a map of names to values; repeatable. --input takes
              precedence

          --registry <FILE>
              Registry file, which maps operation types to programs [default: registry.json or
              registry.yaml next to the agenda, then /app/config/registry.json]

          --conf-d <DIR>
              Folder of descriptors, *.conf files that declare handlers [default: conf.d next to the
              agenda, then /app/config/conf.d]

          --handlers <DIR>
              Look in this folder for the programs that descriptors name; repeatable [default: handlers
              next to conf.d, then /usr/lib/pop/handlers, /usr/lib64/pop/handlers]

          --policy <KEY=VALUE>
              Set a policy of the agenda (a key of its params, such as timeoutMs=5000), in place of the
              agenda's own value; repeatable

          --runs <DIR>
              Folder that stores runs
              
              [env: POP_RUNS=]
              [default: .pop/runs]

      -h, --help
              Print help (see a summary with '-h')

    Launch data (variables or a properties file can set these, too):
          --launch-type <TYPE>
              How this pop process itself was launched; in a pod (kubernetes), pop annotates the pod
              with its progress [local, docker, kubernetes; default: local]

          --external-launch-type <TYPE>
              How to launch operations: as processes (local), containers (docker) or pods (kubernetes)
              [default: local]
              
              [alias: --on]

          --prop-file <FILE>
              Java .properties file with settings such as registryPathOverride and agenda.progress.url
              [default: the first of ./config/external.properties, ./config/external-properties,
              /app/config/external.properties]

          --payload-file <FILE>
              Agenda file, if AGENDA is omitted

    Exit codes:
      0    success: every operation succeeded, was skipped or came from the cache
      1    internal error
      2    invalid command line, or unknown run, operation or type
      3    invalid agenda
      4    invalid registry or settings
      10   an operation failed
      11   no operation failed, except some that are in the dead-letter queue (`onFail: DLQ`)
      12   an operation with `onFail: FATAL` failed
      13   time limit reached
      14   Docker Engine or cluster unreachable
      15   journal unusable, agenda or settings of the run changed, or run used by another process
      130  interrupted (SIGINT)
      143  terminated (SIGTERM, SIGHUP)
    ");
}

#[test]
fn every_command_has_help_a_page_and_completions() {
    let bench = Bench::new();
    let commands = "run|check|plan|resume|cancel|wait|watch|runs|show|logs|explain|prune|dlq|dlq list|dlq show|dlq replay|dlq drop|cache|\
                    cache list|cache clear|traces|traces send|verify|handlers|handlers show|handlers reload|handler|handler check|handler serve|handler ctl|new|completions|man";
    for command in commands.split('|') {
        let help = bench.pop(0, &format!("{command} --help")).stdout;
        assert!(help.contains(&format!("Usage: pop {command}")), "{help}");
        assert!(help.contains("\nExit codes:"), "{help}");
        let has_dead_letters = ["run", "resume", "wait", "watch", "dlq replay"].contains(&command);
        assert_eq!(help.split("\nExit codes:").nth(1).unwrap().contains("11"), has_dead_letters, "{help}");
    }
    assert!(bench.pop(0, "man").stdout.contains(".TH pop 1"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(bench.call("completions").argument(shell).ends(0).stdout.contains("POP_COMPLETE"));
    }
    assert!(bench.pop(0, "--version").stdout.starts_with("pop "));
}

#[test]
fn invalid_command_lines() {
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
    error: no agenda given
    hint: pass a file: `pop run agenda.json`
    ");
    insta::assert_snapshot!(bench.pop(2, "show last").screen(), @r"
    exit 2
    --- stderr
    error: there are no runs in `.pop/runs` yet
    hint: start one: `pop run agenda.yaml`; `--runs DIR` or POP_RUNS names another folder of runs
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
fn f46_handlers_show_masks_a_secret_in_the_registry() {
    let bench = Bench::new();
    bench.write("registry.yaml", "probe: {command: [a], envVars: {API_TOKEN: hunter2}}\n");
    let shown = bench.pop(0, "handlers show probe").screen();
    assert!(shown.contains("secret-literal") && shown.contains("envVars.API_TOKEN"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn handlers_lists_types_and_field_origins() {
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
    agenda        agenda        -        -                 -        built in       all
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
    exec: built in, needs no registry entry
    ");
    insta::assert_snapshot!(bench.pop(2, "handlers show prob").screen(), @r"
    exit 2
    --- stderr
    error: no handler serves type `prob`
    hint: did you mean `probe`?
    ");
}
