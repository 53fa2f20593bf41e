//! The service on real databases: the same scenario on both, each statement made to fail, many pullers at once.

mod faults;
mod overlap;
#[cfg(feature = "postgres")]
mod postgres;

use crate::Store;
use pop_service::{
    Calendar, Effects, Ids, Kind, LogTail, Loss, Minute, Object, PullRequest, PulledAgenda, Query,
    RerunWords, Rules, RunFilter, RunOrder, RunState, Service, ServiceError,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const RULES: Rules = Rules { lease: 1_000, longest_lease: 10_000 };

/// Ids that are the same in each test.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicI64>);

impl Ids for Counter {
    fn id(&mut self) -> String {
        format!("id-{}", self.sequence())
    }

    fn sequence(&mut self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// A calendar with one zone, in which each day has a number and months have no end.
struct Utc;

impl Calendar for Utc {
    fn civil(&self, zone: &str, at: u64) -> Result<Minute, String> {
        if zone != "UTC" {
            return Err(format!("no zone `{zone}`"));
        }
        let minutes = at / 60_000;
        let (day, hour, minute) = (1 + minutes / 1_440, minutes / 60 % 24, minutes % 60);
        Ok(Minute { year: 2027, month: 1, day: day as u8, hour: hour as u8, minute: minute as u8 })
    }

    fn time(&self, _: &str, at: Minute) -> Result<u64, String> {
        let minutes = (u64::from(at.day) - 1) * 1_440 + u64::from(at.hour) * 60 + u64::from(at.minute);
        Ok(minutes * 60_000)
    }
}

/// A store with a service.
#[derive(Clone)]
struct Desk {
    store: Store,
    ids: Counter,
    /// Whether no other transaction takes ids at the same time.
    is_alone: bool,
}

impl Desk {
    fn new(store: Store) -> Self {
        Self { store, ids: Counter::default(), is_alone: true }
    }

    async fn at<T: Send + 'static>(
        &self,
        now: u64,
        mut perform: impl FnMut(&mut Service<'_>) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<(T, Effects), ServiceError> {
        let before = self.ids.0.load(Ordering::Relaxed);
        let (ids, is_alone) = (self.ids.clone(), self.is_alone);
        let result = self.store.transact(move |ledger| {
            let mut ids = ids.clone();
            if is_alone {
                // each attempt gets the same ids
                ids.0.store(before, Ordering::Relaxed);
            }
            let mut service = Service::new(ledger, &mut ids, &Utc, RULES, now);
            let value = perform(&mut service)?;
            Ok((value, service.into_effects()))
        });
        let result = result.await;
        if result.is_err() && is_alone {
            self.ids.0.store(before, Ordering::Relaxed);
        }
        result
    }

    /// Creates the customers `a` and `b`, and the insight `i`.
    async fn populate(&self, algorithm: &str) {
        let insight =
            json!({"id": "i", "resourcePoolId": "p", "isGlobal": true, "schedulingAlgorithm": algorithm});
        let objects = [
            (Kind::ResourcePool, json!({"id": "p"})),
            (Kind::Insight, insight),
            (Kind::Customer, json!({"id": "a", "resourcePoolId": "p"})),
            (Kind::Customer, json!({"id": "b", "resourcePoolId": "p"})),
        ];
        for (kind, value) in objects {
            let object = Object::of(value).unwrap();
            self.at(0, move |service| service.create(kind, object.clone())).await.unwrap();
        }
    }

    async fn create(&self, now: u64, agenda: Value) -> Result<String, ServiceError> {
        let agenda = Object::of(agenda).unwrap();
        let (created, _) = self.at(now, move |service| service.create_agenda(agenda.clone())).await?;
        Ok(created.agenda.id().to_owned())
    }

    async fn pull(&self, now: u64, count: i64) -> Result<Vec<PulledAgenda>, ServiceError> {
        let request = PullRequest { insight: "i".into(), count, puller: "x".into(), lease: None };
        Ok(self.at(now, move |service| service.pull(&request)).await?.0)
    }

    async fn report(&self, now: u64, fence: &str, mut report: Value) -> Result<Effects, ServiceError> {
        report["id"] = fence.into();
        let report = Object::of(report).unwrap();
        Ok(self.at(now, move |service| service.report(report.clone())).await?.1)
    }

    async fn progress(&self, fence: &str) -> Value {
        let id = fence.to_owned();
        let read = self.at(0, move |service| service.read(Kind::AgendaProgress, &id)).await;
        read.unwrap().0.into_value()
    }

    /// Number of agendas in each state, counted by the database and from all of them.
    async fn states(&self) -> [BTreeMap<String, u64>; 2] {
        let counted = self.store.transact(|ledger| {
            let by_database = ledger.states(Kind::AgendaProgress)?.into_iter().collect();
            let mut from_all = BTreeMap::new();
            for object in ledger.find(Kind::AgendaProgress, &Query::default())? {
                let state = object.text("processingState").unwrap_or_default().to_owned();
                *from_all.entry(state).or_default() += 1;
            }
            Ok([by_database, from_all])
        });
        counted.await.unwrap()
    }

    /// Everything that is stored.
    async fn dump(&self) -> Vec<String> {
        let dumped = self.store.transact(|ledger| {
            let mut all = Vec::new();
            for kind in Kind::ALL {
                for object in ledger.find(kind, &Query::default())? {
                    if kind == Kind::Agenda {
                        all.push(format!("{:?}", ledger.work(object.id())?));
                    }
                    all.push(format!("{kind:?} {}", object.into_value()));
                }
            }
            Ok(all)
        });
        dumped.await.unwrap()
    }
}

fn agenda(customer: &str, priority: i64) -> Value {
    json!({"customerId": customer, "params": {"priority": priority}, "operations": [
        {"name": "one", "type": "sample", "payload": {}},
        {"name": "two", "type": "sample", "payload": "@<one.out::/x>"},
    ]})
}

fn fence(pulled: &[PulledAgenda]) -> String {
    pulled[0].agenda.text("progressId").unwrap().to_owned()
}

fn operation(name: &str, state: &str, message: &str) -> Value {
    json!({"operation": name, "processingState": state, "processingStateMessage": message, "resultPayload": "{\"x\":1}"})
}

fn ended(message: &str) -> Value {
    json!({"processingState": "COMPLETE", "processingStateMessage": message})
}

async fn run_steps(desk: &Desk) -> Result<(), ServiceError> {
    for step in 0..=10 {
        // a step that failed is done again, as a client would
        if step_of(desk, step).await.is_err() {
            step_of(desk, step).await?;
        }
    }
    Ok(())
}

/// One step in the life of an agenda; each step is one transaction.
async fn step_of(desk: &Desk, step: u64) -> Result<(), ServiceError> {
    let lease = |epoch: i64| format!("id-2~{epoch}");
    match step {
        0 => drop(desk.create(1, agenda("a", 0)).await?),
        1 | 4 | 7 => assert_eq!(desk.pull(step, 5).await?.len(), 1),
        2 => drop(
            desk.report(
                2,
                &lease(1),
                json!({"processingState": "EXECUTING", "operationProgress": [
                operation("one", "COMPLETE", "succeeded"), operation("two", "EXECUTING", "half")]}),
            )
            .await?,
        ),
        3 => drop(desk.report(3, &lease(1), ended("failed")).await?),
        5 => drop(desk.at(5, move |service| service.renew(&lease(2))).await?),
        6 => drop(desk.at(6, move |service| service.give_back(&lease(2), &Loss::HandedBack)).await?),
        8 => drop(desk.report(8, &lease(3), ended("succeeded")).await?),
        9 => {
            let words = RerunWords::parse(["operationsToReset=one"]);
            desk.at(9, move |service| service.rerun("id-1", &words)).await?;
        }
        _ => drop(desk.at(99, |service| service.reap(98, 10, true)).await?),
    }
    Ok(())
}

/// The life of agendas, on any database.
async fn life_of_agendas(store: Store) {
    let desk = Desk::new(store);
    desk.populate("RoundRobin").await;
    // customer a has three agendas, b one, and one of a is urgent
    let mut ids = Vec::new();
    for (customer, priority) in [("a", 0), ("a", 0), ("a", 0), ("b", 0), ("a", 7)] {
        ids.push(desk.create(10, agenda(customer, priority)).await.unwrap());
    }
    let pulled = desk.pull(20, 4).await.unwrap();
    let order: Vec<&str> = pulled.iter().map(|one| one.agenda.id()).collect();
    assert_eq!(order, [&ids[4], &ids[0], &ids[3], &ids[1]].map(String::as_str));
    assert_eq!(pulled[0].agenda.param("added"), Some(&json!(10)));
    assert!(pulled[0].progress.is_none());

    // a lease that is not renewed ends, and the agenda comes back first; the old lease is not obeyed
    let old = fence(&pulled);
    let (_, effects) = desk
        .at(500, {
            let id = pulled[1].agenda.text("progressId").unwrap().to_owned();
            move |s| s.renew(&id)
        })
        .await
        .unwrap();
    assert_eq!(effects.lease_end, Some(1_500));
    let ((count, next), _) = desk.at(1_020, |service| service.end_leases(100)).await.unwrap();
    assert_eq!((count, next), (3, Some(1_500)));
    let again = desk.pull(1_030, 1).await.unwrap();
    assert_eq!((again[0].agenda.id(), again[0].generation), (ids[4].as_str(), 1));
    let refused = desk.report(1_040, &old, ended("succeeded")).await.unwrap_err();
    assert!(matches!(refused, ServiceError::LeaseLost { .. }), "{refused}");

    // a failed attempt is retried with what succeeded
    let new = fence(&again);
    let half = json!({"processingState": "EXECUTING", "operationProgress": [
        operation("one", "COMPLETE", "succeeded"), operation("two", "EXECUTING", "half")]});
    desk.report(1_050, &new, half).await.unwrap();
    let effects = desk.report(1_060, &new, ended("failed")).await.unwrap();
    assert_eq!((effects.ended.len(), effects.queued.len()), (0, 1));
    let again = desk.pull(1_070, 1).await.unwrap();
    assert_eq!((again[0].agenda.id(), again[0].generation), (ids[4].as_str(), 2));
    let progress = again[0].progress.clone().unwrap().into_value();
    assert_eq!(progress["operationProgress"][0]["resultPayload"], json!("{\"x\":1}"));
    assert_eq!((&progress["id"], &progress["attemptsCompleted"]), (&json!(fence(&again)), &json!(1)));

    // one outcome, also if the executor repeats its last report
    let last = fence(&again);
    let effects = desk.report(1_080, &last, ended("succeeded")).await.unwrap();
    assert_eq!(effects.ended.len(), 1);
    let effects = desk.report(1_090, &last, ended("succeeded")).await.unwrap();
    assert_eq!(effects.ended.len(), 0);
    let progress = desk.progress(&last).await;
    assert_eq!(
        (&progress["processingStateMessage"], &progress["percentComplete"]),
        (&json!("succeeded"), &json!(100.0))
    );
    assert_eq!(progress["attemptsCompleted"], json!(2));

    // an executor that started and vanished counts as an attempt, until none is left
    desk.at(9_000, |service| service.end_leases(100)).await.unwrap();
    let mut vanished = None;
    for attempt in 1..=3 {
        let pulled = desk.pull(10_000 * attempt, 1).await.unwrap();
        assert_eq!(*vanished.get_or_insert_with(|| pulled[0].agenda.id().to_owned()), pulled[0].agenda.id());
        desk.report(10_000 * attempt, &fence(&pulled), json!({"processingState": "EXECUTING"}))
            .await
            .unwrap();
        let (_, effects) =
            desk.at(10_000 * attempt + 1_000, |service| service.end_leases(100)).await.unwrap();
        assert_eq!(effects.ended.len(), usize::from(attempt == 3));
        let progress = desk.progress(&fence(&pulled)).await;
        assert_eq!(progress["diagnosticEvents"].as_array().unwrap().len() as u64, attempt);
    }

    let reaped = desk.at(99_000, |service| service.reap(98_000, 100, false)).await.unwrap().0;
    assert_eq!(reaped.len(), 2);
    let left =
        desk.at(0, |service| service.find(Kind::OperationProgress, &Query::default())).await.unwrap().0;
    assert_eq!(left.len(), 6);
    let [by_database, from_all] = desk.states().await;
    assert!(!by_database.is_empty() && by_database == from_all, "{by_database:?} {from_all:?}");
}

/// Many pullers at once get each agenda once.
async fn each_agenda_once(store: Store) {
    const AGENDAS: usize = 300;
    let desk = Desk { is_alone: false, ..Desk::new(store) };
    desk.populate("FirstInFirstOut").await;
    for _ in 0..AGENDAS {
        desk.create(1, agenda("a", 0)).await.unwrap();
    }
    let pullers: Vec<_> = (0..8)
        .map(|_| {
            let desk = desk.clone();
            tokio::spawn(async move {
                let mut got = Vec::new();
                loop {
                    let pulled = desk.pull(2, 3).await.unwrap();
                    if pulled.is_empty() {
                        return got;
                    }
                    for one in &pulled {
                        let fence = one.agenda.text("progressId").unwrap();
                        assert_eq!(desk.report(3, fence, ended("succeeded")).await.unwrap().ended.len(), 1);
                        got.push(one.agenda.id().to_owned());
                    }
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for puller in pullers {
        all.extend(puller.await.unwrap());
    }
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!((count, all.len()), (AGENDAS, AGENDAS));
}

#[tokio::test]
async fn agendas_live_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    life_of_agendas(Store::sqlite(&folder.path().join("pop.db")).unwrap()).await;
}

/// Lists for people, and what people decide, on any database.
async fn lists_follow_decisions(store: Store) {
    let desk = Desk::new(store);
    desk.populate("FirstInFirstOut").await;
    let mut ids = Vec::new();
    for (customer, priority, title) in [("a", 0, "One"), ("b", 5, "100% of \u{dc}"), ("a", 0, "three")] {
        let mut agenda = agenda(customer, priority);
        agenda["title"] = title.into();
        ids.push(desk.create(10, agenda).await.unwrap());
    }
    let titles = |filter: RunFilter| {
        let desk = desk.clone();
        async move {
            let (rows, _) = desk.at(20, move |service| service.runs(&filter)).await.unwrap();
            rows.iter().map(|row| row.progress.text("title").unwrap().to_owned()).collect::<Vec<_>>()
        }
    };
    let all = || RunFilter { limit: 10, ..RunFilter::default() };
    let queue = |state| RunFilter { states: vec![state], order: RunOrder::Queue, ..all() };
    assert_eq!(titles(all()).await, ["three", "100% of \u{dc}", "One"]);
    assert_eq!(titles(queue(RunState::Waiting)).await, ["100% of \u{dc}", "One", "three"]);
    for (text, wanted) in
        [("oNe", &["One"][..]), ("0% O", &["100% of \u{dc}"]), ("_", &[]), ("!", &[]), (&ids[2], &["three"])]
    {
        assert_eq!(titles(RunFilter { text: Some(text.to_owned()), ..all() }).await, wanted, "{text}");
    }
    let of_a = RunFilter { customer: Some("a".into()), insight: Some("i".into()), ..all() };
    assert_eq!(titles(of_a).await, ["three", "One"]);
    // cancelled while it waits, cancelled and reclaimed while it runs
    let pulled = desk.pull(30, 2).await.unwrap();
    let held: Vec<String> =
        pulled.iter().map(|one| one.agenda.text("progressId").unwrap().to_owned()).collect();
    assert_eq!(titles(queue(RunState::Running)).await.len(), 2);
    let log = LogTail { operation: "one".into(), attempt: 1, text: "line".into(), is_cut: false };
    for fence in held.clone() {
        let logs = vec![log.clone()];
        desk.at(31, move |service| service.put_logs(&fence, &logs)).await.unwrap();
    }
    for id in [&ids[1], &ids[2]] {
        let id = id.clone();
        desk.at(32, move |service| service.cancel(&id, "somebody")).await.unwrap();
    }
    let first = ids[0].clone();
    desk.at(33, move |service| service.reclaim(&first, "somebody")).await.unwrap();
    assert_eq!(
        titles(RunFilter { states: vec![RunState::Cancelled], ..all() }).await,
        ["three", "100% of \u{dc}"]
    );
    assert_eq!(titles(queue(RunState::Waiting)).await, ["One"]);
    for fence in held {
        let logs = vec![log.clone()];
        let refused = desk.at(34, move |service| service.put_logs(&fence, &logs)).await.unwrap_err();
        assert!(matches!(refused, ServiceError::LeaseLost { .. }), "{refused}");
    }
    let cancelled = ids[1].clone();
    desk.at(35, move |service| service.delete(Kind::Agenda, &cancelled)).await.unwrap();
    let (left, _) = desk.at(36, |service| service.find(Kind::OperationLog, &Query::default())).await.unwrap();
    assert_eq!(left.len(), 1);
}

#[tokio::test]
async fn lists_follow_decisions_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    lists_follow_decisions(Store::sqlite(&folder.path().join("pop.db")).unwrap()).await;
}

/// Schedules and deliveries at their times, on any database.
async fn times_come(store: Store) {
    const HOUR: u64 = 3_600_000;
    let desk = Desk::new(store);
    desk.populate("FirstInFirstOut").await;
    let template = json!({"id": "t", "customerId": "a", "agenda": {"operations": [
        {"name": "one", "type": "sample", "payload": "@<pop.payload::/scheduledTime>"}]}});
    let hourly = |id: &str, more: Value| {
        let mut schedule = json!({"id": id, "cron": "0 * * * *", "agendaTemplateId": "t"});
        schedule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        (Kind::Schedule, schedule)
    };
    let objects = [
        (Kind::AgendaTemplate, template.clone()),
        (Kind::AgendaTemplate, json!({"id": "nothing", "agenda": template["agenda"]})),
        hourly("one", json!({})),
        hourly("all", json!({"catchUp": "all", "overlap": "allow"})),
        hourly("none", json!({"catchUp": "none"})),
        hourly("paused", json!({"isPaused": true})),
        hourly("broken", json!({"agendaTemplateId": "nothing"})),
        (Kind::Webhook, json!({"id": "w", "url": "http://x", "secret": "s"})),
        (Kind::Webhook, json!({"id": "of b", "url": "http://x", "customerId": "b"})),
    ];
    for (kind, value) in objects {
        let object = Object::of(value).unwrap();
        let (stored, _) = desk.at(1, move |service| service.create(kind, object.clone())).await.unwrap();
        assert!(stored.text("secret").is_none());
    }
    for (schedule, words) in [
        (json!({"cron": "x", "agendaTemplateId": "t"}), "has 1 fields"),
        (json!({"cron": "@daily", "agendaTemplateId": "t", "timeZone": "Mars"}), "no zone `Mars`"),
        (json!({"cron": "@daily", "agendaTemplateId": "t", "catchUp": "twice"}), "`catchUp`"),
        (json!({"cron": "@daily", "agendaTemplateId": "t", "overlap": "twice"}), "`overlap`"),
        (json!({"cron": "@daily"}), "needs `agendaTemplateId`"),
        (json!({"cron": "@daily", "agendaTemplateId": "none"}), "no agenda template `none`"),
    ] {
        let schedule = Object::of(schedule).unwrap();
        let error =
            desk.at(1, move |service| service.create(Kind::Schedule, schedule.clone())).await.unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    // a template may be deleted later
    desk.at(1, |service| service.delete(Kind::AgendaTemplate, "nothing")).await.unwrap();
    let run = |now: u64| desk.at(now, |service| service.run_schedules(10));
    assert_eq!(run(HOUR - 1).await.unwrap().0, (0, Some(HOUR)));
    let ((count, next), effects) = run(HOUR).await.unwrap();
    assert_eq!((count, next, effects.queued.len()), (4, Some(2 * HOUR), 3));
    let read = |id: &'static str| {
        let desk = desk.clone();
        async move { desk.at(0, move |service| service.read(Kind::Schedule, id)).await.unwrap().0.into_value() }
    };
    assert_eq!(read("broken").await["lastProblem"], "there is no agenda template `nothing`");
    assert_eq!(
        (&read("one").await["lastTime"], &read("one").await["nextTime"]),
        (&json!(HOUR), &json!(2 * HOUR))
    );
    // the service was away for three times: `all` makes up for them, `none` does not, and `one` waits for its agenda
    let ((count, next), effects) = run(5 * HOUR - 1).await.unwrap();
    assert_eq!((count, next, effects.queued.len()), (4, Some(5 * HOUR), 3));
    assert_eq!(read("one").await["lastProblem"], "left out: the agenda before it has not ended");
    let agendas = desk.pull(5 * HOUR, 10).await.unwrap();
    let mut times: Vec<u64> = agendas
        .iter()
        .map(|one| one.agenda.list("operations")[0]["payload"].as_u64().unwrap() / HOUR)
        .collect();
    times.sort_unstable();
    assert_eq!(times, [1, 1, 1, 2, 3, 4]);

    // each end is delivered to the webhooks of the customer, until it arrives
    desk.report(5 * HOUR, &fence(&agendas), ended("succeeded")).await.unwrap();
    let due = |now: u64| desk.at(now, |service| service.due_deliveries(10));
    let ((first, _), _) = due(5 * HOUR).await.unwrap();
    assert_eq!((first.len(), first[0].secret.as_deref()), (1, Some("s")));
    let body: Value = serde_json::from_str(&first[0].body).unwrap();
    assert_eq!(
        (&body["event"], &body["processingStateMessage"]),
        (&json!("agenda.ended"), &json!("succeeded"))
    );
    // no other process gets it meanwhile
    assert_eq!(due(5 * HOUR).await.unwrap().0.0.len(), 0);
    let ends = |now: u64, result: Result<(), String>| {
        let (desk, id) = (desk.clone(), first[0].id.clone());
        async move { desk.at(now, move |service| service.delivery_ended(&id, result.clone())).await.unwrap() }
    };
    ends(5 * HOUR, Err("refused".to_owned())).await;
    assert_eq!(due(5 * HOUR + 4_999).await.unwrap().0, (Vec::new(), Some(5 * HOUR + 5_000)));
    let ((again, _), _) = due(5 * HOUR + 5_000).await.unwrap();
    assert_eq!(again, first);
    ends(5 * HOUR + 5_000, Ok(())).await;
    assert_eq!(due(99 * HOUR).await.unwrap().0, (Vec::new(), None));
}

#[tokio::test]
async fn times_come_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    times_come(Store::sqlite(&folder.path().join("pop.db")).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pullers_of_sqlite_get_each_agenda_once() {
    let folder = tempfile::tempdir().unwrap();
    each_agenda_once(Store::sqlite(&folder.path().join("pop.db")).unwrap()).await;
}

#[tokio::test]
async fn a_database_stays_and_one_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pop.db");
    let desk = Desk::new(Store::sqlite(&file).unwrap());
    desk.populate("RoundRobin").await;
    let before = desk.dump().await;
    drop(desk);
    let desk = Desk::new(Store::sqlite(&file).unwrap());
    assert_eq!(desk.dump().await, before);
    rusqlite::Connection::open(&file).unwrap().execute("insert into schema_version values (99)", []).unwrap();
    let error = Store::sqlite(&file).err().unwrap();
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert!(reason.contains("schema 99") && reason.contains("use a newer pop"), "{reason}");
    let error = Store::sqlite(&folder.path().join("none/pop.db")).err().unwrap();
    assert!(error.to_string().contains("none/pop.db"), "{error}");
}
