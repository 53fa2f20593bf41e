//! Agendas as the service hands them out. Pure.

use serde_json::{Map, Value};

/// An agenda with its lease.
#[derive(Debug, Clone, PartialEq)]
pub struct PulledAgenda {
    /// The agenda as the executor gets it: the same bytes each time that it is handed out, so that an executor can continue
    /// the run of an earlier one.
    pub payload: String,
    /// Progress of an earlier executor, as JSON text.
    pub last_progress: Option<String>,
    /// Ids of the agenda.
    pub ids: AgendaIds,
    /// The lease.
    pub lease: Lease,
}

/// Ids of an agenda, empty if there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgendaIds {
    /// Id of the agenda.
    pub agenda: String,
    /// Correlation id.
    pub cid: String,
    /// Id of the customer.
    pub customer: String,
    /// Id of the insight.
    pub insight: String,
    /// Id of the resource pool.
    pub pool: String,
}

/// The right to run an agenda.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lease {
    /// Id of the progress, which carries the lease.
    pub progress: String,
    /// Number of new runs of the agenda; 0 if the service does not count them.
    pub generation: i64,
    /// Length in milliseconds; none if the service has no leases.
    pub length: Option<u64>,
}

impl Lease {
    /// Path of a request about the lease, below that of the resource pool service.
    pub(crate) fn path(&self, what: &str) -> String {
        format!("/leases/{}/{what}", self.progress)
    }

    /// Id of the progress without the lease.
    fn plain(&self) -> &str {
        let is_epoch = |epoch: &str| !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
        match self.progress.rsplit_once('~') {
            Some((plain, epoch)) if is_epoch(epoch) => plain,
            _ => &self.progress,
        }
    }
}

/// Reads the answer to `getAgenda`, of this service or of POP's.
pub(crate) fn read_pulled(mut answer: Value) -> Result<Vec<PulledAgenda>, String> {
    let take = |answer: &mut Value, name: &str| match answer.get_mut(name).map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    };
    let progresses = take(&mut answer, "agendaProgresses");
    let leases = take(&mut answer, "leases");
    let mut agendas = take(&mut answer, "agendas");
    if agendas.is_empty() {
        agendas = take(&mut answer, "all");
    }
    agendas.into_iter().map(|agenda| read_agenda(agenda, &progresses, &leases)).collect()
}

fn read_agenda(agenda: Value, progresses: &[Value], leases: &[Value]) -> Result<PulledAgenda, String> {
    let Value::Object(mut agenda) = agenda else { return Err("an agenda is not a map".to_owned()) };
    let progress = text(&agenda, "progressId");
    let of_progress = |name: &str, from: &[Value]| {
        from.iter().find(|one| one[name] == Value::String(progress.clone())).cloned()
    };
    let last_progress = of_progress("id", progresses).filter(|_| !progress.is_empty());
    let lease = of_progress("progressId", leases).unwrap_or_default();
    let inner = agenda.get("agendaInsight").and_then(Value::as_object).cloned().unwrap_or_default();
    let ids = AgendaIds {
        agenda: text(&agenda, "id"),
        cid: text(&agenda, "cid"),
        customer: text(&agenda, "customerId"),
        insight: text(&inner, "insightId"),
        pool: text(&inner, "resourcePoolId"),
    };
    let lease = Lease {
        progress,
        generation: lease["generation"].as_i64().unwrap_or_default(),
        length: lease["leaseMs"].as_u64(),
    };
    agenda.insert("progressId".to_owned(), lease.plain().into());
    for name in ["addedTime", "updatedTime"] {
        agenda.remove(name);
    }
    if let Some(params) = agenda.get_mut("params").and_then(Value::as_object_mut) {
        params.remove("added");
    }
    let payload = Value::Object(agenda).to_string();
    Ok(PulledAgenda {
        payload,
        last_progress: last_progress.map(|progress| progress.to_string()),
        ids,
        lease,
    })
}

fn text(map: &Map<String, Value>, name: &str) -> String {
    map.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn answers_of_both_services_are_read() {
        let agenda = |epoch: &str, added: u64| {
            json!({"id": "a", "progressId": format!("p{epoch}"), "cid": "c", "customerId": "u", "operations": [],
                "params": {"added": added, "x": 1}, "updatedTime": added,
                "agendaInsight": {"insightId": "i", "resourcePoolId": "r"}})
        };
        let ours = json!({"agendas": [agenda("~7", 5)], "agendaProgresses": [{"id": "p~7", "percentComplete": 5}],
            "leases": [{"progressId": "p~7", "generation": 2, "leaseMs": 60_000}]});
        let first = read_pulled(ours).unwrap().remove(0);
        assert_eq!(
            first.ids,
            AgendaIds {
                agenda: "a".into(),
                cid: "c".into(),
                customer: "u".into(),
                insight: "i".into(),
                pool: "r".into(),
            }
        );
        assert_eq!(first.lease, Lease { progress: "p~7".into(), generation: 2, length: Some(60_000) });
        assert_eq!(first.last_progress.as_deref(), Some(r#"{"id":"p~7","percentComplete":5}"#));
        // the next delivery has the same payload
        let next = json!({"agendas": [agenda("~8", 9)], "leases": []});
        let next = read_pulled(next).unwrap().remove(0);
        assert_eq!((next.payload, next.last_progress), (first.payload, None));
        let pops = read_pulled(json!({"all": [agenda("", 5)], "agendaProgresses": null})).unwrap().remove(0);
        assert_eq!(pops.lease, Lease { progress: "p".into(), generation: 0, length: None });
        assert!(read_pulled(json!({"agendas": [7]})).is_err());
        assert!(read_pulled(json!({"cid": "x"})).unwrap().is_empty());
    }
}
