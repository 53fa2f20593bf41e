//! `$routing` of a registry: which handler serves the operations of which stream.

use pop_document::{Fault, Fields, Pointer, nearest};
use serde_json::{Map, Value};

/// The key of a registry under which this stands.
pub(crate) const ROUTING: &str = "$routing";

/// The stream of operations that the run itself makes.
pub const LOCAL: &str = "local";
/// The stream of operations that are written in the agenda.
pub const AGENDA: &str = "agenda";
/// All streams that there are.
const STREAMS: [&str; 2] = [AGENDA, LOCAL];

/// Which handler serves which stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Routing {
    /// Whether handlers also take operations from streams that are not among their inputs.
    pub allow_handlers: bool,
    /// The roles, in the order of the file.
    pub roles: Vec<Role>,
}

/// A role: some streams, and the handler that serves them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// The streams.
    pub inputs: Vec<String>,
    /// The id of the handler.
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
            let fault =
                Fault::value("missing-field", fields.pointer().clone(), format!("{what} has no `{needed}`"));
            fields.faults().push(fault);
        }
    }
    let inputs = streams(&mut fields, "inputs");
    let handler = fields.text("handler");
    Some(Role { name: name.to_owned(), inputs: inputs?, handler: handler?.to_owned() })
}

/// A list of streams; a name that no stream has is warned of.
pub(crate) fn streams(fields: &mut Fields<'_, '_>, name: &str) -> Option<Vec<String>> {
    let streams = fields.texts(name)?;
    for (index, stream) in
        streams.iter().enumerate().filter(|(_, stream)| !STREAMS.contains(&stream.as_str()))
    {
        let message = format!("no stream is called `{stream}`; there are `{}`", STREAMS.join("` and `"));
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
    fn r13_what_is_wrong_in_routing_is_told_where_it_stands() {
        let text = r#"{"probe": {"command": ["p"], "inputs": ["agenda", "lokal"], "actions": {"a": {"polices": {}}, "b": 1}},
            "$routing": {"allowHandler": true, "roles": {
                "a": {"inputs": ["agenda"]}, "b": {"handler": "probe", "inputs": "agenda"}, "c": 1,
                "d": {"inputs": ["queue"], "handler": "prob", "version": 1}}}}"#;
        let source = Source::new("r.json", text.as_bytes()).unwrap();
        let mut faults = Vec::new();
        let catalog = Catalog::build(Some(&source), &mut faults);
        let mut said: Vec<_> = faults
            .iter()
            .map(|fault| (fault.pointer(), fault.code, fault.is_error(), fault.label.as_deref()))
            .collect();
        said.sort_unstable();

        assert_eq!(
            said,
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
