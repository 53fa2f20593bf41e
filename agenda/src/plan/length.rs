//! Check for payloads that are too long for the variable `PAYLOAD`.

use super::{PlannedOperation, Serves};
use pop_contract::{LaunchType, PLAIN_PAYLOAD_LIMIT, PayloadForm};
use pop_document::{ElementPointer, Fault};
use pop_registry::{ARGUMENT_LIMIT, PayloadDelivery};
use serde_json::Value;
use std::io;

/// Adds a fault if the handler of an operation may not be able to read a payload of this length.
pub(super) fn check_length(planned: &PlannedOperation, at: &ElementPointer, faults: &mut Vec<Fault>) {
    let Serves::Program(entry) = &planned.serves else { return };
    let length = length_of(planned.payload.template());
    if length <= PLAIN_PAYLOAD_LIMIT {
        return;
    }
    let name = &planned.name;
    if entry.payload == Some(PayloadDelivery::Stdin) {
        return;
    }
    let fault = match (entry.reads(PayloadForm::CompressedEnvVar), entry.reads(PayloadForm::File)) {
        (Some(true), _) | (_, Some(true)) => return,
        (None, _) | (_, None) => {
            let message = format!(
                "the payload of operation `{name}` has {length} bytes, more than `PAYLOAD` can hold ({PLAIN_PAYLOAD_LIMIT})"
            );
            let hint = format!(
                "`{}` must read `POP_COMPRESSED_PAYLOAD_0` … and `POP_PAYLOAD_FILE`: `pop handler check` tests it; \
                 `payload: file` or `payload: stdin` in its registry entry makes that choice explicit",
                entry.name
            );
            Fault::value("long-payload", at.join("payload"), message).warning().hint(hint)
        }
        // values may be shorter than their references
        (Some(false), Some(false))
            if !planned.payload.is_fixed() || length < ARGUMENT_LIMIT - "PAYLOAD=".len() =>
        {
            return;
        }
        (Some(false), Some(false)) => {
            let message = format!(
                "the payload of operation `{name}` has {length} bytes, but `{}` reads it only from a variable",
                entry.name
            );
            Fault::value("too-long", at.join("payload"), message)
                .hint("set `payload: file` or `payload: stdin` in its registry entry, or put the path of a file into the payload")
        }
    };
    faults.push(fault);
}

/// Adds a fault if the launcher cannot deliver payloads as the registry entry says.
pub(super) fn check_delivery(
    planned: &PlannedOperation,
    on: LaunchType,
    at: &ElementPointer,
    faults: &mut Vec<Fault>,
) {
    let Serves::Program(entry) = &planned.serves else { return };
    let Some(delivery) = entry.payload else { return };
    let launcher = on.capabilities();
    let other = match delivery {
        PayloadDelivery::File if !launcher.reads_host_files => "environment",
        // an image starts its own program, which is not known here
        PayloadDelivery::Stdin if !launcher.uses_host_programs && launcher.reads_host_files => "file",
        PayloadDelivery::Stdin if !launcher.uses_host_programs => "environment",
        _ => return,
    };
    let message = format!(
        "the registry entry of `{}` sets `payload: {delivery}`, which is not possible under the {on} launcher",
        entry.name
    );
    let hint = format!("set `payload: {other}`");
    faults.push(Fault::value("not-launchable", at.join("type"), message).hint(hint));
}

/// The length of a value as JSON, in bytes.
pub(super) fn length_of(value: &Value) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // writing to a counter cannot fail
    serde_json::to_writer(&mut count, value).ok();
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Agenda, Plan};
    use pop_contract::Description;
    use pop_document::Source;
    use pop_registry::Catalog;
    use serde_json::json;

    fn faults(payload: &Value, description: Option<&str>) -> Vec<(&'static str, bool, String)> {
        faults_with(r#"{"list": {"command": ["list"]}}"#, LaunchType::Local, payload, description)
    }

    fn faults_with(
        registry: &str,
        on: LaunchType,
        payload: &Value,
        description: Option<&str>,
    ) -> Vec<(&'static str, bool, String)> {
        let source = Source::new("r.json", registry.as_bytes()).unwrap();
        let mut catalog = Catalog::build(Some(&source), &mut Vec::new());
        if let Some(text) = description {
            catalog.describe("list", Description::parse(text.as_bytes()).unwrap());
        }
        let mut faults = Vec::new();
        let agenda = json!({"operations": [{"name": "a", "type": "list", "payload": payload}]});
        let agenda = Agenda::parse(agenda, &mut faults).unwrap();
        let plan = Plan::build(agenda, &catalog, on, &mut faults);
        assert_eq!(plan.is_none(), faults.iter().any(Fault::is_error));
        faults.iter().map(|f| (f.code, f.is_error(), f.pointer().to_owned())).collect()
    }

    #[test]
    fn fr_c3_payload_too_long_for_the_variable_is_a_fault() {
        let at = || "/operations/0/payload".to_owned();
        let long = || json!({"items": (0..30_000).collect::<Vec<u32>>()});
        let short = json!({"items": (0..1_000).collect::<Vec<u32>>()});
        assert_eq!(faults(&short, None), []);
        assert_eq!(faults(&long(), None), [("long-payload", false, at())]);
        assert_eq!(faults(&long(), Some("{}")), []);
        assert_eq!(faults(&long(), Some(r#"{"payloadForms": ["envVar", "file"]}"#)), []);
        let variable_only = Some(r#"{"payloadForms": ["envVar"]}"#);
        assert_eq!(faults(&long(), variable_only), [("too-long", true, at())]);
        let middle = json!({"items": "x".repeat(120_000)});
        assert_eq!(faults(&middle, variable_only), []);
        assert_eq!(faults(&middle, None), [("long-payload", false, at())]);
    }

    #[test]
    fn fr_c3_the_registry_chooses_how_payloads_are_delivered() {
        use LaunchType::{Docker, Kubernetes, Local};
        let (payload, type_at) = ("/operations/0/payload".to_owned(), "/operations/0/type".to_owned());
        let long = json!({"items": (0..30_000).collect::<Vec<u32>>()});
        let found = |delivery: &str, on| {
            let entry = json!({"basePodConfig": {}, "list": {"command": ["list"], "payload": delivery,
                "podConfig": {"imageName": "list:1"}}});
            faults_with(&entry.to_string(), on, &long, None)
        };
        assert_eq!(found("environment", Local), [("too-long", true, payload)]);
        for (delivery, on) in [("file", Local), ("stdin", Local), ("file", Docker)] {
            assert_eq!(found(delivery, on), [], "{delivery}");
        }
        for (delivery, on) in [("file", Kubernetes), ("stdin", Docker), ("stdin", Kubernetes)] {
            assert_eq!(found(delivery, on), [("not-launchable", true, type_at.clone())], "{delivery}");
        }
    }
}
