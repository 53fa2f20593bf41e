//! Handler `{{name}}`: stores notes as files in the folder of the property `folder`.

use pop_handler_base::{
    About, Capabilities, Conduit, ContentHandler, ContentReport, HandlerError, JsonSchema, Method,
    Options, ProfileReport,
};
use serde::Deserialize;
use serde_json::json;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A note, the unit of this handler.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(crate = "pop_handler_base::schemars")]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// Name of letters, digits, `-` and `_`.
    pub name: String,
    /// Text of the note; only `install` reads it.
    #[serde(default)]
    pub text: String,
}

/// Stores notes as files.
#[derive(Debug, Clone, Copy)]
pub struct Notes;

/// The handler with all its capabilities.
#[must_use]
pub fn handler() -> Capabilities<Notes> {
    Capabilities::new().content(Notes)
}

impl ContentHandler for Notes {
    type Unit = Note;
    // all other methods fail with `not-implemented`
    const METHODS: &'static [Method] = &[Method::Install, Method::Uninstall, Method::Profile];

    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "stores notes as files")
    }

    async fn install(
        &self,
        units: Vec<Note>,
        _options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<ContentReport, HandlerError> {
        let folder = folder(conduit)?;
        fs::create_dir_all(&folder)?;
        let mut report = ContentReport::default();
        let invalid: Vec<&str> = units.iter().filter_map(Note::invalid_name).collect();
        // report all faults at once, before anything changes
        if !invalid.is_empty() {
            let message = format!("not valid as names: {}", invalid.join(", "));
            report.set_failed([("message", json!(message)), ("names", json!(invalid))]);
            return Ok(report);
        }
        let mut installed = Vec::new();
        for (index, note) in units.iter().enumerate() {
            conduit.update_progress(json!({"done": index, "of": units.len()}));
            if note.install(&folder)? {
                installed.push(note.name.as_str());
            }
        }
        let changes = installed.len() as u64;
        report.set_succeeded([("installed", installed)], changes);
        Ok(report)
    }

    async fn uninstall(
        &self,
        units: Vec<Note>,
        _options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<ContentReport, HandlerError> {
        let folder = folder(conduit)?;
        let mut removed = Vec::new();
        for note in units.iter().filter(|note| note.invalid_name().is_none()) {
            match fs::remove_file(note.file(&folder)) {
                // a missing note is no change
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                result => {
                    result?;
                    removed.push(note.name.as_str());
                }
            }
        }
        let changes = removed.len() as u64;
        let mut report = ContentReport::default();
        report.set_succeeded([("removed", removed)], changes);
        Ok(report)
    }

    async fn profile(&self, conduit: &mut Conduit<'_>) -> Result<ProfileReport, HandlerError> {
        let mut names = Vec::new();
        match fs::read_dir(folder(conduit)?) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            entries => {
                for entry in entries? {
                    let name = entry?.file_name().to_string_lossy().into_owned();
                    names.extend(name.strip_suffix(".txt").map(str::to_owned));
                }
            }
        }
        names.sort();
        let mut report = ProfileReport::default();
        report.set_succeeded([("notes", names)], 0);
        Ok(report)
    }
}

impl Note {
    /// Returns the name if it has characters that could lead out of the folder.
    fn invalid_name(&self) -> Option<&str> {
        let is_letter =
            |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let is_good = !self.name.is_empty() && self.name.chars().all(is_letter);
        (!is_good).then_some(&self.name)
    }

    fn file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.txt", self.name))
    }

    /// Writes the note. Returns false if the same note exists already.
    fn install(&self, folder: &Path) -> io::Result<bool> {
        let file = self.file(folder);
        if fs::read(&file).is_ok_and(|text| text == self.text.as_bytes()) {
            return Ok(false);
        }
        // write and rename: a killed process leaves no half-written file under the final name
        let part = folder.join(format!("{}.part", self.name));
        fs::write(&part, &self.text)?;
        fs::rename(part, file)?;
        Ok(true)
    }
}

/// Reads the configuration from a property of the registry entry.
fn folder(conduit: &Conduit<'_>) -> Result<PathBuf, HandlerError> {
    Ok(conduit.config("folder")?.unwrap_or_else(|| "notes".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_handler_base::{InMemory, InMemoryRun};
    use serde_json::{Value, json};

    async fn call(folder: &Path, method: &str, names: &[&str]) -> InMemoryRun {
        let units: Vec<Value> = names
            .iter()
            .map(|name| json!({"name": name, "text": "la"}))
            .collect();
        let call =
            json!({"capability": "content", "method": method, "type": "note", "units": units});
        let launch = InMemory::default().property("folder", &folder.to_string_lossy());
        launch.run(&handler(), &call).await
    }

    #[tokio::test]
    async fn only_changes_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        for (method, names, changes) in [
            ("install", ["a", "b"], 2),
            ("install", ["b", "c"], 1),
            ("uninstall", ["a", "d"], 1),
        ] {
            let report = call(folder.path(), method, &names).await.report.result;
            assert_eq!(report.unwrap()["num_changes"], changes, "{method}");
        }
        let profile = call(folder.path(), "profile", &[]).await.report.result;
        assert_eq!(profile.unwrap()["details"], json!({"notes": ["b", "c"]}));
    }

    #[tokio::test]
    async fn invalid_name_fails_the_report() {
        let folder = tempfile::tempdir().unwrap();
        let run = call(folder.path(), "install", &["a", "../b"]).await;
        let event = &run.report.progress.diagnostic_events[0];
        assert_eq!(event.status_code.as_deref(), Some("report"));
        let report = event.payload.as_ref().unwrap();
        assert_eq!(report["details"]["names"], json!(["../b"]));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
