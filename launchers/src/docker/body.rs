//! The request body that creates an order's container. Pure, except for reading the files of config maps.

use super::mounts::mounts;
use super::variables::{environment, expanded, variables};
use crate::port::{LaunchId, LaunchOrder, Program, label};
use crate::setting::Setting;
use pop_contract::{Blame, Failure};
use pop_registry::PodConfig;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// How users in containers map to users of the Engine's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UserMapping {
    /// Identical.
    Same,
    /// Rootless Engine that can map the caller's user id in the container to the caller (Podman's `keep-id`).
    KeepId,
    /// Rootless Engine: `root` of the container is the caller.
    RootIsCaller,
}

/// Facts about the Engine and secrets on which a container depends, besides the order.
pub(super) struct EngineFacts<'s> {
    pub(super) setting: &'s Setting,
    /// Secrets as variables.
    pub(super) secrets: &'s [(String, String)],
    /// Whether the Engine runs a small init before the program, which forwards signals and reaps zombies.
    pub(super) has_init: bool,
    pub(super) users: UserMapping,
}

/// The request body that creates an order's container, as JSON. Contacts no Engine.
pub fn container_body(id: LaunchId, order: &LaunchOrder, setting: &Setting) -> Result<Value, Failure> {
    let secrets = order.program.secrets.iter().map(|secret| (secret.variable.clone(), "***".to_owned()));
    let secrets: Vec<_> = secrets.collect();
    let surroundings = EngineFacts { setting, secrets: &secrets, has_init: true, users: UserMapping::Same };
    body(id, order, &surroundings)
}

/// The container of an order, with the values of its secrets.
pub(super) fn body(
    id: LaunchId,
    order: &LaunchOrder,
    surroundings: &EngineFacts<'_>,
) -> Result<Value, Failure> {
    let EngineFacts { setting, secrets, .. } = *surroundings;
    let program = &order.program;
    let standard = PodConfig::default();
    let pod = program.pod.as_deref().unwrap_or(&standard);
    let image = program.image.as_ref().or(pod.image.as_ref()).ok_or_else(|| {
        let message = "a container needs an image: set `image` in the payload, or `podConfig.imageName`";
        Failure::new(Blame::Handler, "image-name", message)
    })?;
    if program.stdin.is_some() && program.argv.is_empty() {
        let message = "a container gets standard input only with a command";
        return Err(Failure::new(Blame::Handler, "payload", message));
    }
    let folder = setting.folder.to_string_lossy();
    // mounted at its own path, unless the registry sets another
    let workspace = pod.workspace_mount_path.as_deref().unwrap_or(&folder);
    let working_dir = match &program.working_directory {
        Some(own) => Path::new(workspace).join(own).to_string_lossy().into_owned(),
        None => workspace.to_owned(),
    };
    let variables = variables(program, pod, setting, secrets);
    let arguments: Vec<String> = pod.arguments.iter().map(|text| expanded(text, &variables)).collect();
    let mounts = mounts(order, pod, setting, workspace)?;
    Ok(without_nulls(json!({
        "Image": image,
        "Entrypoint": (!program.argv.is_empty()).then(|| entrypoint(program)),
        "Cmd": (!arguments.is_empty()).then_some(arguments),
        "Env": environment(&variables),
        "WorkingDir": working_dir,
        "User": user(pod, surroundings.users),
        "Labels": labels(id, order, pod),
        "HostConfig": host_config(order, pod, surroundings, &mounts),
    })))
}

/// The arguments of a program. A file becomes its standard input by a shell of the image, which then executes the program.
fn entrypoint(program: &Program) -> Vec<String> {
    const FROM_FILE: [&str; 3] = ["sh", "-c", r#"exec "$@" < "$0""#];
    let redirect = program.stdin.iter().flat_map(|file| {
        FROM_FILE.into_iter().map(str::to_owned).chain([file.to_string_lossy().into_owned()])
    });
    redirect.chain(program.argv.iter().cloned()).collect()
}

fn host_config(
    order: &LaunchOrder,
    pod: &PodConfig,
    surroundings: &EngineFacts<'_>,
    mounts: &[Value],
) -> Value {
    let program = &order.program;
    let cpu = program.cpu.or(pod.cpu_limit).map(|cpu| cpu.millis() * 1_000_000);
    let shares = program.cpu.or(pod.cpu_request).map(|cpu| (cpu.millis() * 1_024 / 1_000).max(2));
    let memory = program.memory.or(pod.memory_limit).map(pop_registry::Memory::bytes);
    let reservation = program.memory.or(pod.memory_request).map(pop_registry::Memory::bytes);
    let keeps_id = surroundings.users == UserMapping::KeepId && !pod.privileged;
    without_nulls(json!({
        "Mounts": mounts,
        "Privileged": pod.privileged.then_some(true),
        "UsernsMode": keeps_id.then_some("keep-id"),
        "Init": surroundings.has_init.then_some(true),
        "NanoCpus": cpu,
        "CpuShares": shares,
        "Memory": memory,
        // no additional swap: a program at its memory limit is killed
        "MemorySwap": memory,
        "MemoryReservation": reservation,
    }))
}

/// The owner of the machine's files: the caller. A privileged program runs as `root`.
fn user(pod: &PodConfig, users: UserMapping) -> Option<String> {
    let caller = || format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let user = match users {
        UserMapping::Same | UserMapping::KeepId => caller(),
        UserMapping::RootIsCaller => "0:0".to_owned(),
    };
    (!pod.privileged).then_some(user)
}

fn labels(id: LaunchId, order: &LaunchOrder, pod: &PodConfig) -> BTreeMap<String, String> {
    let own = [
        (label::LAUNCH, order.name.clone()),
        (label::LAUNCH_ID, id.0.to_string()),
        (label::REAP, order.program.is_reaped().to_string()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let app = pod.name_prefix.as_ref().map(|prefix| ("app".to_owned(), prefix.clone()));
    pod.labels.iter().cloned().chain(app).chain(order.labels.iter().cloned()).chain(own).collect()
}

/// The object without its null members.
fn without_nulls(object: Value) -> Value {
    match object {
        Value::Object(members) => {
            let members = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(members.collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::{InstanceSocket, MOUNTED_SOCKET};
    use std::path::PathBuf;
    use std::sync::Arc;

    #[test]
    fn standard_input_is_a_mounted_file_that_a_shell_opens() {
        let pod = PodConfig { image: Some("i".to_owned()), ..PodConfig::default() };
        let program = Program {
            argv: vec!["cat".to_owned()],
            stdin: Some(PathBuf::from("/r/a.1.stdin")),
            pod: Some(Arc::new(pod)),
            ..Program::default()
        };
        let order = LaunchOrder { program, ..LaunchOrder::default() };
        let body = container_body(LaunchId(1), &order, &Setting::default()).unwrap();
        assert_eq!(body["Entrypoint"], json!(["sh", "-c", r#"exec "$@" < "$0""#, "/r/a.1.stdin", "cat"]));
        let mount = &body["HostConfig"]["Mounts"][1];
        assert_eq!((&mount["Source"], &mount["ReadOnly"]), (&json!("/r/a.1.stdin"), &json!(true)));
    }

    #[test]
    fn socket_of_an_instance_is_mounted_as_a_file() {
        let pod = PodConfig { image: Some("i".to_owned()), ..PodConfig::default() };
        let program = Program { pod: Some(Arc::new(pod)), ..Program::default() };
        let socket = Some(InstanceSocket::Mounted(PathBuf::from("/r/sockets/1")));
        let order = LaunchOrder { program, socket, ..LaunchOrder::default() };
        let body = container_body(LaunchId(1), &order, &Setting::default()).unwrap();
        let mount = &body["HostConfig"]["Mounts"][1];
        assert_eq!((&mount["Source"], &mount["Target"]), (&json!("/r/sockets/1"), &json!(MOUNTED_SOCKET)));
    }

    #[test]
    fn fr_e4_workspace_belongs_to_the_caller_in_each_mapping() {
        let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
        let caller = json!(format!("{uid}:{gid}"));
        for (users, privileged, user, userns) in [
            (UserMapping::Same, false, caller.clone(), Value::Null),
            (UserMapping::KeepId, false, caller, json!("keep-id")),
            (UserMapping::RootIsCaller, false, json!("0:0"), Value::Null),
            (UserMapping::KeepId, true, Value::Null, Value::Null),
        ] {
            let pod = PodConfig { image: Some("i".to_owned()), privileged, ..PodConfig::default() };
            let program = Program { pod: Some(Arc::new(pod)), ..Program::default() };
            let order = LaunchOrder { program, ..LaunchOrder::default() };
            let setting = Setting::default();
            let surroundings = EngineFacts { setting: &setting, secrets: &[], has_init: true, users };
            let body = body(LaunchId(1), &order, &surroundings).unwrap();
            assert_eq!((&body["User"], &body["HostConfig"]["UsernsMode"]), (&user, &userns), "{users:?}");
        }
    }
}
