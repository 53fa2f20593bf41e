//! Bind handler `repositories`: a file for each repository that a machine is to use.

use crate::output::{Unfinished, remove, storage};
use pop_handler_base::{
    About, BindHandler, BindReport, Binding, CleanReport, Conduit, HandlerError, Options,
};
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The first line of every file that is ours.
const MARK: &str = "# made by the handler `repositories`; what is changed here is lost";
const ENDING: &str = "repo";

/// Writes a file `REPO_ID.repo` for each binding into the folder that the property `folder` names.
///
/// *Guarantees.* A file is there as a whole or not at all, and one that somebody else made is never touched.
#[derive(Debug, Clone, Copy, Default)]
pub struct Repositories;

impl BindHandler for Repositories {
    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "writes files of repositories")
    }

    async fn bind(
        &self,
        binding: Binding,
        _: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<BindReport, HandlerError> {
        let path = file(&conduit.require::<PathBuf>("folder")?, &binding.repo_id)?;
        let wanted = text(&binding.repo_id, &binding.details)?;
        let is_changed = ours(&path)?.as_ref() != Some(&wanted);
        if is_changed {
            let unfinished = Unfinished::begin(&path.to_string_lossy())?;
            fs::write(unfinished.part(), wanted).map_err(|error| storage(&path, &error))?;
            unfinished.finish()?;
        }
        let mut report = BindReport::default();
        report.set_succeeded([("file", path.to_string_lossy())], u64::from(is_changed));
        Ok(report)
    }

    async fn unbind(
        &self,
        repo_id: &str,
        _: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<BindReport, HandlerError> {
        let path = file(&conduit.require::<PathBuf>("folder")?, repo_id)?;
        let is_there = ours(&path)?.is_some();
        if is_there {
            remove(&path)?;
        }
        let mut report = BindReport::default();
        report.set_succeeded([("file", path.to_string_lossy())], u64::from(is_there));
        Ok(report)
    }

    async fn clean(&self, conduit: &mut Conduit<'_>) -> Result<CleanReport, HandlerError> {
        let folder: PathBuf = conduit.require("folder")?;
        let failed = |error| storage(&folder, &error);
        let mut report = CleanReport::default();
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(report),
            entries => entries.map_err(failed)?,
        };
        let mut removed = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let is_ours =
                path.extension().is_some_and(|ending| ending == ENDING) && matches!(ours(&path), Ok(Some(_)));
            if is_ours {
                remove(&path)?;
                removed.push(path.to_string_lossy().into_owned());
            }
        }
        removed.sort();
        let count = removed.len() as u64;
        report.set_succeeded([("removed", removed)], count);
        Ok(report)
    }
}

fn file(folder: &Path, repo_id: &str) -> Result<PathBuf, HandlerError> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if repo_id.is_empty() || repo_id.starts_with('.') || !repo_id.chars().all(is_letter) {
        let message = format!(
            "`{repo_id}` is no name of a repository: that is letters, digits and `._-`, with no `.` first"
        );
        return Err(HandlerError::new(message).code("payload"));
    }
    Ok(folder.join(format!("{repo_id}.{ENDING}")))
}

/// The text of a file that is ours; an error if it is somebody else's.
fn ours(path: &Path) -> Result<Option<String>, HandlerError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(storage(path, &error)),
        Ok(there) if there.is_file() => {}
        Ok(_) => return Err(HandlerError::new(format!("`{}` is no file", path.display())).code("storage")),
    }
    let text = fs::read_to_string(path).map_err(|error| storage(path, &error))?;
    if text.lines().next() == Some(MARK) {
        return Ok(Some(text));
    }
    Err(HandlerError::new(format!("`{}` was made by somebody else", path.display())).code("storage"))
}

/// What stands in the file of a repository.
fn text(repo_id: &str, details: &Map<String, Value>) -> Result<String, HandlerError> {
    let mut text = format!("{MARK}\n[{repo_id}]\n");
    for (key, value) in details {
        let value = match value {
            Value::String(value) => value.clone(),
            Value::Number(_) | Value::Bool(_) => value.to_string(),
            _ => return Err(no_line(key)),
        };
        let is_key = key.chars().all(|letter| letter.is_ascii_alphanumeric() || "._-".contains(letter));
        if key.is_empty() || !is_key || value.contains(['\n', '\r']) {
            return Err(no_line(key));
        }
        writeln!(text, "{key} = {value}")?;
    }
    Ok(text)
}

fn no_line(key: &str) -> HandlerError {
    HandlerError::new(format!(
        "`{key}` of the details is no line: that is a word with a text, number or truth value"
    ))
    .code("payload")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::codes;
    use pop_handler_base::{Capabilities, InMemory, Report};
    use serde_json::json;

    async fn call(folder: &Path, payload: Value) -> Report {
        let mut call = payload;
        call["capability"] = "bind".into();
        call["type"] = "repositories".into();
        let place = InMemory::default().property("folder", folder.to_str().unwrap());
        place.run(&Capabilities::new().bind(Repositories), &call).await.report
    }

    async fn bind(folder: &Path, repo_id: &str, details: Value) -> Report {
        call(folder, json!({"method": "bind", "binding": {"repo_id": repo_id, "details": details}})).await
    }

    fn changes(report: Report) -> Value {
        report.result.unwrap()["num_changes"].clone()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn u13_bindings_are_added_changed_and_removed_and_only_changes_count() {
        let folder = tempfile::tempdir().unwrap();
        let folder = &folder.path().join("repos.d");
        let details = json!({"baseurl": "http://mirror.example/zoo", "enabled": 1, "check": true});
        let report = bind(folder, "zoo", details.clone()).await.result.unwrap();
        assert_eq!((&report["num_changes"], &report["repo_id"]), (&json!(1), &json!("zoo")));
        let text = fs::read_to_string(folder.join("zoo.repo")).unwrap();
        assert_eq!(
            text,
            format!("{MARK}\n[zoo]\nbaseurl = http://mirror.example/zoo\ncheck = true\nenabled = 1\n")
        );
        assert_eq!(changes(bind(folder, "zoo", details).await), 0);
        assert_eq!(changes(bind(folder, "zoo", json!({"enabled": 0})).await), 1);
        assert_eq!(names(folder), ["zoo.repo"]);
        let unbind =
            async |repo_id: &str| call(folder, json!({"method": "unbind", "repo_id": repo_id})).await;
        assert_eq!(changes(unbind("other").await), 0);
        assert_eq!(changes(unbind("zoo").await), 1);
        assert_eq!(changes(unbind("zoo").await), 0);
        assert_eq!(names(folder), [""; 0]);
    }

    #[tokio::test]
    async fn what_somebody_else_made_stays() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        fs::write(folder.join("theirs.repo"), "[theirs]\n").unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.join("link.repo")).unwrap();
        fs::write(folder.join("note.txt"), format!("{MARK}\n")).unwrap();
        for repo_id in ["theirs", "link"] {
            assert_eq!(codes(&bind(folder, repo_id, json!({})).await), ["report"]);
            let report = call(folder, json!({"method": "unbind", "repo_id": repo_id})).await;
            assert_eq!(codes(&report), ["report"]);
        }
        bind(folder, "b", json!({})).await;
        bind(folder, "a", json!({})).await;
        let report = call(folder, json!({"method": "clean"})).await.result.unwrap();
        assert_eq!(report["num_changes"], 2);
        assert!(report["details"]["removed"][0].as_str().unwrap().ends_with("/a.repo"));
        assert_eq!(changes(call(folder, json!({"method": "clean"})).await), 0);
        assert_eq!(names(folder), ["link.repo", "note.txt", "theirs.repo"]);
        assert_eq!(changes(call(&folder.join("none"), json!({"method": "clean"})).await), 0);
    }

    #[tokio::test]
    async fn names_lead_nowhere_and_details_are_lines() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        for repo_id in ["", ".", "../a", "/a", "a/b", "a]\n[b"] {
            assert_eq!(codes(&bind(folder, repo_id, json!({})).await), ["payload"], "{repo_id:?}");
        }
        for details in [json!({"a": "1\nb = 2"}), json!({"a=b": 1}), json!({"": 1}), json!({"a": [1]})] {
            assert_eq!(codes(&bind(folder, "r", details.clone()).await), ["payload"], "{details}");
        }
        assert_eq!(names(folder), [""; 0]);
    }
}
