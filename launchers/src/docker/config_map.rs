//! Config maps without a cluster: a folder of that name beside the registry, with a file for each key.

use crate::setting::Setting;
use pop_contract::{Blame, Failure};
use pop_registry::ConfigMapSetting;
use std::path::{Path, PathBuf};

/// The files of a config map and their paths in the container. A config map without a folder has no files.
pub(super) fn files(
    config_map: &ConfigMapSetting,
    setting: &Setting,
) -> Result<Vec<(PathBuf, String)>, Failure> {
    let (Some(name), Some(home)) = (&config_map.config_map_name, &setting.home) else {
        return Ok(Vec::new());
    };
    let folder = home.join(name);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let target = |path: &str| Path::new(&config_map.mount_path).join(path).to_string_lossy().into_owned();
    if config_map.keys.is_empty() {
        return Ok(vec![(folder, config_map.mount_path.clone())]);
    }
    let mut files = Vec::with_capacity(config_map.keys.len());
    for (key, path) in &config_map.keys {
        let file = folder.join(key);
        if !file.is_file() {
            let message =
                format!("config map `{name}` has no key `{key}`: file `{}` does not exist", file.display());
            return Err(Failure::new(Blame::Handler, "config-map", message));
        }
        files.push((file, target(path)));
    }
    Ok(files)
}
