//! The container of an order: what the Engine is asked to create. Pure, but for the files of config maps.

use super::config_map;
use crate::port::{LaunchId, LaunchOrder, Program, label};
use crate::setting::Setting;
use bollard::models::{
    ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig,
};
use pop_registry::PodConfig;
use pop_registry::contract::{Blame, Failure};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Where an empty folder is put for dumps.
const DUMPS: &str = "/app/dumps";

/// The body of the request that creates an order's container, as JSON; nothing is contacted.
pub fn container_body(
    id: LaunchId,
    order: &LaunchOrder,
    setting: &Setting,
) -> Result<serde_json::Value, Failure> {
    let secrets = order.program.secrets.iter().map(|secret| (secret.variable.clone(), "***".to_owned()));
    let body = body(id, order, setting, &secrets.collect::<Vec<_>>(), true)?;
    Ok(serde_json::to_value(body).unwrap_or_default())
}

/// The container of an order, with the values of its secrets.
pub(super) fn body(
    id: LaunchId,
    order: &LaunchOrder,
    setting: &Setting,
    secrets: &[(String, String)],
    has_init: bool,
) -> Result<ContainerCreateBody, Failure> {
    let program = &order.program;
    let standard = PodConfig::default();
    let pod = program.pod.as_deref().unwrap_or(&standard);
    let image = program.image.clone().or_else(|| pod.image.clone());
    let image = image.ok_or_else(|| {
        let message =
            "it has no image, and a container needs one: `image` of the payload, or `podConfig.imageName`";
        Failure::new(Blame::Handler, "image-name", message)
    })?;
    let workspace = workspace(pod, setting);
    let working_dir = match &program.working_directory {
        Some(own) => Path::new(&workspace).join(own).to_string_lossy().into_owned(),
        None => workspace.clone(),
    };
    Ok(ContainerCreateBody {
        image: Some(image),
        entrypoint: (!program.argv.is_empty()).then(|| program.argv.clone()),
        cmd: (!pod.arguments.is_empty()).then(|| {
            let variables = variables(program, pod, setting, secrets);
            pod.arguments.iter().map(|text| expanded(text, &variables)).collect()
        }),
        env: Some(environment(program, pod, setting, secrets)),
        working_dir: Some(working_dir),
        // files on the machine belong to the caller; who is privileged is so as root
        user: (!pod.privileged).then(|| {
            format!("{}:{}", rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw())
        }),
        labels: Some(labels(id, order, pod)),
        host_config: Some(HostConfig {
            mounts: Some(mounts(program, pod, setting, workspace)?),
            privileged: pod.privileged.then_some(true),
            init: has_init.then_some(true),
            nano_cpus: program.cpu.or(pod.cpu_limit).map(|cpu| cpu.millis().cast_signed() * 1_000_000),
            cpu_shares: program
                .cpu
                .or(pod.cpu_request)
                .map(|cpu| (cpu.millis().cast_signed() * 1_024 / 1_000).max(2)),
            memory: program.memory.or(pod.memory_limit).map(|memory| memory.bytes().cast_signed()),
            // no swap besides: memory that has run out has run out
            memory_swap: program.memory.or(pod.memory_limit).map(|memory| memory.bytes().cast_signed()),
            memory_reservation: program
                .memory
                .or(pod.memory_request)
                .map(|memory| memory.bytes().cast_signed()),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    })
}

/// Where the folder of the run is in the container: at its own path, unless the registry says otherwise.
fn workspace(pod: &PodConfig, setting: &Setting) -> String {
    pod.workspace_mount_path.clone().unwrap_or_else(|| setting.folder.to_string_lossy().into_owned())
}

/// `NAME=value` strings; of a name given twice the last value counts.
fn environment(
    program: &Program,
    pod: &PodConfig,
    setting: &Setting,
    secrets: &[(String, String)],
) -> Vec<String> {
    let last = variables(program, pod, setting, secrets);
    last.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn variables(
    program: &Program,
    pod: &PodConfig,
    setting: &Setting,
    secrets: &[(String, String)],
) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = setting.variables.iter().cloned().collect();
    for (name, value) in &pod.env_vars {
        let value = expanded(value, &all);
        all.insert(name.clone(), value);
    }
    all.extend(program.env.iter().chain(secrets).cloned());
    all
}

/// A text that a registry writes for pods, as the kubelet reads it: `$(NAME)` is a variable, `$$` is `$`.
fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = behind;
        } else if let Some((name, behind)) = rest.strip_prefix('(').and_then(|name| name.split_once(')')) {
            match variables.get(name) {
                Some(value) => expanded.push_str(value),
                // one that is not there stays as it is written
                None => expanded.extend(["$(", name, ")"]),
            }
            rest = behind;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

fn labels(id: LaunchId, order: &LaunchOrder, pod: &PodConfig) -> HashMap<String, String> {
    let own = [
        (label::LAUNCH, order.name.clone()),
        (label::LAUNCH_ID, id.0.to_string()),
        (label::REAP, order.program.is_reaped().to_string()),
    ];
    let own = own.into_iter().map(|(name, value)| (name.to_owned(), value));
    let app = pod.name_prefix.as_ref().map(|prefix| ("app".to_owned(), prefix.clone()));
    pod.labels.iter().cloned().chain(app).chain(order.labels.iter().cloned()).chain(own).collect()
}

fn mounts(
    program: &Program,
    pod: &PodConfig,
    setting: &Setting,
    workspace: String,
) -> Result<Vec<Mount>, Failure> {
    let mut mounts = vec![bind(&setting.folder, workspace, false)];
    mounts.extend(program.files.iter().map(|file| bind(file, file.to_string_lossy().into_owned(), true)));
    for host_path in &pod.host_paths {
        let source = setting.folder.join(&host_path.path);
        mounts.push(bind(&source, host_path.mount_path.clone(), host_path.read_only));
    }
    for config_map in &pod.config_maps {
        let files = config_map::files(config_map, setting)?;
        mounts.extend(files.into_iter().map(|(source, target)| bind(&source, target, true)));
    }
    for nfs in &pod.nfs {
        mounts.extend(nfs.mount_paths.iter().map(|target| {
            let options = [
                ("type", "nfs"),
                ("o", &format!("addr={}", nfs.server)),
                ("device", &format!(":{}", nfs.path)),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
            Mount {
                target: Some(target.clone()),
                typ: Some(MountType::VOLUME),
                read_only: Some(nfs.read_only),
                volume_options: Some(MountVolumeOptions {
                    driver_config: Some(MountVolumeOptionsDriverConfig {
                        name: Some("local".to_owned()),
                        options: Some(options.into()),
                    }),
                    ..MountVolumeOptions::default()
                }),
                ..Mount::default()
            }
        }));
    }
    if pod.empty_dir_logging {
        mounts.push(Mount {
            target: Some(DUMPS.to_owned()),
            typ: Some(MountType::VOLUME),
            ..Mount::default()
        });
    }
    Ok(mounts)
}

fn bind(source: &Path, target: String, read_only: bool) -> Mount {
    Mount {
        source: Some(PathBuf::from(source).to_string_lossy().into_owned()),
        target: Some(target),
        typ: Some(MountType::BIND),
        read_only: Some(read_only),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_registry_writes_for_pods_is_read_as_the_kubelet_reads_it() {
        let variables = BTreeMap::from([("A".to_owned(), "1".to_owned())]);
        for (text, wanted) in
            [("x$(A)y", "x1y"), ("$(B)", "$(B)"), ("$$(A)", "$(A)"), ("$A $", "$A $"), ("$(A", "$(A")]
        {
            assert_eq!(expanded(text, &variables), wanted);
        }
    }
}
