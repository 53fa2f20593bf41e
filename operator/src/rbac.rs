//! The rights that an operator needs.

use crate::kinds::OperatorConfig;
use crate::object::GroupKind;
use serde::Serialize;

/// One rule of a Role or ClusterRole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyRule {
    /// API groups; empty text for the core group.
    pub api_groups: Vec<String>,
    /// Plurals of kinds, with the subresource behind a slash.
    pub resources: Vec<String>,
    /// What is permitted.
    pub verbs: Vec<String>,
}

/// The rules for the kinds of an operator, for its Lease, and for the events that it writes.
pub fn rules(config: &OperatorConfig) -> Vec<PolicyRule> {
    let parent = config.parent.group_kind();
    let plural = &config.parent.plural;
    let mut rules = vec![
        rule(&parent.group, plural, &["get", "list", "watch", "patch"]),
        rule(&parent.group, &format!("{plural}/status"), &["get", "update", "patch"]),
        // an ownerReference with blockOwnerDeletion needs it where that admission is on
        rule(&parent.group, &format!("{plural}/finalizers"), &["update"]),
    ];
    rules.extend(config.children.iter().map(|child| {
        let GroupKind { group, .. } = child.kind.group_kind();
        let verbs = ["get", "list", "watch", "create", "update", "patch", "delete"];
        rule(&group, &child.kind.plural, &verbs)
    }));
    rules.push(rule("coordination.k8s.io", "leases", &["get", "create", "update"]));
    rules.push(rule("events.k8s.io", "events", &["create", "patch"]));
    rules
}

fn rule(group: &str, resource: &str, verbs: &[&str]) -> PolicyRule {
    PolicyRule {
        api_groups: vec![group.to_owned()],
        resources: vec![resource.to_owned()],
        verbs: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::{KindConfig, Strategy};

    #[test]
    fn o28_rules_follow_from_the_kinds() {
        let config = OperatorConfig::new("demo", KindConfig::namespaced("x.dev/v1", "Site", "sites"))
            .child(KindConfig::namespaced("apps/v1", "Deployment", "deployments"), Strategy::Replace);
        let rules = serde_json::to_value(rules(&config)).unwrap();
        let resources: Vec<_> =
            rules.as_array().unwrap().iter().map(|rule| rule["resources"][0].clone()).collect();
        assert_eq!(
            resources,
            ["sites", "sites/status", "sites/finalizers", "deployments", "leases", "events"]
        );
        let verbs = serde_json::json!(["get", "list", "watch", "create", "update", "patch", "delete"]);
        assert_eq!((&rules[3]["apiGroups"][0], &rules[3]["verbs"]), (&"apps".into(), &verbs));
    }
}
