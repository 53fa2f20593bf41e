//! Admission: default values of objects, and the checks of a new pod.

use crate::cluster::Webhook;
use crate::custom::definition;
use crate::failure::Failure;
use crate::kind::{Kind, NAMESPACES, PODS, SERVICE_ACCOUNTS};
use crate::quantity;
use crate::store::{Store, name_of};
use crate::validate::as_text;
use serde_json::{Value, json};

/// Sets the default values of an object.
pub(crate) fn defaults(kind: &Kind, object: &mut Value) {
    match kind.kind {
        "Pod" => pod_defaults(object),
        "CustomResourceDefinition" => definition::defaults(object),
        "Namespace" => {
            let name = name_of(object).1;
            default(object, "status", json!({"phase": "Active"}));
            default(&mut object["metadata"], "labels", json!({}));
            default(&mut object["metadata"]["labels"], "kubernetes.io/metadata.name", name.into());
            default(object, "spec", json!({"finalizers": ["kubernetes"]}));
        }
        "Secret" => default(object, "type", "Opaque".into()),
        "ResourceQuota" => canonical_quantities(&mut object["spec"], "hard"),
        _ => {}
    }
}

fn default(object: &mut Value, field: &str, value: Value) {
    if object[field].is_null() {
        object[field] = value;
    }
}

/// Rewrites the quantities in a map.
fn canonical_quantities(object: &mut Value, field: &str) {
    let Some(amounts) = object.get_mut(field).and_then(Value::as_object_mut) else { return };
    for amount in amounts.values_mut() {
        if let Some(text) = quantity::canonical(&as_text(amount)) {
            *amount = text.into();
        }
    }
}

fn pod_defaults(pod: &mut Value) {
    let qos = qos_class(&pod["spec"]);
    default(pod, "status", json!({"phase": "Pending", "qosClass": qos}));
    let spec = &mut pod["spec"];
    default(spec, "restartPolicy", "Always".into());
    default(spec, "terminationGracePeriodSeconds", 30.into());
    default(spec, "dnsPolicy", "ClusterFirst".into());
    default(spec, "schedulerName", "default-scheduler".into());
    default(spec, "securityContext", json!({}));
    default(spec, "serviceAccountName", "default".into());
    default(spec, "enableServiceLinks", true.into());
    let account = spec["serviceAccountName"].clone();
    default(spec, "serviceAccount", account);
    for list in ["initContainers", "containers"] {
        let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) else { continue };
        for container in containers.iter_mut().filter(|container| container.is_object()) {
            let image = container["image"].as_str().unwrap_or_default();
            let last = image.rsplit('/').next().unwrap_or_default();
            let is_fixed =
                image.contains('@') || last.split_once(':').is_some_and(|(_, tag)| tag != "latest");
            default(container, "imagePullPolicy", if is_fixed { "IfNotPresent" } else { "Always" }.into());
            default(container, "terminationMessagePath", "/dev/termination-log".into());
            default(container, "terminationMessagePolicy", "File".into());
            default(container, "resources", json!({}));
            for part in ["limits", "requests"] {
                canonical_quantities(&mut container["resources"], part);
            }
        }
    }
}

/// The QoS class: Guaranteed, Burstable or BestEffort, by requests and limits.
fn qos_class(spec: &Value) -> &'static str {
    let containers = || {
        ["initContainers", "containers"].iter().flat_map(|list| spec[list].as_array().into_iter().flatten())
    };
    let amount = |container: &Value, part: &str, of: &str| {
        quantity::parse(&as_text(&container["resources"][part][of]))
    };
    let asks = |container: &Value| {
        let parts = ["limits", "requests"];
        parts.iter().any(|part| ["cpu", "memory"].iter().any(|of| amount(container, part, of).is_some()))
    };
    let is_guaranteed = |container: &Value| {
        ["cpu", "memory"].iter().all(|of| {
            let limit = amount(container, "limits", of);
            limit.is_some() && amount(container, "requests", of).is_none_or(|request| Some(request) == limit)
        })
    };
    if !containers().any(asks) {
        "BestEffort"
    } else if containers().all(is_guaranteed) {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

/// Admits a pod, or returns the refusal.
pub(crate) fn admit_pod(
    store: &Store,
    webhook: Webhook,
    namespace: &str,
    pod: &mut Value,
) -> Result<(), Failure> {
    let name = name_of(pod).1;
    let refuse = |why: &str| Err(Failure::forbidden(&PODS, &name, why));
    mount_token(store, namespace, &name, pod)?;
    match webhook {
        Webhook::None => {}
        Webhook::Denies => {
            let why = "admission webhook \"policy.stand-in.pop\" denied the request: not allowed here";
            let mut failure = Failure::forbidden(&PODS, &name, "");
            why.clone_into(&mut failure.message);
            return Err(failure);
        }
        Webhook::Unavailable => {
            let why = "failed calling webhook \"policy.stand-in.pop\": failed to call webhook: Post \
                       \"https://policy.stand-in.svc:443/validate?timeout=10s\": dial tcp 10.96.0.10:443: connect: \
                       connection refused";
            return Err(Failure::internal(why));
        }
    }
    for range in store.list(&Kind::new("", "v1", "limitranges", "LimitRange"), Some(namespace)) {
        if let Some(why) = limit_breach(&range["spec"], &mut pod["spec"]) {
            return refuse(&why);
        }
    }
    let found = store.find(&NAMESPACES, "", namespace);
    let level = found.and_then(|it| it["metadata"]["labels"]["pod-security.kubernetes.io/enforce"].as_str());
    if let Some(level @ ("baseline" | "restricted")) = level {
        let breaches = security_breaches(&pod["spec"], level == "restricted");
        if !breaches.is_empty() {
            return refuse(&format!("violates PodSecurity \"{level}:latest\": {}", breaches.join(", ")));
        }
    }
    for quota in store.list(&Kind::new("", "v1", "resourcequotas", "ResourceQuota"), Some(namespace)) {
        for field in ["pods", "count/pods"] {
            let Some(most) = quantity::parse(&as_text(&quota["spec"]["hard"][field])) else { continue };
            let is_open = |pod: &&std::sync::Arc<Value>| {
                field == "count/pods"
                    || !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
            };
            let used = store.list(&PODS, Some(namespace)).iter().filter(is_open).count();
            if used as i128 * 1_000 >= most {
                let limit = most / 1_000;
                let (_, quota) = name_of(&quota);
                return refuse(&format!(
                    "exceeded quota: {quota}, requested: {field}=1, used: {field}={used}, limited: {field}={limit}"
                ));
            }
        }
    }
    Ok(())
}

/// Mounts the token of the pod's service account, which must exist.
fn mount_token(store: &Store, namespace: &str, name: &str, pod: &mut Value) -> Result<(), Failure> {
    const FOLDER: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
    let account = pod["spec"]["serviceAccountName"].as_str().unwrap_or_default();
    let Some(found) = store.find(&SERVICE_ACCOUNTS, namespace, account) else {
        let why = format!(
            "error looking up service account {namespace}/{account}: serviceaccount {account:?} not found"
        );
        return Err(Failure::forbidden(&PODS, name, &why));
    };
    let spec = &pod["spec"];
    if spec["automountServiceAccountToken"] == false
        || (spec["automountServiceAccountToken"].is_null() && found["automountServiceAccountToken"] == false)
    {
        return Ok(());
    }
    let volume = format!("kube-api-access-{}", random_suffix());
    let mut is_used = false;
    for list in ["initContainers", "containers"] {
        let Some(containers) = pod["spec"].get_mut(list).and_then(Value::as_array_mut) else { continue };
        for container in containers.iter_mut().filter(|container| container.is_object()) {
            default(container, "volumeMounts", json!([]));
            let Some(mounts) = container["volumeMounts"].as_array_mut() else { continue };
            if !mounts.iter().any(|mount| mount["mountPath"] == FOLDER) {
                mounts.push(json!({"name": volume, "readOnly": true, "mountPath": FOLDER}));
                is_used = true;
            }
        }
    }
    if is_used {
        default(&mut pod["spec"], "volumes", json!([]));
        let sources = json!([
            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
            {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
            {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
        ]);
        if let Some(volumes) = pod["spec"]["volumes"].as_array_mut() {
            volumes.push(json!({"name": volume, "projected": {"defaultMode": 420, "sources": sources}}));
        }
    }
    Ok(())
}

/// Sets the defaults of a limit range, and returns the first breach of its maximum.
fn limit_breach(range: &Value, spec: &mut Value) -> Option<String> {
    for limit in range["limits"].as_array()?.iter().filter(|limit| limit["type"] == "Container") {
        for container in spec["containers"].as_array_mut()? {
            for (part, source) in [("limits", "default"), ("requests", "defaultRequest")] {
                for (of, amount) in limit[source].as_object().into_iter().flatten() {
                    default(&mut container["resources"], part, json!({}));
                    default(&mut container["resources"][part], of, amount.clone());
                }
            }
            for (of, most) in limit["max"].as_object().into_iter().flatten() {
                let most = as_text(most);
                let has = as_text(&container["resources"]["limits"][of]);
                if has.is_empty() {
                    return Some(format!(
                        "maximum {of} usage per Container is {most}.  No limit is specified"
                    ));
                }
                if quantity::parse(&has) > quantity::parse(&most) {
                    return Some(format!("maximum {of} usage per Container is {most}, but limit is {has}"));
                }
            }
        }
    }
    None
}

/// The breaches of the baseline (or restricted) pod security profile.
fn security_breaches(spec: &Value, is_restricted: bool) -> Vec<String> {
    let containers: Vec<&Value> = ["initContainers", "containers"]
        .iter()
        .flat_map(|list| spec[list].as_array().into_iter().flatten())
        .collect();
    let mut breaches = Vec::new();
    let hosts: Vec<_> =
        ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|it| spec[it] == true).collect();
    if !hosts.is_empty() {
        let fields: Vec<_> = hosts.iter().map(|it| format!("{it}=true")).collect();
        breaches.push(format!("host namespaces ({})", fields.join(", ")));
    }
    let mut containers_that = |what: &str, must: &str, is_breach: &dyn Fn(&Value) -> bool| {
        let names: Vec<_> = containers
            .iter()
            .filter(|container| is_breach(&container["securityContext"]))
            .map(|container| container["name"].to_string())
            .collect();
        if !names.is_empty() {
            let noun = if names.len() == 1 { "container" } else { "containers" };
            breaches.push(format!("{what} ({noun} {} must {must})", names.join(", ")));
        }
    };
    let pod = &spec["securityContext"];
    containers_that("privileged", "not set securityContext.privileged=true", &|it| it["privileged"] == true);
    if is_restricted {
        let escalates = |it: &Value| it["allowPrivilegeEscalation"] != false;
        let must = "set securityContext.allowPrivilegeEscalation=false";
        containers_that("allowPrivilegeEscalation != false", must, &escalates);
        let keeps = |it: &Value| {
            !it["capabilities"]["drop"].as_array().is_some_and(|all| all.iter().any(|one| one == "ALL"))
        };
        let must = "set securityContext.capabilities.drop=[\"ALL\"]";
        containers_that("unrestricted capabilities", must, &keeps);
        let is_root = |it: &Value| it["runAsNonRoot"] != true && pod["runAsNonRoot"] != true;
        containers_that("runAsNonRoot != true", "set securityContext.runAsNonRoot=true", &is_root);
        let is_open =
            |it: &Value| it["seccompProfile"]["type"].is_null() && pod["seccompProfile"]["type"].is_null();
        let must = "set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"";
        containers_that("seccompProfile", must, &is_open);
    }
    let paths: Vec<_> =
        spec["volumes"].as_array().into_iter().flatten().filter(|it| it["hostPath"].is_object()).collect();
    if !paths.is_empty() {
        let names: Vec<_> = paths.iter().map(|volume| volume["name"].to_string()).collect();
        let noun = if names.len() == 1 { "volume" } else { "volumes" };
        breaches.push(format!("hostPath volumes ({noun} {})", names.join(", ")));
    }
    breaches
}

/// The random suffix of a generated name: five characters.
pub(crate) fn random_suffix() -> String {
    const CHARACTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let bytes = uuid::Uuid::new_v4().into_bytes();
    bytes.iter().take(5).map(|byte| char::from(CHARACTERS[usize::from(*byte) % CHARACTERS.len()])).collect()
}
