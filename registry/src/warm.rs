//! The field `warm` of a handler: its program starts once and serves many operations.

use pop_document::{Fault, Fields};
use pop_policy::Memory;
use pop_warm::{PoolSettings, Recycle};
use serde_json::{Map, Value};
use std::time::Duration;

const WARM: &str = "warm";
const RECYCLE: &str = "recycle";
const FIELDS: [&str; 6] = ["instances", "max", "slots", "idleMs", "startTimeoutMs", RECYCLE];
const RECYCLE_FIELDS: [&str; 3] = ["operations", "ageMs", "memory"];
/// Most instances, and most slots of an instance.
const MOST: u64 = 1_000;

/// Reads `warm`: `true`, `false` or a map of limits. None if it is absent or off.
pub(crate) fn read(fields: &mut Fields<'_, '_>) -> Option<PoolSettings> {
    let at = fields.at(WARM);
    match fields.any(WARM)? {
        Value::Object(map) => Some(settings(&mut Fields::of_map(map, at, "wrong-type", fields.faults()))),
        _ => fields.boolean(WARM)?.then(PoolSettings::default),
    }
}

/// Takes the keys `warm` and `warm.FIELD` out of a descriptor's section. None if `warm` is absent or off.
pub(crate) fn take_of_section(
    section: &mut Map<String, Value>,
    is_on: impl Fn(&str) -> Option<bool>,
) -> Option<Value> {
    let mut warm = Map::new();
    let keys: Vec<String> = section.keys().filter(|key| key.starts_with("warm.")).cloned().collect();
    for key in keys {
        let value = section.remove(&key)?;
        let mut names = key.split('.').skip(1);
        match (names.next(), names.next()) {
            (Some(RECYCLE), Some(name)) => {
                let recycle = warm.entry(RECYCLE).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(recycle) = recycle {
                    recycle.insert(name.to_owned(), value);
                }
            }
            (Some(name), _) => drop(warm.insert(name.to_owned(), value)),
            (None, _) => {}
        }
    }
    match section.remove(WARM) {
        Some(Value::String(word)) => match is_on(&word) {
            Some(false) => None,
            Some(true) => Some(Value::Object(warm)),
            // the word is reported as a wrong value
            None => Some(Value::String(word)),
        },
        Some(other) => Some(other),
        None => (!warm.is_empty()).then_some(Value::Object(warm)),
    }
}

fn settings(fields: &mut Fields<'_, '_>) -> PoolSettings {
    fields.warn_unknown("`warm`", &FIELDS);
    let defaults = PoolSettings::default();
    let instances = count(fields, "instances");
    let max = count(fields, "max");
    if let (Some(instances), Some(max)) = (instances, max)
        && instances > max
    {
        let message = format!("`instances` is {instances}, more than `max`, which is {max}");
        let fault = Fault::value("wrong-value", fields.at("instances"), message);
        fields.faults().push(fault.hint("raise `max`, or lower `instances`"));
    }
    let instances = instances.unwrap_or(defaults.instances);
    PoolSettings {
        instances,
        max: max.unwrap_or_else(|| defaults.max.max(instances)),
        slots: count(fields, "slots").unwrap_or(defaults.slots),
        idle: milliseconds(fields, "idleMs").unwrap_or(defaults.idle),
        start_timeout: milliseconds(fields, "startTimeoutMs").unwrap_or(defaults.start_timeout),
        recycle: recycle(fields),
        ..defaults
    }
}

fn recycle(fields: &mut Fields<'_, '_>) -> Recycle {
    let Some(map) = fields.map(RECYCLE) else { return Recycle::default() };
    let at = fields.at(RECYCLE);
    let mut fields = Fields::of_map(map, at, "wrong-type", fields.faults());
    fields.warn_unknown("`recycle`", &RECYCLE_FIELDS);
    Recycle {
        operations: at_least_one(&mut fields, "operations"),
        age: milliseconds(&mut fields, "ageMs"),
        memory: memory(&mut fields),
    }
}

fn memory(fields: &mut Fields<'_, '_>) -> Option<u64> {
    const MEMORY: &str = "memory";
    let text = pop_document::scalar_text(fields.any(MEMORY)?).unwrap_or_default();
    match text.parse::<Memory>() {
        Ok(memory) if memory.bytes() > 0 => Some(memory.bytes()),
        _ => {
            let message = "`memory` must be an amount such as `512Mi`".to_owned();
            let fault = Fault::value("wrong-value", fields.at(MEMORY), message);
            fields.faults().push(fault);
            None
        }
    }
}

/// A number from 1 to [`MOST`].
fn count(fields: &mut Fields<'_, '_>, name: &str) -> Option<u32> {
    let number = at_least_one(fields, name)?;
    if number > MOST {
        let message = format!("`{name}` is {number}; the limit is {MOST}");
        let fault = Fault::value("wrong-value", fields.at(name), message);
        fields.faults().push(fault);
    }
    u32::try_from(number.min(MOST)).ok()
}

fn milliseconds(fields: &mut Fields<'_, '_>, name: &str) -> Option<Duration> {
    at_least_one(fields, name).map(Duration::from_millis)
}

fn at_least_one(fields: &mut Fields<'_, '_>, name: &str) -> Option<u64> {
    let number = fields.whole(name)?;
    if number == 0 {
        let fault = Fault::value("wrong-value", fields.at(name), format!("`{name}` must be at least 1"));
        fields.faults().push(fault);
        return None;
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;
    use crate::descriptor::Descriptor;
    use pop_document::Source;

    fn read_entry(warm: &str) -> (Option<PoolSettings>, Vec<(String, String)>) {
        let text = format!(r#"{{"a": {{"command": ["a"], "warm": {warm}}}}}"#);
        let source = Source::new("r.json", text.as_bytes()).unwrap();
        let mut faults = Vec::new();
        let catalog = Catalog::build(Some(&source), &mut faults);
        let found = faults.iter().map(|fault| (fault.pointer().to_owned(), fault.message.clone())).collect();
        (catalog.entry("a").and_then(|entry| entry.warm), found)
    }

    #[test]
    fn warm_is_a_switch_or_a_map_of_limits() {
        assert_eq!(read_entry("true"), (Some(PoolSettings::default()), vec![]));
        assert_eq!(read_entry("false"), (None, vec![]));
        let (settings, faults) = read_entry(
            r#"{"instances": 6, "slots": "2", "idleMs": 500, "startTimeoutMs": 9,
                "recycle": {"operations": 100, "ageMs": 7, "memory": "1Gi"}}"#,
        );
        let wanted = PoolSettings {
            instances: 6,
            max: 6,
            slots: 2,
            idle: Duration::from_millis(500),
            start_timeout: Duration::from_millis(9),
            recycle: Recycle {
                operations: Some(100),
                age: Some(Duration::from_millis(7)),
                memory: Some(1 << 30),
            },
            ..PoolSettings::default()
        };
        assert_eq!((settings, faults), (Some(wanted), vec![]));
    }

    #[test]
    fn every_wrong_limit_is_reported() {
        let (_, faults) = read_entry(
            r#"{"instances": 5, "max": 2, "slots": 0, "idle": 1, "recycle": {"memory": "much", "operations": -1}}"#,
        );
        let at: Vec<&str> = faults.iter().map(|(pointer, _)| pointer.as_str()).collect();
        assert_eq!(
            at,
            [
                "/a/warm/idle",
                "/a/warm/instances",
                "/a/warm/slots",
                "/a/warm/recycle/operations",
                "/a/warm/recycle/memory"
            ]
        );
        assert_eq!(read_entry("5").1[0].0, "/a/warm");
    }

    #[test]
    fn a_descriptor_sets_warm_by_dotted_keys() {
        let read = |lines: &str| {
            let text = format!("[main]\nenabled=1\n[types]\ncontent=tar\n[tar]\nclass=x\n{lines}");
            let descriptor = Descriptor::read(Source::ini("d.conf", text.as_bytes()).unwrap());
            let faults: Vec<String> =
                descriptor.faults().iter().map(|fault| fault.pointer().to_owned()).collect();
            (descriptor.entries.first().and_then(|entry| entry.warm), faults)
        };
        assert_eq!(read("warm=yes\n"), (Some(PoolSettings::default()), vec![]));
        assert_eq!(read("warm=off\nwarm.max=3\n"), (None, vec![]));
        let (settings, faults) = read("warm.max=3\nwarm.recycle.operations=9\n");
        let settings = settings.unwrap();
        assert_eq!((settings.max, settings.recycle.operations, faults), (3, Some(9), vec![]));
        assert_eq!(read("warm=perhaps\n").1, ["/tar/warm"]);
    }
}
