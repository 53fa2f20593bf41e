//! Containers and pods that `pop plan` shows, without contacting an Engine or a cluster.

use crate::error::{CommandError, Kind};
use pop_agenda::{OpIx, Plan, Serves};
use pop_assembly::{Assembly, Surroundings, preview_setting};
use pop_contract::Failure;
use pop_executor::{RunIdentity, preview};
use pop_field_retriever::{LaunchDataWrapper, LaunchType};
use pop_launchers::{Setting, WarmLauncher, container_body, pod_manifest};
use serde_json::{Value, json};

/// Run name in manifests of a plan.
const RUN: &str = "preview";

/// Builds the manifests of a plan.
pub(super) struct Manifests<'p> {
    plan: &'p Plan,
    on: LaunchType,
    identity: RunIdentity,
    setting: Setting,
}

impl<'p> Manifests<'p> {
    pub(super) fn new(
        assembly: &'p Assembly,
        surroundings: &Surroundings,
        launch: &dyn LaunchDataWrapper,
    ) -> Result<Self, CommandError> {
        let plan = &assembly.plan;
        let (on, home) = (assembly.request().launcher, assembly.request().texts.home.as_deref());
        let (identity, setting) = preview_setting(plan, RUN, on, home, surroundings, launch)?;
        Ok(Self { plan, on, identity, setting })
    }

    /// Manifest of an operation under its key, `container` or `pod`; or the reason why it is not known yet.
    pub(super) fn of(&self, op: OpIx) -> Option<(&'static str, Value)> {
        if matches!(
            self.plan.operation(op).serves,
            Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_)
        ) {
            return None;
        }
        let what = match self.on {
            LaunchType::Local => return None,
            LaunchType::Docker => "container",
            LaunchType::Kubernetes => "pod",
        };
        Some((what, self.manifest(op).unwrap_or_else(|failure| json!({ "notKnownYet": failure.message }))))
    }

    fn manifest(&self, op: OpIx) -> Result<Value, Failure> {
        let (id, mut order) = preview(self.plan, &self.identity, op)?;
        match self.on {
            LaunchType::Kubernetes => pod_manifest(id, &order, &self.setting),
            _ => {
                WarmLauncher::preview_container(&mut order);
                container_body(id, &order, &self.setting)
            }
        }
    }

    /// All manifests: request bodies for Docker, a `List` that `kubectl` reads for Kubernetes.
    pub(super) fn list(&self) -> Result<Value, CommandError> {
        if !self.on.capabilities().needs_image {
            let message = "local processes have no manifests";
            return Err(
                CommandError::new(Kind::Usage, message).hint("add `--on docker` or `--on kubernetes`")
            );
        }
        let operations = self.plan.operations().filter_map(|(op, _)| self.of(op));
        let items: Vec<Value> = operations.map(|(_, manifest)| manifest).collect();
        Ok(match self.on {
            LaunchType::Kubernetes => json!({ "apiVersion": "v1", "kind": "List", "items": items }),
            _ => Value::Array(items),
        })
    }
}
