//! The mounts of a container: the folder in which programs start, the socket of an instance, files, config maps, host
//! paths, NFS, an empty folder for dumps.

use super::config_map;
use super::failure::platform;
use crate::port::{InstanceSocket, LaunchOrder, MOUNTED_SOCKET, Program};
use crate::setting::Setting;
use pop_contract::Failure;
use pop_registry::PodConfig;
use serde_json::{Value, json};
use std::path::Path;

/// Mount point of an empty folder for dumps.
const DUMPS: &str = "/app/dumps";

/// The mounts of a container. `workspace` is the path of the folder in which programs start, in the container.
pub(super) fn mounts(
    order: &LaunchOrder,
    pod: &PodConfig,
    setting: &Setting,
    workspace: &str,
) -> Result<Vec<Value>, Failure> {
    let program = &order.program;
    let mut mounts = vec![bind(&setting.folder, workspace, false)];
    if let Some(InstanceSocket::Mounted(socket)) = &order.socket {
        mounts.push(bind(socket, MOUNTED_SOCKET, true));
    }
    let files = program.files.iter().chain(&program.stdin);
    mounts.extend(files.map(|file| bind(file, &file.to_string_lossy(), true)));
    for host_path in &pod.host_paths {
        let source = setting.folder.join(&host_path.path);
        mounts.push(bind(&source, &host_path.mount_path, host_path.read_only));
    }
    for config_map in &pod.config_maps {
        let files = config_map::files(config_map, setting)?;
        mounts.extend(files.into_iter().map(|(source, target)| bind(&source, &target, true)));
    }
    for nfs in &pod.nfs {
        mounts.extend(
            nfs.mount_paths.iter().map(|target| volume(&nfs.server, &nfs.path, target, nfs.read_only)),
        );
    }
    if pod.empty_dir_logging {
        mounts.push(json!({"Target": DUMPS, "Type": "volume"}));
    }
    Ok(mounts)
}

/// Rejects a host path that does not exist: some Engines would create it as a folder owned by root.
pub(super) fn check_host_paths(program: &Program, setting: &Setting) -> Result<(), Failure> {
    let paths = program.pod.iter().flat_map(|pod| &pod.host_paths);
    match paths.map(|host_path| setting.folder.join(&host_path.path)).find(|path| !path.exists()) {
        None => Ok(()),
        Some(missing) => {
            let message = format!("hostPath `{}` does not exist", missing.display());
            Err(platform("mount", message))
        }
    }
}

fn bind(source: &Path, target: &str, read_only: bool) -> Value {
    json!({"Source": source.to_string_lossy(), "Target": target, "Type": "bind", "ReadOnly": read_only})
}

fn volume(server: &str, path: &str, target: &str, read_only: bool) -> Value {
    let options = json!({"type": "nfs", "o": format!("addr={server}"), "device": format!(":{path}")});
    json!({
        "Target": target, "Type": "volume", "ReadOnly": read_only,
        "VolumeOptions": {"DriverConfig": {"Name": "local", "Options": options}},
    })
}
