//! Volumes as local folders.

use super::environment::{CONFIG_MAPS, SECRETS, data, field};
use super::order::Mount;
use crate::cluster::Cluster;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

type Files = BTreeMap<String, Vec<u8>>;

/// Creates the volumes of a pod below a folder. Returns the folder of each, or the first failure.
pub(super) fn create_all(
    cluster: &Cluster,
    pod: &Value,
    folder: &Path,
    token: &str,
) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut created = BTreeMap::new();
    for volume in pod["spec"]["volumes"].as_array().into_iter().flatten() {
        let name = volume["name"].as_str().unwrap_or_default();
        let failed = |why: String| format!("MountVolume.SetUp failed for volume {name:?} : {why}");
        let own = folder.join("volumes").join(name);
        let path = make(cluster, pod, volume, own, token).map_err(failed)?;
        created.insert(name.to_owned(), path);
    }
    Ok(created)
}

/// The mounts of one container in existing volumes.
pub(super) fn mounts(container: &Value, volumes: &BTreeMap<String, PathBuf>) -> Vec<Mount> {
    let mounts = container["volumeMounts"].as_array().into_iter().flatten();
    mounts
        .filter_map(|mount| {
            let volume = volumes.get(mount["name"].as_str()?)?;
            let source = mount["subPath"].as_str().map_or_else(|| volume.clone(), |path| volume.join(path));
            let target = mount["mountPath"].as_str()?.to_owned();
            Some(Mount { source, target, is_read_only: mount["readOnly"] == true })
        })
        .collect()
}

fn make(
    cluster: &Cluster,
    pod: &Value,
    volume: &Value,
    own: PathBuf,
    token: &str,
) -> Result<PathBuf, String> {
    let namespace = pod["metadata"]["namespace"].as_str().unwrap_or_default();
    if volume["emptyDir"].is_object() {
        let open: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        let made = fs::create_dir_all(&own).and_then(|()| fs::set_permissions(&own, open));
        return made.map(|()| own).map_err(|why| why.to_string());
    }
    if let Some(path) = volume["hostPath"]["path"].as_str() {
        let kind = volume["hostPath"]["type"].as_str().unwrap_or_default();
        return host_path(Path::new(path), kind);
    }
    if volume["nfs"].is_object() {
        return Err("mount failed: exit status 32\nMounting command: mount\nOutput: mount.nfs: no network file systems \
                    here"
            .to_owned());
    }
    let mut files = Files::new();
    if volume["configMap"].is_object() {
        let source = &volume["configMap"];
        let name = source["name"].as_str().unwrap_or_default();
        files = pick(source, data(cluster, &CONFIG_MAPS, namespace, name), "configmap", name)?;
    } else if volume["secret"].is_object() {
        let source = &volume["secret"];
        let name = source["secretName"].as_str().unwrap_or_default();
        files = pick(source, data(cluster, &SECRETS, namespace, name), "secret", name)?;
    } else if volume["projected"].is_object() {
        for source in volume["projected"]["sources"].as_array().into_iter().flatten() {
            files.extend(projected(cluster, pod, namespace, source, token)?);
        }
    } else if volume["downwardAPI"].is_object() {
        files = downward_api(pod, &volume["downwardAPI"]);
    } else {
        return Err("unsupported kind of volume".to_owned());
    }
    write(&own, &files).map_err(|why| why.to_string())?;
    Ok(own)
}

fn host_path(path: &Path, kind: &str) -> Result<PathBuf, String> {
    let failed = |what: &str| Err(format!("hostPath type check failed: {} is not a {what}", path.display()));
    match kind {
        "DirectoryOrCreate" => fs::create_dir_all(path).map_err(|why| why.to_string())?,
        "FileOrCreate" if !path.exists() => fs::write(path, "").map_err(|why| why.to_string())?,
        "Directory" if !path.is_dir() => return failed("directory"),
        "File" if !path.is_file() => return failed("file"),
        "" if !path.exists() => fs::create_dir_all(path).map_err(|why| why.to_string())?,
        _ => {}
    }
    Ok(path.to_owned())
}

fn projected(
    cluster: &Cluster,
    pod: &Value,
    namespace: &str,
    source: &Value,
    token: &str,
) -> Result<Files, String> {
    let name = |field: &str| source[field]["name"].as_str().unwrap_or_default().to_owned();
    if source["serviceAccountToken"].is_object() {
        let path = source["serviceAccountToken"]["path"].as_str().unwrap_or("token");
        return Ok(Files::from([(path.to_owned(), token.as_bytes().to_vec())]));
    }
    if source["configMap"].is_object() {
        let name = name("configMap");
        return pick(&source["configMap"], data(cluster, &CONFIG_MAPS, namespace, &name), "configmap", &name);
    }
    if source["secret"].is_object() {
        let name = name("secret");
        return pick(&source["secret"], data(cluster, &SECRETS, namespace, &name), "secret", &name);
    }
    Ok(downward_api(pod, &source["downwardAPI"]))
}

fn downward_api(pod: &Value, source: &Value) -> Files {
    let items = source["items"].as_array().into_iter().flatten();
    items
        .filter_map(|item| {
            let value = field(pod, item["fieldRef"]["fieldPath"].as_str()?)?;
            Some((item["path"].as_str()?.to_owned(), value.into_bytes()))
        })
        .collect()
}

/// The files of a source: those in `items`, or all.
fn pick(source: &Value, data: Option<Files>, what: &str, name: &str) -> Result<Files, String> {
    let is_optional = source["optional"] == true;
    let Some(data) = data else {
        return if is_optional { Ok(Files::new()) } else { Err(format!("{what} {name:?} not found")) };
    };
    let Some(items) = source["items"].as_array() else { return Ok(data) };
    let mut files = Files::new();
    for item in items {
        let key = item["key"].as_str().unwrap_or_default();
        match data.get(key) {
            Some(value) => {
                files.insert(item["path"].as_str().unwrap_or(key).to_owned(), value.clone());
            }
            None if is_optional => {}
            None => return Err(format!("references non-existent config key: {key}")),
        }
    }
    Ok(files)
}

/// Writes files atomically: a reader finds the complete old or new file.
fn write(folder: &Path, files: &Files) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for (name, bytes) in files {
        let target = folder.join(name.trim_start_matches('/'));
        let parent = target.parent().unwrap_or(folder);
        fs::create_dir_all(parent)?;
        let mut new = tempfile::NamedTempFile::new_in(parent)?;
        io::Write::write_all(&mut new, bytes)?;
        let readable: fs::Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        new.as_file().set_permissions(readable)?;
        new.persist(target)?;
    }
    Ok(())
}
