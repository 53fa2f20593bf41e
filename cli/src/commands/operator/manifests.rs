//! What a cluster needs for an operator: `pop operator crd` and `pop operator rbac`.

use super::Chosen;
use crate::args::OperatorManifestArgs;
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_operator::rules;
use serde_json::{Value, json};

pub(super) fn crd(args: &OperatorManifestArgs) -> Result<u8, CommandError> {
    print(&[Chosen::of(&args.source)?.definition()])
}

pub(super) fn rbac(args: &OperatorManifestArgs) -> Result<u8, CommandError> {
    let chosen = Chosen::of(&args.source)?;
    let config = chosen.config();
    let own = &args.namespace;
    let name = format!("{}-operator", config.name);
    let (of_lease, of_kinds): (Vec<_>, Vec<_>) =
        rules(&config).into_iter().partition(|rule| rule.api_groups == ["coordination.k8s.io"]);
    let role = |kind: &str, name: &str, namespace: Option<&str>, rules: Value| {
        let mut metadata = json!({ "name": name });
        if let Some(namespace) = namespace {
            metadata["namespace"] = namespace.into();
        }
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": format!("{}-operator", config.name), "namespace": own}],
        });
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": metadata, "rules": rules,
        });
        [role, binding]
    };
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": own},
    });
    // the kinds of one namespace need a Role there, all others a ClusterRole
    let (kind, namespace) = match &config.namespace {
        Some(namespace) if config.parent.is_namespaced => ("Role", Some(namespace.as_str())),
        _ => ("ClusterRole", None),
    };
    let mut all = vec![account];
    all.extend(role(kind, &name, namespace, json!(of_kinds)));
    all.extend(role("Role", &format!("{name}-lease"), Some(own), json!(of_lease)));
    print(&all)
}

fn print(objects: &[Value]) -> Result<u8, CommandError> {
    let failed = |error: serde_saphyr::ser::Error| CommandError::new(Kind::Internal, error.to_string());
    let texts = objects.iter().map(serde_saphyr::to_string).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    ui::print(&texts.join("---\n"));
    Ok(0)
}
