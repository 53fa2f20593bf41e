//! Random agendas, killed with SIGKILL at random moments and resumed: nothing is lost, repeated or left running.

use crate::bench::Bench;
use pop_agenda::{Ending, RunEvent};
use pop_executor::read_journal;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs;

/// A small random number generator: the same seed gives the same agenda and the same kills.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Operations that append their name to `ran`, wait a little or not, and need some of those before them.
fn agenda(chance: &mut Chance) -> Vec<Value> {
    let count = 6 + chance.below(14);
    let operation = |index: usize| {
        let needs: Vec<String> = (0..chance.below(3))
            .filter(|_| index > 0)
            .map(|_| format!("op{}", chance.below(index.max(1))))
            .collect();
        let wait = ["", "; sleep 0.01", "; sleep 0.03"][chance.below(3)];
        json!({"name": format!("op{index}"), "type": "exec", "params": {"dependsOn": needs},
            "payload": {"command": ["sh", "-c", format!("echo op{index} >> ran{wait}")]}})
    };
    (0..count).map(operation).collect()
}

/// The operations of which the journal has a success, and how often each was started after it.
fn successes(bench: &Bench) -> HashMap<u64, (usize, usize)> {
    let mut seen: HashMap<u64, (usize, usize)> = HashMap::new();
    for record in read_journal(&bench.run_folder().join("journal")).unwrap().events {
        match record.event {
            RunEvent::AttemptStarted { op, .. } => {
                if let Some((_, started)) = seen.get_mut(&op.0.into()) {
                    *started += 1;
                }
            }
            RunEvent::AttemptEnded { op, ending: Ending::Succeeded { .. }, .. } => {
                seen.entry(op.0.into()).or_default().0 += 1;
            }
            _ => {}
        }
    }
    seen
}

/// The processes that belong to the run, by the variable that they inherited.
fn left_running(bench: &Bench) -> Vec<String> {
    let run = bench.run_folder().file_name().unwrap().to_string_lossy().into_owned();
    let variable = format!("POP_RUN_ID={run}").into_bytes();
    let environment = |process: &fs::DirEntry| fs::read(process.path().join("environ")).unwrap_or_default();
    let is_of_run =
        |process: &fs::DirEntry| environment(process).split(|byte| *byte == 0).any(|entry| entry == variable);
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).filter(is_of_run);
    processes.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn f1_run_killed_at_random_moments_has_the_same_outcome() {
    // `just chaos 200` tries more of them
    let seeds = std::env::var("CHAOS_SEEDS").map_or(8, |seeds| seeds.parse().unwrap());
    let mut kills = 0;
    for seed in 1..=seeds {
        let mut chance = Chance(seed);
        let operations = agenda(&mut chance);
        let bench = Bench::with_agenda(&json!({ "operations": operations }).to_string());
        bench.write("ran", "");
        let mut command = format!("run a.yaml -j {}", 1 + chance.below(4));
        for _ in 0..6 {
            let done = bench.sorted_lines("ran");
            let left = operations.len() - done.iter().collect::<std::collections::HashSet<_>>().len();
            if left == 0 {
                break;
            }
            let running = bench.call(&command).spawn();
            bench.wait_for("ran", done.len() + 1 + chance.below(left));
            running.crash();
            kills += 1;
            command = "resume last".to_owned();
        }
        bench.pop(0, &command);
        assert_eq!(bench.shown()["outcome"], "succeeded", "seed {seed}");
        let seen = successes(&bench);
        assert_eq!(seen.len(), operations.len(), "seed {seed}");
        assert!(seen.values().all(|counts| *counts == (1, 0)), "seed {seed}: {seen:?}");
        assert_eq!(left_running(&bench), Vec::<String>::new(), "seed {seed}");
    }
    eprintln!("{kills} kills over {seeds} agendas");
}

#[test]
fn f16_a_daemon_does_not_outlive_a_killed_pop() {
    let bench = Bench::with_agenda(
        r#"
operations:
  - name: a
    type: exec
    payload:
      command:
        - sh
        - -c
        - setsid sh -c 'echo $$ > daemon; exec sleep 1000' & while [ ! -s daemon ]; do sleep 0.01; done; echo > here; exec sleep 1000
"#,
    );
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    let daemon = bench.process("daemon");
    running.crash();
    daemon.ends();
}
