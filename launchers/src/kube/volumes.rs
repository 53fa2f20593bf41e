//! The volumes of a pod and their mounts. Pure.

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, HostPathVolumeSource, KeyToPath, NFSVolumeSource, Volume,
    VolumeMount,
};
use pop_registry::{ConfigMapSetting, PodConfig};
use std::path::Path;

/// Name of the volume with the folder in which programs start.
const WORKSPACE: &str = "workspace";
/// Mount point of an empty folder for dumps.
const DUMPS: &str = "/app/dumps";
/// Name of that volume.
const DUMPS_NAME: &str = "log";

/// The volumes of a configuration; `folder` is the one in which programs start.
pub(super) fn volumes(config: &PodConfig, folder: &Path) -> Vec<Volume> {
    all(config, folder).into_iter().map(|(volume, _)| volume).collect()
}

/// The mounts of these volumes.
pub(super) fn mounts(config: &PodConfig, folder: &Path) -> Vec<VolumeMount> {
    all(config, folder).into_iter().flat_map(|(_, mounts)| mounts).collect()
}

fn all(config: &PodConfig, folder: &Path) -> Vec<(Volume, Vec<VolumeMount>)> {
    let mut all = Vec::new();
    if let Some(path) = &config.workspace_mount_path {
        // without a type the node would create an empty folder owned by root
        let host_path = HostPathVolumeSource {
            path: folder.to_string_lossy().into_owned(),
            type_: Some("Directory".to_owned()),
        };
        let volume = Volume { name: WORKSPACE.to_owned(), host_path: Some(host_path), ..Volume::default() };
        all.push((volume, vec![mount(WORKSPACE, path, false)]));
    }
    // a setting without a config map has nothing to mount
    for setting in config.config_maps.iter().filter(|setting| setting.config_map_name.is_some()) {
        let volume = Volume {
            name: setting.volume_name.clone(),
            config_map: Some(config_map(setting)),
            ..Volume::default()
        };
        all.push((volume, vec![mount(&setting.volume_name, &setting.mount_path, true)]));
    }
    for (index, nfs) in config.nfs.iter().enumerate() {
        let name = format!("nfs-{index}");
        let source = NFSVolumeSource {
            server: nfs.server.clone(),
            path: nfs.path.clone(),
            read_only: Some(nfs.read_only),
        };
        let mounts = nfs.mount_paths.iter().map(|path| mount(&name, path, nfs.read_only)).collect();
        all.push((Volume { name: name.clone(), nfs: Some(source), ..Volume::default() }, mounts));
    }
    for (index, host_path) in config.host_paths.iter().enumerate() {
        let name = format!("host-{index}");
        let source = HostPathVolumeSource { path: host_path.path.clone(), type_: None };
        let mounts = vec![mount(&name, &host_path.mount_path, host_path.read_only)];
        all.push((Volume { name: name.clone(), host_path: Some(source), ..Volume::default() }, mounts));
    }
    if config.empty_dir_logging {
        let volume = Volume {
            name: DUMPS_NAME.to_owned(),
            empty_dir: Some(EmptyDirVolumeSource::default()),
            ..Volume::default()
        };
        all.push((volume, vec![mount(DUMPS_NAME, DUMPS, false)]));
    }
    all
}

fn config_map(setting: &ConfigMapSetting) -> ConfigMapVolumeSource {
    let items =
        setting.keys.iter().map(|(key, path)| KeyToPath { key: key.clone(), path: path.clone(), mode: None });
    ConfigMapVolumeSource {
        name: setting.config_map_name.clone().unwrap_or_default(),
        items: Some(items.collect::<Vec<_>>()).filter(|items| !items.is_empty()),
        ..ConfigMapVolumeSource::default()
    }
}

fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}
