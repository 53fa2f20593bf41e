//! `$routing` of a registry: which handler serves the operations of a stream (the origin of operations).

use pop_document::{Fault, Fields, Pointer, nearest};
use serde_json::{Map, Value};

/// Key of the routing in a registry.
pub(crate) const ROUTING: &str = "$routing";

/// The stream of operations that the run adds: generated operations and calls of a dispatch.
pub const LOCAL: &str = "local";
/// The stream of operations in the agenda.
pub const AGENDA: &str = "agenda";
/// All streams.
const STREAMS: [&str; 2] = [AGENDA, LOCAL];

/// Routing of streams to handlers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// Whether handlers accept streams that are not in their `inputs`.
    pub allow_handlers: bool,
    /// Roles, in file order.
    pub roles: Vec<Role>,
}

/// A role: a rule that lists streams and the handler that serves their operations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Name of the role.
    pub name: String,
    /// Streams of the role.
    pub inputs: Vec<String>,
    /// Id of the handler.
    pub handler: String,
}

impl Routing {
    pub(crate) fn read(map: &Map<String, Value>, at: &Pointer, faults: &mut Vec<Fault>) -> Self {
        let mut fields = Fields::of_map(map, at.clone(), "wrong-type", faults);
        fields.warn_unknown("`$routing`", &["allowHandlers", "roles"]);
        let allow_handlers = fields.boolean("allowHandlers").unwrap_or_default();
        let roles = fields.map("roles");
        let at = fields.at("roles");
        let roles = roles.into_iter().flatten();
        let roles = roles.filter_map(|(name, value)| role(name, value, at.join(name), faults)).collect();
        Self { allow_handlers, roles }
    }
}

fn role(name: &str, value: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Option<Role> {
    let what = format!("role `{name}`");
    let mut fields = Fields::of(value, at, &what, "wrong-type", faults)?;
    fields.warn_unknown(&what, &["inputs", "handler"]);
    for needed in ["inputs", "handler"] {
        if fields.any(needed).is_none() {
            let fault = Fault::value("missing-field", fields.pointer(), format!("{what} has no `{needed}`"));
            fields.faults().push(fault);
        }
    }
    let inputs = streams(&mut fields, "inputs");
    let handler = fields.text("handler");
    Some(Role { name: name.to_owned(), inputs: inputs?, handler: handler?.to_owned() })
}

/// Reads a list of streams, and warns of unknown ones.
pub(crate) fn streams(fields: &mut Fields<'_, '_>, name: &str) -> Option<Vec<String>> {
    let streams = fields.texts(name)?;
    for (index, stream) in
        streams.iter().enumerate().filter(|(_, stream)| !STREAMS.contains(&stream.as_str()))
    {
        let message = format!("unknown stream `{stream}`; the streams are `{}`", STREAMS.join("` and `"));
        let fault = Fault::value("wrong-value", fields.at(name).join(index), message).warning();
        fields.faults().push(fault.did_you_mean(nearest(stream, STREAMS)));
    }
    Some(streams)
}

#[cfg(test)]
mod tests {
    use crate::Catalog;
    use pop_document::Source;

    #[test]
    fn r13_each_fault_in_routing_has_its_place() {
        let text = r#"{"probe": {"command": ["p"], "inputs": ["agenda", "lokal"], "actions": {"a": {"polices": {}}, "b": 1}},
            "$routing": {"allowHandler": true, "roles": {
                "a": {"inputs": ["agenda"]}, "b": {"handler": "probe", "inputs": "agenda"}, "c": 1,
                "d": {"inputs": ["queue"], "handler": "prob", "version": 1}}}}"#;
        let source = Source::new("r.json", text.as_bytes()).unwrap();
        let mut faults = Vec::new();
        let catalog = Catalog::build(Some(&source), &mut faults);
        let mut found: Vec<_> = faults
            .iter()
            .map(|fault| (fault.pointer(), fault.code, fault.is_error(), fault.label.as_deref()))
            .collect();
        found.sort_unstable();

        assert_eq!(
            found,
            [
                ("/$routing/allowHandler", "unknown-field", false, Some("did you mean `allowHandlers`?")),
                ("/$routing/roles/a", "missing-field", true, None),
                ("/$routing/roles/b/inputs", "wrong-type", true, None),
                ("/$routing/roles/c", "wrong-type", true, None),
                ("/$routing/roles/d/handler", "unknown-handler", true, Some("did you mean `probe`?")),
                ("/$routing/roles/d/inputs/0", "wrong-value", false, None),
                ("/$routing/roles/d/version", "unknown-field", false, None),
                ("/probe/actions/a/polices", "unknown-field", false, Some("did you mean `policies`?")),
                ("/probe/actions/b", "wrong-type", true, None),
                ("/probe/inputs/1", "wrong-value", false, Some("did you mean `local`?")),
            ]
        );
        let roles: Vec<_> = catalog.routing().roles.iter().map(|role| role.name.as_str()).collect();
        assert_eq!((roles, catalog.routing().allow_handlers), (vec!["d"], false));
    }
}
