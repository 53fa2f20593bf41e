//! RBAC: roles and bindings, evaluated from the objects in the store.

use crate::cluster::{Cluster, User};
use crate::failure::Failure;
use crate::kind::Kind;
use serde_json::Value;

const GROUP: &str = "rbac.authorization.k8s.io";

/// A request to be authorized.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessRequest<'w> {
    pub(crate) verb: &'w str,
    pub(crate) group: &'w str,
    pub(crate) resource: &'w str,
    pub(crate) subresource: &'w str,
    pub(crate) namespace: &'w str,
    pub(crate) name: &'w str,
}

impl AccessRequest<'_> {
    /// `pods` or `pods/log`.
    fn full_resource(&self) -> String {
        if self.subresource.is_empty() {
            self.resource.to_owned()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        }
    }

    /// The error for a denied request.
    pub(crate) fn refusal(&self, user: &User) -> Failure {
        let place = match self.namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        let why = format!(
            "User {:?} cannot {} resource {:?} in API group {:?} {place}",
            user.name(),
            self.verb,
            self.full_resource(),
            self.group
        );
        // only the name of the kind appears in the message
        let mut failure = Failure::forbidden(&Kind::new("", "", "resource", ""), self.name, &why);
        let full = self.full_resource();
        let what = if self.group.is_empty() { full } else { format!("{full}.{}", self.group) };
        failure.message = failure.message.replacen("resource", &what, 1);
        failure.details["kind"] = self.resource.into();
        if !self.group.is_empty() {
            failure.details["group"] = self.group.into();
        }
        failure
    }
}

/// Whether a user may do this.
pub(crate) fn is_allowed(cluster: &Cluster, user: &User, access: &AccessRequest<'_>) -> bool {
    if user == &User::Admin {
        return true;
    }
    let store = cluster.store();
    let list = |resource, namespace| store.list(&Kind::new(GROUP, "v1", resource, ""), namespace);
    let rules_of = |binding: &Value| {
        let role = &binding["roleRef"];
        let name = role["name"].as_str().unwrap_or_default();
        let found = if role["kind"] == "ClusterRole" {
            store.find(&Kind::new(GROUP, "v1", "clusterroles", ""), "", name)
        } else {
            let namespace = binding["metadata"]["namespace"].as_str().unwrap_or_default();
            store.find(&Kind::new(GROUP, "v1", "roles", ""), namespace, name)
        };
        found.map(|role| role["rules"].clone()).unwrap_or_default()
    };
    let mut bindings = list("clusterrolebindings", None);
    if !access.namespace.is_empty() {
        bindings.extend(list("rolebindings", Some(access.namespace)));
    }
    bindings.iter().filter(|binding| is_bound(binding, user)).any(|binding| {
        let rules = rules_of(binding);
        rules.as_array().into_iter().flatten().any(|rule| is_covered(rule, access))
    })
}

fn is_bound(binding: &Value, user: &User) -> bool {
    let own_namespace = binding["metadata"]["namespace"].as_str().unwrap_or_default();
    binding["subjects"].as_array().into_iter().flatten().any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match (subject["kind"].as_str(), user) {
            (Some("ServiceAccount"), User::ServiceAccount { namespace, name: own }) => {
                name == own && subject["namespace"].as_str().unwrap_or(own_namespace) == namespace
            }
            (Some("User"), _) => name == user.name(),
            (Some("Group"), User::ServiceAccount { namespace, .. }) => {
                ["system:authenticated", "system:serviceaccounts"].contains(&name)
                    || name.strip_prefix("system:serviceaccounts:") == Some(namespace)
            }
            (Some("Group"), User::Anonymous) => name == "system:unauthenticated",
            _ => false,
        }
    })
}

fn is_covered(rule: &Value, access: &AccessRequest<'_>) -> bool {
    let has = |field: &str, wanted: &[&str]| {
        let entries = rule[field].as_array().into_iter().flatten().filter_map(Value::as_str);
        entries.into_iter().any(|entry| entry == "*" || wanted.contains(&entry))
    };
    let full = access.full_resource();
    let any = format!("*/{}", access.subresource);
    let names = rule["resourceNames"].as_array().filter(|names| !names.is_empty());
    has("verbs", &[access.verb])
        && has("apiGroups", &[access.group])
        && has("resources", &[&full, &any])
        && names.is_none_or(|names| names.iter().any(|name| name == access.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_rule_covers_the_requests_it_names() {
        let rule = json!({"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get"], "resourceNames": ["x"]});
        let access = AccessRequest {
            verb: "get",
            group: "",
            resource: "pods",
            subresource: "",
            namespace: "a",
            name: "x",
        };
        for (access, expected) in [
            (access, true),
            (AccessRequest { subresource: "log", ..access }, true),
            (AccessRequest { subresource: "status", ..access }, false),
            (AccessRequest { name: "y", ..access }, false),
            (AccessRequest { verb: "patch", ..access }, false),
            (AccessRequest { group: "batch", ..access }, false),
        ] {
            assert_eq!(is_covered(&rule, &access), expected, "{access:?}");
        }
        let all = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
        assert!(is_covered(&all, &AccessRequest { subresource: "log", ..access }));
    }

    #[test]
    fn a_denial_names_user_verb_resource_and_namespace() {
        let user = User::ServiceAccount { namespace: "pop".into(), name: "default".into() };
        let access = AccessRequest {
            verb: "patch",
            group: "",
            resource: "pods",
            subresource: "",
            namespace: "pop",
            name: "x",
        };
        assert_eq!(
            access.refusal(&user).message,
            "pods \"x\" is forbidden: User \"system:serviceaccount:pop:default\" cannot patch resource \"pods\" in \
             API group \"\" in the namespace \"pop\""
        );
        let list = AccessRequest {
            verb: "list",
            group: "batch",
            resource: "jobs",
            subresource: "",
            namespace: "",
            name: "",
        };
        assert_eq!(
            list.refusal(&user).message,
            "jobs.batch is forbidden: User \"system:serviceaccount:pop:default\" cannot list resource \"jobs\" in API \
             group \"batch\" at the cluster scope"
        );
    }
}
