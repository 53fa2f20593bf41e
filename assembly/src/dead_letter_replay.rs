//! Replaying a dead letter: its operation alone, with what its run was started with.

use crate::error::AssemblyError;
use crate::run_request::RunRequest;
use pop_document::Source;
use pop_executor::{DeadLetter, DeadLetters, HeldLetter, Inputs, ReplayOf, RunFolder};
use serde_json::{Value, json};

/// Params that mean something only among the operations of the agenda that the letter is from.
const LEFT_OUT: [&str; 4] = ["dependsOn", "forEach", "maxParallel", "finally"];
/// A param that a part leaves out besides, for it is about the results of all parts.
const OF_THE_WHOLE: &str = "agenda.operation.generator";

/// A dead letter that may be replayed.
pub struct DeadLetterReplay {
    letters: DeadLetters,
    letter: DeadLetter,
    is_again: bool,
}

impl DeadLetterReplay {
    /// Finds the letter of an operation. One that was replayed before is refused unless it is to be replayed again.
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
                format!("the folder `{}` of its run is not there", folder.display()),
            ));
        }
        let mut request = RunRequest::from_inputs(frozen).map_err(|error| match error {
            AssemblyError::FrozenInputs => {
                refused(letter, "the frozen inputs of its run cannot be read any more")
            }
            error => refused(letter, error),
        })?;
        let root = request.texts.agenda.read();
        let mut root =
            root.map_err(|_| refused(letter, "the frozen agenda of its run cannot be read any more"))?;
        root["operations"] = json!([operation(letter, &root)]);
        // without an ending, so that it is read as the JSON that it is
        let name = format!("{} (dead letter)", letter.id());
        let text = format!("{root:#}\n");
        request.texts.agenda =
            Source::new(name, text.as_bytes()).map_err(|fault| refused(letter, fault.message))?;
        request.replay_of = Some(ReplayOf { run: letter.run.clone(), operation: letter.operation.clone() });
        Ok(request)
    }

    /// Takes the right to change the letter, until the new run is noted in it. The second value is a warning if it was
    /// replayed before.
    pub fn hold(&self) -> Result<(HeldLetter, Option<String>), AssemblyError> {
        let held = self.letters.hold(&self.letter.operation)?;
        check(&held.letter, self.is_again)?;
        let is_replayed = !held.letter.replays.is_empty();
        let warning = is_replayed.then(|| replayed_before(&held.letter).to_string());
        Ok((held, warning))
    }
}

fn check(letter: &DeadLetter, is_again: bool) -> Result<(), AssemblyError> {
    if letter.failure.code == "reference" {
        let why = "references in its payload could not be filled, so it is not known what it was to do";
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

/// The operation as it was, except for its payload, whose references are filled, and for what bound it to others.
fn operation(letter: &DeadLetter, agenda: &Value) -> Value {
    let mut params = letter.params.clone();
    let is_part = letter.operation.contains('#');
    params.retain(|name, _| !(LEFT_OUT.contains(&name.as_str()) || is_part && name == OF_THE_WHOLE));
    // a part of an operation stands on its own now
    let name = letter.operation.replace('#', ".");
    let mut operation = json!({
        "name": name, "type": letter.handler_type, "payload": letter.payload, "params": params,
    });
    let before = agenda["operations"].as_array().into_iter().flatten();
    if let Some(before) = before.into_iter().find(|before| before["name"] == letter.operation.as_str())
        && let Some(id) = before.get("id")
    {
        operation["id"] = id.clone();
    }
    operation
}
