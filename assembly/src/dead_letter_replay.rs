//! Replays a dead letter: a run of its operation alone, with the inputs of the original run.

use crate::error::AssemblyError;
use crate::run_request::RunRequest;
use pop_document::Source;
use pop_executor::{DeadLetter, DeadLetters, Inputs, LockedLetter, ReplayOf, RunFolder};
use serde_json::{Value, json};

/// Params that have a meaning only among the operations of the original agenda.
const OMITTED_PARAMS: [&str; 6] = ["dependsOn", "forEach", "maxParallel", "finally", "undoes", "when"];
/// A param that a replay also omits, because the original run adds the operations when it gets the result.
const GENERATOR: &str = "agenda.operation.generator";

/// A dead letter that can be replayed.
pub struct DeadLetterReplay {
    letters: DeadLetters,
    letter: DeadLetter,
    is_again: bool,
}

impl DeadLetterReplay {
    /// Finds the dead letter of an operation. Rejects a letter that was replayed before, unless `is_again`.
    pub fn of(folder: &RunFolder, operation: &str, is_again: bool) -> Result<Self, AssemblyError> {
        let letters = DeadLetters::of(folder.path());
        let letter = letters.find(operation)?;
        check(&letter, is_again)?;
        Ok(Self { letters, letter, is_again })
    }

    /// The request for a run of the letter's operation.
    pub fn request(&self, frozen: &Inputs) -> Result<RunRequest, AssemblyError> {
        let letter = &self.letter;
        let folder = &frozen.settings.folder;
        if !folder.is_dir() {
            return Err(refused(
                letter,
                format!("the folder `{}` of its run does not exist", folder.display()),
            ));
        }
        let mut request = RunRequest::from_inputs(frozen).map_err(|error| match error {
            AssemblyError::FrozenInputs => refused(letter, "the frozen inputs of its run cannot be read"),
            error => refused(letter, error),
        })?;
        let root = request.texts.agenda.read();
        let mut root = root.map_err(|_| refused(letter, "the frozen agenda of its run cannot be read"))?;
        root["operations"] = json!([operation(letter, &root)]);
        // the name has no file extension, so the text is read as JSON
        let name = format!("{} (dead letter)", letter.id());
        let text = format!("{root:#}\n");
        request.texts.agenda =
            Source::new(name, text.as_bytes()).map_err(|fault| refused(letter, fault.message))?;
        request.replay_of = Some(ReplayOf { run: letter.run.clone(), operation: letter.operation.clone() });
        Ok(request)
    }

    /// Locks the letter until the new run is recorded in it. The second value is a warning if the letter was replayed
    /// before.
    pub fn hold(&self) -> Result<(LockedLetter, Option<String>), AssemblyError> {
        let locked = self.letters.lock_letter(&self.letter.operation)?;
        check(&locked.letter, self.is_again)?;
        let is_replayed = !locked.letter.replays.is_empty();
        let warning = is_replayed.then(|| replayed_before(&locked.letter).to_string());
        Ok((locked, warning))
    }
}

fn check(letter: &DeadLetter, is_again: bool) -> Result<(), AssemblyError> {
    if letter.failure.code == "reference" {
        let why = "references in its payload could not be filled, so its input is unknown";
        return Err(refused(letter, why));
    }
    if let Some(at) = letter.inserted_maps.first() {
        let why = format!(
            "a reference put a map into `{at}` of its payload, where only text can be: mend the operation and use `pop rerun`"
        );
        return Err(refused(letter, why));
    }
    if is_again || letter.replays.is_empty() { Ok(()) } else { Err(replayed_before(letter)) }
}

fn replayed_before(letter: &DeadLetter) -> AssemblyError {
    AssemblyError::ReplayedBefore { id: letter.id(), runs: letter.replays.join(", ") }
}

fn refused(letter: &DeadLetter, why: impl std::fmt::Display) -> AssemblyError {
    AssemblyError::NoReplay { id: letter.id(), why: why.to_string() }
}

/// The operation, with its references replaced and without the params that connect it with other operations.
fn operation(letter: &DeadLetter, agenda: &Value) -> Value {
    let mut params = letter.params.clone();
    params.retain(|name, _| !OMITTED_PARAMS.contains(&name.as_str()) && name != GENERATOR);
    // `#` and `/` are reserved for parts, and this operation is none in the new run
    let name = letter.operation.replace(['#', '/'], ".");
    let mut operation = json!({
        "name": name, "type": letter.handler_type, "payload": letter.payload, "params": params,
    });
    let originals = agenda["operations"].as_array().into_iter().flatten();
    if let Some(original) = originals.into_iter().find(|one| one["name"] == letter.operation.as_str())
        && let Some(id) = original.get("id")
    {
        operation["id"] = id.clone();
    }
    operation
}
