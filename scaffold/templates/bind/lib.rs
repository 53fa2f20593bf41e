//! Handler `{{name}}`: stores each binding as a file in the folder of the property `folder`.

use pop_handler_base::{
    About, BindHandler, BindReport, Binding, Capabilities, CleanReport, Conduit, HandlerError,
    Options,
};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Stores bindings as files.
#[derive(Debug, Clone, Copy)]
pub struct Bindings;

/// The handler with all its capabilities.
#[must_use]
pub fn handler() -> Capabilities<(), Bindings> {
    Capabilities::new().bind(Bindings)
}

impl BindHandler for Bindings {
    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "stores bindings as files")
    }

    async fn bind(
        &self,
        binding: Binding,
        _options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<BindReport, HandlerError> {
        let folder = folder(conduit)?;
        let file = file(&folder, &binding.repo_id)?;
        let text = serde_json::to_vec_pretty(&binding.details)?;
        // an unchanged binding is no change
        let is_changed = !fs::read(&file).is_ok_and(|existing| existing == text);
        if is_changed {
            fs::create_dir_all(&folder)?;
            // write and rename: a killed process leaves no half-written file under the final name
            let part = file.with_extension("part");
            fs::write(&part, text)?;
            fs::rename(part, &file)?;
        }
        let mut report = BindReport::default();
        report.set_succeeded([("file", file.to_string_lossy())], is_changed.into());
        Ok(report)
    }

    async fn unbind(
        &self,
        repo_id: &str,
        _options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<BindReport, HandlerError> {
        let is_changed = remove(&file(&folder(conduit)?, repo_id)?)?;
        let mut report = BindReport::default();
        report.set_succeeded([("removed", is_changed)], is_changed.into());
        Ok(report)
    }

    async fn clean(&self, conduit: &mut Conduit<'_>) -> Result<CleanReport, HandlerError> {
        let mut report = CleanReport::default();
        let entries = match fs::read_dir(folder(conduit)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(report),
            entries => entries?,
        };
        let mut changes = 0;
        for entry in entries {
            let file = entry?.path();
            // the folder may have files of other programs
            if file.extension().is_some_and(|ending| ending == "repo") && remove(&file)? {
                changes += 1;
            }
        }
        report.set_succeeded([("removed", changes)], changes);
        Ok(report)
    }
}

/// Removes a file. Returns false if it does not exist.
fn remove(file: &Path) -> io::Result<bool> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        result => result.map(|()| true),
    }
}

/// Returns the file of a repository. Rejects names that lead out of the folder.
fn file(folder: &Path, repo_id: &str) -> Result<PathBuf, HandlerError> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
    if repo_id.is_empty() || !repo_id.chars().all(is_letter) {
        let message = format!("`{repo_id}` is not a valid repository name");
        return Err(HandlerError::new(message).code("payload"));
    }
    Ok(folder.join(format!("{repo_id}.repo")))
}

/// Reads the configuration from a property of the registry entry.
fn folder(conduit: &Conduit<'_>) -> Result<PathBuf, HandlerError> {
    Ok(conduit
        .config("folder")?
        .unwrap_or_else(|| "repositories".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_handler_base::{InMemory, InMemoryRun};
    use serde_json::{Value, json};

    async fn call(folder: &Path, method: &str, more: (&str, Value)) -> InMemoryRun {
        let mut call = json!({"capability": "bind", "method": method, "type": "zoo"});
        call[more.0] = more.1;
        let launch = InMemory::default().property("folder", &folder.to_string_lossy());
        launch.run(&handler(), &call).await
    }

    #[tokio::test]
    async fn only_changes_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let binding = |url: &str| {
            let binding = json!({"repo_id": "zoo", "details": {"url": url}});
            ("binding", binding)
        };
        let repository = |repo_id: &str| ("repo_id", json!(repo_id));
        for (method, more, changes) in [
            ("bind", binding("a"), 1),
            ("bind", binding("a"), 0),
            ("bind", binding("b"), 1),
            ("unbind", repository("other"), 0),
            ("unbind", repository("zoo"), 1),
            ("unbind", repository("zoo"), 0),
            ("bind", binding("a"), 1),
            ("clean", repository("any"), 1),
        ] {
            let report = call(folder.path(), method, more).await.report.result;
            assert_eq!(report.unwrap()["num_changes"], changes, "{method}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn name_that_leads_out_of_the_folder_fails() {
        let folder = tempfile::tempdir().unwrap();
        let run = call(folder.path(), "unbind", ("repo_id", json!("../zoo"))).await;
        let event = &run.report.progress.diagnostic_events[0];
        assert_eq!(event.status_code.as_deref(), Some("payload"));
    }
}
