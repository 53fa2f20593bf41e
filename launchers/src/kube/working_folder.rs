//! Checks a pod's working directory before the pod is created.

use crate::port::LaunchOrder;
use crate::setting::Setting;
use pop_contract::{Blame, Failure};
use std::fs;

/// Checks that the working directory exists, if this process can know it. Container runtimes would create a missing
/// one.
pub(super) fn check_folder(order: &LaunchOrder, setting: &Setting) -> Result<(), Failure> {
    let program = &order.program;
    let Some(own) = program.working_directory.as_deref().filter(|folder| folder.is_relative()) else {
        return Ok(());
    };
    let wanted = setting.folder.join(own);
    let failed = |why: &str| {
        let name = program.argv.first().or(program.image.as_ref()).map_or("its program", String::as_str);
        let message =
            format!("`{name}` could not be started: its working directory `{}`{why}", wanted.display());
        Err(Failure::new(Blame::Handler, "spawn", message))
    };
    if program.pod.as_ref().is_none_or(|pod| pod.workspace_mount_path.is_none()) {
        let hint = "set workspaceMountPath or give an absolute path";
        return failed(&format!(" is not in its pod, which does not mount the folder of the run ({hint})"));
    }
    match fs::metadata(&wanted) {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => failed(": Not a directory (os error 20)"),
        Err(error) => failed(&format!(": {error}")),
    }
}
