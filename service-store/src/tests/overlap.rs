//! What becomes of a time of a schedule at which the agenda before has not ended, on any database.

use super::{Desk, ended};
use crate::Store;
use pop_service::{Kind, Object};
use serde_json::{Value, json};

pub(super) async fn overlaps(store: Store) {
    const HOUR: u64 = 3_600_000;
    let desk = Desk::new(store);
    desk.populate("FirstInFirstOut").await;
    let hourly = |id: &str, rule: &str| {
        let more = json!({"id": id, "cron": "0 * * * *", "agendaTemplateId": "t", "overlap": rule, "catchUp": "all"});
        (Kind::Schedule, more)
    };
    let template = json!({"id": "t", "customerId": "a", "agenda": {"operations": [
        {"name": "one", "type": "sample", "payload": "@<pop.payload::/scheduledTime>"}]}});
    for (kind, value) in
        [(Kind::AgendaTemplate, template), hourly("queue", "queue"), hourly("replace", "replace")]
    {
        let object = Object::of(value).unwrap();
        desk.at(1, move |service| service.create(kind, object.clone())).await.unwrap();
    }
    let read = |kind: Kind, id: String| {
        let desk = &desk;
        async move { desk.at(0, move |service| service.read(kind, &id)).await.unwrap().0.into_value() }
    };
    let schedule = |id: &str| read(Kind::Schedule, id.to_owned());
    let last = |schedule: &Value| schedule["lastAgendaId"].as_str().unwrap().to_owned();
    let run = |now: u64| desk.at(now, |service| service.run_schedules(10));
    run(HOUR).await.unwrap();
    let (first_queued, first_replaced) = (last(&schedule("queue").await), last(&schedule("replace").await));
    // two times come while the first agendas wait
    run(3 * HOUR).await.unwrap();
    let queue = schedule("queue").await;
    assert_eq!((&queue["queuedTimes"], last(&queue)), (&json!([2 * HOUR, 3 * HOUR]), first_queued.clone()));
    let replace = schedule("replace").await;
    assert_ne!(last(&replace), first_replaced);
    assert_eq!((&replace["lastTime"], &replace["queuedTimes"]), (&json!(3 * HOUR), &Value::Null));
    let replaced = read(Kind::Agenda, first_replaced).await["progressId"].as_str().unwrap().to_owned();
    let replaced = read(Kind::AgendaProgress, replaced).await;
    assert_eq!(replaced["processingStateMessage"], "cancelled");
    assert!(replaced["diagnosticEvents"].to_string().contains("cancelled by schedule replace"), "{replaced}");
    // each end of an agenda lets one time that waits go on, in order
    for (time, left) in [(2 * HOUR, json!([3 * HOUR])), (3 * HOUR, Value::Null)] {
        let now = 3 * HOUR + time / HOUR;
        assert_eq!(run(now).await.unwrap().0.0, 0);
        let pulled = desk.pull(now, 10).await.unwrap();
        let before = last(&schedule("queue").await);
        let one = pulled.iter().find(|one| one.agenda.id() == before).unwrap();
        let fence = one.agenda.text("progressId").unwrap().to_owned();
        assert!(desk.report(now, &fence, ended("succeeded")).await.unwrap().has_timer);
        assert_eq!(run(now).await.unwrap().0, (1, Some(4 * HOUR)));
        let queue = schedule("queue").await;
        assert_eq!((&queue["lastTime"], &queue["queuedTimes"]), (&json!(time), &left));
        assert_ne!(last(&queue), before);
    }
}

#[tokio::test]
async fn overlaps_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    overlaps(Store::sqlite(&folder.path().join("pop.db")).unwrap()).await;
}
