//! The default policies in a handler's registry entry: for all operations, for one stream, for one action.

use crate::scope::Scope;
use crate::table::{KEYS, PolicyLayer};
use pop_document::{Fault, Pointer, Site};
use serde_json::Value;
use std::collections::BTreeMap;

/// The default policies in the registry entry of one handler (docs/formats/registry.md).
///
/// They are set for all operations, for operations of one *stream* (key `role.STREAM.KEY`), or for operations with one
/// *action* (key `action.NAME.KEY`). The stream is the origin of an operation: `agenda` if the agenda contains it, `local`
/// if the run added it. An operation selects an action of its handler with the param `action`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HandlerPolicies {
    own: PolicyLayer,
    roles: Branch,
    actions: Branch,
}

/// The policies for streams, or the policies for actions.
#[derive(Debug, Clone, Default, PartialEq)]
struct Branch {
    /// Set by a key without a name, such as `role.onFail`. It applies to every operation, and a named key overrides it.
    all: PolicyLayer,
    /// Set by keys with a name, such as `role.local.onFail`, by that name.
    named: BTreeMap<String, PolicyLayer>,
}

impl Branch {
    fn layers(&self, name: Option<&str>) -> impl Iterator<Item = &PolicyLayer> {
        let named = name.and_then(|name| self.named.get(name));
        std::iter::once(&self.all).chain(named).filter(|layer| !layer.is_empty())
    }
}

impl HandlerPolicies {
    /// Reads the `policies` map of a registry entry. Keys that begin with `role.` or `action.` set policies for streams or
    /// actions; all other keys are params for every operation of the handler.
    pub fn parse(policies: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Self {
        let Value::Object(map) = policies else {
            return Self { own: PolicyLayer::parse(policies, at.clone(), faults), ..Self::default() };
        };
        let mut own = map.clone();
        own.retain(|name, _| Part::of(name).is_none());
        let own = PolicyLayer::parse_shared(&Value::Object(own), at.clone(), faults);
        let mut read = Self { own, ..Self::default() };
        let mut parts: BTreeMap<Part<'_>, Vec<(&str, Pointer, &Value)>> = BTreeMap::new();
        for (name, value) in map {
            if let Some((part, key)) = Part::of(name) {
                parts.entry(part).or_default().push((key, at.join(name), value));
            }
        }
        for (part, keys) in parts {
            let layer = part_layer(&keys, faults);
            match part {
                Part::Role(None) => read.roles.all = layer,
                Part::Role(Some(role)) => drop(read.roles.named.insert(role.to_owned(), layer)),
                Part::Action(None) => read.actions.all = layer,
                Part::Action(Some(action)) => drop(read.actions.named.insert(action.to_owned(), layer)),
            }
        }
        read
    }

    /// Adds the policies of an action that has its own `policies` map in the entry's field `actions`.
    pub fn add_action(&mut self, action: &str, policies: &Value, at: &Pointer, faults: &mut Vec<Fault>) {
        let layer = match policies {
            Value::Object(_) => PolicyLayer::parse_shared(policies, at.clone(), faults),
            other => PolicyLayer::parse(other, at.clone(), faults),
        };
        if self.actions.named.insert(action.to_owned(), layer).is_some() {
            let message = format!("policies of action `{action}` are set in two places");
            let hint = format!("remove `action.{action}.…` from `policies`");
            faults.push(Fault::value("wrong-value", at.clone(), message).hint(hint));
        }
    }

    /// The policies that apply to an operation of this stream (`role`) with this action. A later layer overrides an earlier
    /// one.
    pub fn layers(&self, role: &str, action: Option<&str>) -> Vec<(Scope, &PolicyLayer)> {
        let own = (!self.own.is_empty()).then_some((Scope::Handler, &self.own));
        let roles = self.roles.layers(Some(role)).map(|layer| (Scope::Role, layer));
        let actions = self.actions.layers(action).map(|layer| (Scope::Action, layer));
        own.into_iter().chain(roles).chain(actions).collect()
    }

    /// Whether a key in a descriptor (an INI file that declares handlers) sets a policy. Other keys are properties for the
    /// handler.
    pub fn is_policy(property: &str) -> bool {
        let own = KEYS.iter().filter(|facts| facts.is_descriptor_property);
        Part::of(property).is_some() || own.into_iter().any(|facts| facts.key == property)
    }
}

/// The operations that a policy applies to: those of one stream or of every stream (`None`), with one action or any (`None`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part<'n> {
    Role(Option<&'n str>),
    Action(Option<&'n str>),
}

impl<'n> Part<'n> {
    /// Splits `role.NAME.KEY`, `role.KEY`, `action.NAME.KEY` or `action.KEY`.
    fn of(name: &'n str) -> Option<(Self, &'static str)> {
        let (word, rest) = name.split_once('.')?;
        let part = match word {
            "role" => Self::Role,
            "action" => Self::Action,
            _ => return None,
        };
        KEYS.iter().filter(|facts| facts.is_for_parts).find_map(|facts| {
            let key = facts.key;
            let named = rest.strip_suffix(key)?;
            if named.is_empty() {
                return Some((part(None), key));
            }
            let named = named.strip_suffix('.').filter(|named| !named.is_empty())?;
            Some((part(Some(named)), key))
        })
    }
}

/// Reads the policies of one part. The pointer of a fault has the whole key of the file, for example `role.local.onFail`.
fn part_layer(keys: &[(&str, Pointer, &Value)], faults: &mut Vec<Fault>) -> PolicyLayer {
    let map = keys.iter().map(|(key, _, value)| ((*key).to_owned(), (*value).clone())).collect();
    let mut found = Vec::new();
    let layer = PolicyLayer::parse(&Value::Object(map), Pointer::root(), &mut found);
    let written = |pointer: Pointer| {
        let is_of = |key: &str| pointer.as_str().split('/').nth(1) == Some(key);
        let at = keys.iter().find(|(key, _, _)| is_of(key));
        at.map_or(pointer.clone(), |(key, at, _)| {
            Pointer::from(format!("{at}{}", &pointer.as_str()[key.len() + 1..]))
        })
    };
    faults.extend(found.into_iter().map(|mut fault| {
        fault.site = match fault.site {
            Site::Value(pointer) => Site::Value(written(pointer)),
            Site::Key(pointer) => Site::Key(written(pointer)),
            Site::Within(pointer, text) => Site::Within(written(pointer), text),
            other => other,
        };
        fault
    }));
    layer
}

// the prefix `r1_` of a test is the row of docs/rows.md that it proves
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{OnFail, Policies};
    use serde_json::json;

    fn read(policies: &Value) -> HandlerPolicies {
        let mut faults = Vec::new();
        let read = HandlerPolicies::parse(policies, &Pointer::root(), &mut faults);
        assert_eq!(faults, []);
        read
    }

    /// Checks, for streams and for actions, that a value with a name overrides the value without one. Each of the two may be
    /// set or not.
    fn check_precedence(key: &str, default: &str, own: &str) {
        let only = |word: &str| PolicyLayer::parse(&json!({key: word}), Pointer::root(), &mut Vec::new());
        for (word, scope) in [("role", Scope::Role), ("action", Scope::Action)] {
            let (all, named) = (format!("{word}.{key}"), format!("{word}.x.{key}"));
            for (policies, of_x, of_others) in [
                (json!({}), None, None),
                (json!({&all: default}), Some(default), Some(default)),
                (json!({&named: own}), Some(own), None),
                (json!({&all: default, &named: own}), Some(own), Some(default)),
            ] {
                let read = read(&policies);
                for (name, wanted) in [("x", of_x), ("other", of_others)] {
                    let layers = read.layers(name, Some(name));
                    let last = layers.last().map(|(scope, layer)| (*scope, (*layer).clone()));
                    assert_eq!(last, wanted.map(|wanted| (scope, only(wanted))), "{policies} for {name}");
                }
            }
        }
    }

    #[test]
    fn r1_on_fail_of_a_named_part_outranks_the_default() {
        check_precedence("onFail", "SKIP", "FATAL");
    }

    #[test]
    fn r1_lock_of_a_named_part_outranks_the_default() {
        check_precedence("lock", "NONE", "SAFE");
    }

    #[test]
    fn r1_layers_order_handler_then_roles_then_actions() {
        let mut all = json!({"onFail": "FATAL", "timeoutMs": 1});
        let steps = [
            ("role.onFail", "SKIP", Scope::Role),
            ("role.agenda.onFail", "REPLY", Scope::Role),
            ("action.onFail", "SKIP", Scope::Action),
            ("action.Write.onFail", "FATAL", Scope::Action),
        ];
        for (count, (key, word, scope)) in steps.into_iter().enumerate() {
            all[key] = json!(word);
            let policies = read(&all);
            let layers = policies.layers("agenda", Some("Write"));
            assert_eq!(layers.len(), count + 2);
            let policies = Policies::resolve(&layers);
            assert_eq!((policies.on_fail.value.to_string().as_str(), policies.on_fail.scope), (word, scope));
            assert_eq!(policies.run_ms.scope, Scope::Handler);
        }
        // an operation without an action gets `action.onFail`, but not `action.Write.onFail`
        assert_eq!(read(&all).layers("local", None).len(), 3);
    }

    #[test]
    fn r1_listed_actions_are_layers_and_duplicates_a_fault() {
        let mut policies = read(&json!({"action.Read.logDetail": "always"}));
        let mut faults = Vec::new();
        policies.add_action(
            "Write",
            &json!({"onFail": "SKIP"}),
            &"/t/actions/Write/policies".into(),
            &mut faults,
        );
        assert_eq!(faults, []);
        let of = |action| Policies::resolve(&policies.layers("agenda", Some(action)));
        assert_eq!((of("Write").on_fail.value, of("Write").log_detail.value), (OnFail::Skip, false));
        assert_eq!((of("Read").on_fail.value, of("Read").log_detail.value), (OnFail::Reply, true));
        policies.add_action("Read", &json!({}), &"/t/actions/Read/policies".into(), &mut faults);
        assert_eq!((faults[0].code, faults[0].pointer()), ("wrong-value", "/t/actions/Read/policies"));
    }

    #[test]
    fn faults_point_to_the_key_as_written() {
        let mut faults = Vec::new();
        let policies = json!({"role.a/b.onFail": "RPLY", "action.logDetail": "maybe", "onFail": 1, "logDetail": "Always"});
        let read = HandlerPolicies::parse(&policies, &"/t/policies".into(), &mut faults);
        let mut said: Vec<_> = faults.iter().map(|fault| (fault.pointer(), fault.code)).collect();
        said.sort_unstable();
        assert_eq!(
            said,
            [
                ("/t/policies/action.logDetail", "wrong-type"),
                ("/t/policies/onFail", "wrong-type"),
                ("/t/policies/role.a~1b.onFail", "wrong-value"),
            ]
        );
        assert!(Policies::resolve(&read.layers("x", None)).log_detail.value);
    }

    #[test]
    fn part_names_may_contain_dots_or_be_keys() {
        for (name, wanted) in [
            ("role.lock", Some((Part::Role(None), "lock"))),
            ("role.lock.lock", Some((Part::Role(Some("lock")), "lock"))),
            ("action.a.b.cache.use", Some((Part::Action(Some("a.b")), "cache.use"))),
            ("action.cache.write", Some((Part::Action(None), "cache.write"))),
            ("action..onFail", None),
            ("role.padlock", None),
            ("role.journal", None),
            ("roles.lock", None),
            ("lock", None),
        ] {
            assert_eq!(Part::of(name), wanted, "{name}");
        }
    }
}
