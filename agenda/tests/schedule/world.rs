//! A simulated executor: attempts take their scripted time, and it answers gate requests.

use crate::fold::disagreement;
use pop_agenda::{
    Action, Agenda, Answer, Ending, EventRecord, FileRecord, Gate, History, Input, OpIx, Origin, Outcome,
    ParentRun, Plan, RunEvent, RunOptions, RunOutcome, RunTime, Scheduler, Verdict,
};
use pop_contract::{Blame, Failure, LaunchType};
use pop_registry::Catalog;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;

/// The behaviour of one operation and its policies.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) needs: Vec<usize>,
    /// The outcome that is asked of each of them; empty: none in particular.
    pub(crate) asks: Vec<&'static str>,
    pub(crate) fails_first: u32,
    pub(crate) takes_ms: u64,
    pub(crate) max_attempts: u32,
    pub(crate) delay_ms: u64,
    pub(crate) on_fail: &'static str,
    pub(crate) timeout_ms: u64,
    pub(crate) is_skipped: bool,
    pub(crate) lock: Option<u8>,
    /// Whether its keys are versions that are compared at its end, and not locks.
    pub(crate) is_optimistic: bool,
    /// The name and the distance of its starts.
    pub(crate) starts: Option<(u8, u64)>,
    pub(crate) cache: Option<u8>,
    /// How many items, and how many of them at once.
    pub(crate) items: Option<(usize, u32)>,
    pub(crate) is_finally: bool,
    /// How many operations stand in its result, each of which waits for the one before it.
    pub(crate) generates: Option<usize>,
    /// The operations inside, if it is of type `agenda`.
    pub(crate) inside: Vec<Self>,
    /// `itemFailures`.
    pub(crate) item_failures: &'static str,
    /// Whether it reads files, and whether it writes files.
    pub(crate) files: (bool, bool),
    /// Failures, after the first ones, that are successes without the files.
    pub(crate) misses_first: u32,
    /// A group of `dependsOn`: whether one of its conditions is enough, and operations with the outcome that is asked.
    pub(crate) group: Option<(bool, Vec<(usize, &'static str)>)>,
    /// An operation that must have failed (or must not) for this one to run.
    pub(crate) when: Option<(usize, bool)>,
    /// Amounts that an attempt holds.
    pub(crate) resources: BTreeMap<&'static str, u64>,
    pub(crate) priority: i32,
}

pub(crate) fn script(needs: &[usize]) -> Script {
    Script {
        needs: needs.to_vec(),
        asks: vec![""; needs.len()],
        fails_first: 0,
        takes_ms: 10,
        max_attempts: 1,
        delay_ms: 0,
        on_fail: "REPLY",
        timeout_ms: 0,
        is_skipped: false,
        lock: None,
        is_optimistic: false,
        starts: None,
        cache: None,
        items: None,
        is_finally: false,
        generates: None,
        inside: Vec::new(),
        item_failures: "fail",
        files: (false, false),
        misses_first: 0,
        group: None,
        when: None,
        resources: BTreeMap::new(),
        priority: 0,
    }
}

/// The totals of runs in which operations need resources.
pub(crate) const TOTALS: &str = "cpu=4,gpu=2,license=1";

fn params(script: &Script) -> Value {
    let asks = |index: usize| match script.asks.get(index) {
        Some(word) if !word.is_empty() => format!(".{word}"),
        _ => String::new(),
    };
    let needs = script.needs.iter().enumerate();
    let mut needs: Vec<Value> = needs.map(|(index, on)| json!(format!("op{on}{}", asks(index)))).collect();
    if let Some((is_any, members)) = &script.group {
        let dot = |word: &str| if word.is_empty() { String::new() } else { format!(".{word}") };
        let members: Vec<String> = members.iter().map(|(on, word)| format!("op{on}{}", dot(word))).collect();
        let all = json!({"all": members});
        needs.push(if *is_any { json!({"any": members}) } else { json!({"any": [all]}) });
    }
    let mut params = json!({"dependsOn": needs});
    let mut add = |key: &str, value: Value| params[key] = value;
    if let Some((count, most)) = script.items {
        add("forEach", json!((0..count).collect::<Vec<_>>()));
        add("maxParallel", json!(most));
        add("itemFailures", json!(script.item_failures));
    }
    if script.is_finally {
        add("finally", json!(true));
    }
    if let Some((on, has_failed)) = script.when {
        let sign = if has_failed { "==" } else { "!=" };
        add("when", json!(format!("outcomes.op{on} {sign} 'failed'")));
    }
    if !script.inside.is_empty() {
        return params;
    }
    add("onFail", json!(script.on_fail));
    add("timeoutMs", json!(script.timeout_ms));
    add("retry", json!({"maxAttempts": script.max_attempts, "delayMs": script.delay_ms}));
    if script.is_skipped {
        add("skipPattern", json!("skip"));
    }
    if let Some(key) = script.lock {
        add("lock", json!(if script.is_optimistic { "OPTIMISTIC" } else { "SAFE" }));
        add("lockKey", json!([format!("k{key}"), format!("k{}", key ^ 1)]));
    }
    if let Some((id, ms)) = script.starts {
        add("delayMs", json!(ms));
        add("delayId", json!(format!("d{id}")));
    }
    if let Some(key) = script.cache {
        add("useCache", json!(true));
        add("cache.use", json!(true));
        add("cacheState", json!(format!("c{key}")));
        add("cacheKeyPattern", json!("key"));
    }
    if script.generates.is_some() {
        add("agenda.operation.generator", json!({"operationsJsonPointer": ""}));
    }
    if script.files.0 {
        add("reads", json!(["in/*"]));
    }
    if script.files.1 {
        add("writes", json!("out/@<pop.operationName>"));
    }
    if !script.resources.is_empty() {
        add("resources", json!(script.resources));
    }
    if script.priority != 0 {
        add("priority", json!(script.priority));
    }
    params
}

fn operations(scripts: &[Script]) -> Value {
    let operation = |(index, script): (usize, &Script)| {
        let name = format!("op{index}");
        let params = params(script);
        if script.inside.is_empty() {
            let payload = json!({"skip": script.is_skipped, "key": script.cache});
            return json!({"name": name, "type": "sample", "params": params, "payload": payload});
        }
        let payload = json!({"operations": operations(&script.inside), "result": {"first": "@<op0.out::?>"}});
        json!({"name": name, "type": "agenda", "params": params, "payload": payload})
    };
    scripts.iter().enumerate().map(operation).collect()
}

pub(crate) fn plan_of(scripts: &[Script]) -> Arc<Plan> {
    plan(json!({"operations": operations(scripts)}))
}

pub(crate) fn plan(agenda: Value) -> Arc<Plan> {
    let mut faults = Vec::new();
    let agenda = Agenda::parse(agenda, &mut faults).unwrap();
    let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults);
    assert!(plan.is_some(), "{faults:?}");
    Arc::new(plan.unwrap())
}

fn files(path: &str) -> Arc<[FileRecord]> {
    [FileRecord { path: path.into(), size: 1, digest: "d".into(), executable: false }].into()
}

/// A future event of the simulation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Coming {
    End {
        op: u32,
        attempt: u32,
    },
    /// The versions that an attempt read are committed.
    Committed {
        op: u32,
        attempt: u32,
    },
    /// Somebody outside the run gives a lock back.
    Granted {
        op: u32,
        name: String,
    },
}

/// The simulated executor with its journal.
pub(crate) struct World<'s> {
    scripts: &'s [Script],
    /// How what is generated behaves.
    plain: Script,
    pub(crate) scheduler: Scheduler,
    pub(crate) journal: Vec<EventRecord>,
    pub(crate) history: History,
    /// Whether scheduler and history are compared after each step.
    pub(crate) compares_folds: bool,
    /// Whether attempts outlive their executor, as containers do.
    pub(crate) attempts_survive: bool,
    /// Whether `shortages` is filled.
    pub(crate) notes_shortages: bool,
    /// For each operation, the times at which it began or ended to wait for resources.
    pub(crate) shortages: BTreeMap<OpIx, Vec<(RunTime, bool)>>,
    pub(crate) now: RunTime,
    coming: BinaryHeap<Reverse<(u64, Coming)>>,
    pub(crate) launches: HashMap<u32, u32>,
    /// Locks, by whom they are held.
    locks: BTreeMap<String, u32>,
    /// Until when somebody outside the run holds the locks.
    pub(crate) busy_until: u64,
    /// The last start of each name, of this run or of another.
    pub(crate) starts: BTreeMap<String, u64>,
    cache: BTreeMap<String, Arc<Value>>,
    pub(crate) letters: BTreeSet<u32>,
    /// The parent of a rerun, and the names of the operations whose results are unchanged.
    pub(crate) parent: Option<(ParentRun, BTreeSet<String>)>,
    /// Attempt of each operation whose commit was requested, and whether the commit was confirmed.
    pub(crate) commits: BTreeMap<u32, (u32, bool)>,
}

impl<'s> World<'s> {
    pub(crate) fn new(scripts: &'s [Script], plan: &Arc<Plan>, options: &RunOptions) -> Self {
        let scheduler = Scheduler::new(Arc::clone(plan), options.clone());
        Self::of(scripts, scheduler, History::new(plan.len()), &[])
    }

    /// A world whose executor died after these records, which led to this state and history.
    pub(crate) fn of(
        scripts: &'s [Script],
        scheduler: Scheduler,
        history: History,
        journal: &[EventRecord],
    ) -> Self {
        Self {
            scripts,
            plain: script(&[]),
            scheduler,
            journal: journal.to_vec(),
            history,
            compares_folds: false,
            attempts_survive: false,
            notes_shortages: false,
            shortages: BTreeMap::new(),
            now: journal.last().map(|record| record.at).unwrap_or_default(),
            coming: BinaryHeap::new(),
            launches: HashMap::new(),
            locks: BTreeMap::new(),
            busy_until: 0,
            starts: BTreeMap::new(),
            cache: BTreeMap::new(),
            letters: BTreeSet::new(),
            parent: None,
            commits: BTreeMap::new(),
        }
    }

    /// A world whose executor died after these records.
    pub(crate) fn restored(
        scripts: &'s [Script],
        plan: &Arc<Plan>,
        options: &RunOptions,
        journal: &[EventRecord],
    ) -> Self {
        let mut scheduler = Scheduler::new(Arc::clone(plan), options.clone());
        for record in journal {
            scheduler.evolve(record);
            scheduler.check().unwrap();
        }
        Self::of(scripts, scheduler, History::of(plan.len(), journal), journal)
    }

    /// A new executor takes over: gates that the old one held or awaited are gone.
    pub(crate) fn resume(&mut self) {
        self.locks.clear();
        self.coming.clear();
        let options = self.scheduler.options().clone();
        self.input(Input::Resumed { options });
    }

    pub(crate) fn begin(&mut self) {
        self.input(Input::Begun {
            run: "r".into(),
            started: 0,
            adopted: pop_agenda::PriorOutcomes {
                parent: self.parent.as_ref().map(|(parent, _)| Box::new(parent.clone())),
                ..Default::default()
            },
        });
    }

    /// The script of an operation, or of the one that it is a part of.
    pub(crate) fn script(&self, op: OpIx) -> &Script {
        match self.scheduler.plan().operation(op).origin {
            Some(Origin::Part { of, .. }) => self.script(of),
            Some(Origin::Inner { of, index }) => &self.script(of).inside[index as usize],
            Some(Origin::Generated { .. }) => &self.plain,
            None => self.scripts.get(op.index()).unwrap_or(&self.plain),
        }
    }

    /// The result of an operation.
    fn result(&self, op: OpIx) -> Value {
        let Some(count) = self.script(op).generates else { return json!({"of": op.0}) };
        let name = |index: usize| format!("made{}.{index}", op.0);
        let made = (0..count).map(|index| {
            let needs: Vec<String> = index.checked_sub(1).map(name).into_iter().collect();
            json!({"name": name(index), "type": "sample", "params": {"dependsOn": needs}})
        });
        made.collect()
    }

    /// Failures of an operation that the journal has counted.
    fn failures(&self, op: OpIx) -> u32 {
        let failed = |record: &&EventRecord| matches!(&record.event, RunEvent::AttemptEnded { op: of, ending: Ending::Failed(_), .. } if *of == op);
        self.journal.iter().filter(failed).count() as u32
    }

    pub(crate) fn input(&mut self, input: Input) {
        // a debug build checks the scheduler in each step
        let step = self.scheduler.step(self.now, input);
        assert!(self.scheduler.tally().running <= self.scheduler.options().parallel);
        for event in step.events {
            let record = EventRecord { at: self.now, event };
            self.history.add(&record);
            self.journal.push(record);
        }
        if self.compares_folds {
            assert_eq!(disagreement(&self.scheduler, &self.history), None);
        }
        for action in step.actions {
            self.act(action);
        }
        crate::packing::check(self);
    }

    fn act(&mut self, action: Action) {
        match action {
            // like a process that died with its executor
            Action::Launch { op, attempt, again: true, .. } if !self.attempts_survive => {
                self.input(Input::Lost { op, attempt });
            }
            Action::Launch { op, attempt, again: true, .. } => {
                let started = self.history.operation(op).open_attempt().unwrap().started;
                let end = self.now.0.max(started.0 + self.script(op).takes_ms);
                self.coming.push(Reverse((end, Coming::End { op: op.0, attempt })));
            }
            Action::Launch { op, attempt, .. } => {
                *self.launches.entry(op.0).or_default() += 1;
                self.may_begin(op);
                let script = self.script(op);
                if let Some(key) = script.lock.filter(|_| !script.is_optimistic) {
                    assert_eq!(self.locks.get(&format!("k{key}")), Some(&op.0), "started without its lock");
                }
                let end = self.now.0 + script.takes_ms;
                self.coming.push(Reverse((end, Coming::End { op: op.0, attempt })));
            }
            // a stopped attempt ends a millisecond later
            Action::Stop { op, attempt, .. } => {
                self.coming.push(Reverse((self.now.0 + 1, Coming::End { op: op.0, attempt })));
            }
            Action::Ask { op, gate } => {
                let answer = self.answer(op, gate);
                self.input(Input::Answered { op, answer });
            }
            Action::Reclaim { op, gates, .. } => {
                for gate in gates.iter() {
                    if let Gate::Lock { name } = gate {
                        self.lock(name, op);
                    }
                }
            }
            Action::RemoveDeadLetter { op } => drop(self.letters.remove(&op.0)),
            Action::Release { op } => self.locks.retain(|_, holder| *holder != op.0),
            Action::Fill { ask, result, .. } => drop(self.cache.insert(ask.state.to_string(), result)),
            Action::Commit { op, attempt } => {
                let declared = self.scheduler.declared_files(op);
                match self.scheduler.versions(op).len() {
                    0 => assert!(declared.is_some(), "nothing to commit"),
                    count => {
                        assert_eq!(count, 2);
                        self.commits.insert(op.0, (attempt, false));
                    }
                }
                self.coming.push(Reverse((self.now.0 + 2, Coming::Committed { op: op.0, attempt })));
            }
            Action::ConfirmCommit { op, attempt, keys } => {
                assert_eq!(
                    (self.commits.insert(op.0, (attempt, true)), keys.len()),
                    (Some((attempt, false)), 2)
                );
            }
            Action::DeadLetter { op } => {
                let history = self.scheduler.dead_letter_history(op).unwrap();
                assert_eq!(history.failures().count(), self.history.operation(op).failures().count());
                assert!(history.failure().is_some());
                self.letters.insert(op.0);
            }
        }
    }

    /// Everything that an operation waits for is settled when it starts.
    fn may_begin(&self, op: OpIx) {
        let plan = self.scheduler.plan();
        let is_open = |op: OpIx| self.scheduler.state(op).outcome().is_none();
        let open = plan.graph().dependencies(op).map(|edge| edge.on).find(|on| is_open(*on));
        assert_eq!(open, None, "{op:?} has started before it");
        if plan.operation(op).is_last() {
            let open = plan.operations().find(|(op, planned)| !planned.is_last() && is_open(*op));
            assert_eq!(open.map(|(op, _)| op), None, "{op:?} has started before it");
        }
    }

    fn lock(&mut self, name: &str, op: OpIx) {
        let before = self.locks.insert(name.to_owned(), op.0);
        assert_eq!(before, None, "`{name}` has two holders");
    }

    fn answer(&mut self, op: OpIx, gate: Gate) -> Answer {
        match gate {
            Gate::Lock { name } if self.now.0 < self.busy_until => {
                let coming = Coming::Granted { op: op.0, name: name.to_string() };
                self.coming.push(Reverse((self.busy_until, coming)));
                Answer::Busy { holder: "another run".into() }
            }
            Gate::Lock { name } => {
                self.lock(&name, op);
                Answer::Granted
            }
            Gate::Cache(ask) => match self.cache.get(&*ask.state) {
                Some(result) => Answer::Hit {
                    result: Arc::clone(result),
                    by: "r/x".into(),
                    written: 0,
                    files: None,
                    restored: 0,
                },
                None => Answer::miss("nothing is kept"),
            },
            Gate::Files(declared) => {
                assert_eq!(&*declared.reads, ["in/*".into()]);
                Answer::Read { files: files("in/a") }
            }
            Gate::Version { .. } => Answer::Version(1),
            Gate::Reuse { run, .. } => {
                let name = self.scheduler.plan().operation(op).name.as_str();
                if self.parent.as_ref().is_some_and(|(_, unchanged)| unchanged.contains(name)) {
                    Answer::Reused {
                        result: self.result(op).into(),
                        run,
                        named_files: Arc::default(),
                        files: None,
                    }
                } else {
                    Answer::miss("it has changed")
                }
            }
            Gate::Delay { id, ms } => {
                let last = self.starts.entry(id.unwrap().into()).or_insert(0);
                let earliest = if *last == 0 { 0 } else { *last + ms };
                if earliest > self.now.0 {
                    return Answer::Later { ms: earliest - self.now.0 };
                }
                *last = self.now.0.max(1);
                Answer::Granted
            }
        }
    }

    /// Processes the next event; false if there is none.
    pub(crate) fn advance(&mut self) -> bool {
        let coming = self.coming.peek().map(|Reverse((at, _))| *at);
        let due = self.scheduler.deadline().map(|at| at.0);
        match (coming, due) {
            (Some(at), due) if due.is_none_or(|due| at <= due) => {
                self.now = self.now.max(RunTime(at));
                match self.coming.pop() {
                    Some(Reverse((_, Coming::End { op, attempt }))) => self.end(OpIx(op), attempt),
                    Some(Reverse((_, Coming::Committed { op, attempt }))) => {
                        self.commit(OpIx(op), attempt);
                    }
                    Some(Reverse((_, Coming::Granted { op, name }))) => self.give(OpIx(op), &name),
                    None => return false,
                }
                true
            }
            (_, Some(due)) => {
                self.now = self.now.max(RunTime(due));
                self.input(Input::Ticked);
                true
            }
            _ => false,
        }
    }

    fn end(&mut self, op: OpIx, attempt: u32) {
        let verdict = if self.failures(op) < self.script(op).fails_first {
            Verdict::failed(Failure::new(Blame::Handler, "exit", "scripted"))
        } else {
            Verdict::succeeded(self.result(op))
        };
        self.input(Input::Ended { op, attempt, verdict });
    }

    /// The answer to a commit: the files of the attempt are missing, or are these.
    fn commit(&mut self, op: OpIx, attempt: u32) {
        let script = self.script(op);
        let outcome = if !script.files.1 {
            Ok(None)
        } else if self.failures(op) < script.fails_first + script.misses_first {
            // a failed attempt has nothing to confirm
            self.commits.remove(&op.0);
            Err(Box::new(Failure::new(Blame::Handler, "missing-output", "scripted")))
        } else {
            Ok(Some(files("out/a")))
        };
        self.input(Input::Committed { op, attempt, outcome });
    }

    /// A lock that was waited for; whoever does not want it any more leaves it.
    fn give(&mut self, op: OpIx, name: &str) {
        let wants = matches!(self.scheduler.state(op), pop_agenda::OpState::Gated(pop_agenda::Hold::Busy));
        if wants {
            self.lock(name, op);
            self.input(Input::Answered { op, answer: Answer::Granted });
        }
    }

    pub(crate) fn finish(&mut self) -> RunOutcome {
        for _ in 0..100_000 {
            if let Some(outcome) = self.scheduler.outcome() {
                assert!(self.locks.is_empty(), "locks outlive the run: {:?}", self.locks);
                for (op, (_, is_confirmed)) in &self.commits {
                    let is_over = self.scheduler.state(OpIx(*op)).outcome() == Some(Outcome::Succeeded);
                    assert!(*is_confirmed || !is_over, "the commit of {op} was not confirmed");
                }
                self.check_files();
                return outcome;
            }
            assert!(self.advance(), "nothing moves and the run has not ended");
        }
        unreachable!("the run does not end");
    }

    /// What ran has recorded its files.
    fn check_files(&self) {
        for (op, script) in (0_u32..).map(OpIx).zip(self.scripts) {
            let seen = self.history.operation(op);
            let has_run = matches!(
                seen.attempts.last().and_then(|attempt| attempt.ended.as_ref()),
                Some((_, Ending::Succeeded { .. }))
            );
            let recorded = seen.files.as_ref();
            let (read, written) = (
                recorded.is_some_and(|files| files.read.is_some()),
                recorded.is_some_and(|files| files.written.is_some()),
            );
            if has_run && seen.reopened.is_empty() {
                assert_eq!((read, written), script.files, "{op:?}");
            }
        }
    }

    /// The outcomes of the operations that are written; one from the cache is as good as any.
    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        let written = (0..self.scripts.len() as u32).map(OpIx);
        let outcome = |op| match self.scheduler.state(op).outcome().unwrap() {
            Outcome::FromCache => Outcome::Succeeded,
            other => other,
        };
        written.map(outcome).collect()
    }
}
