//! `pop dlq replay`: the operation of a dead letter, run once more with what its run was begun with.

use super::go::{look_at_disk, reach};
use super::run::{begin, new_folder};
use crate::args::{DlqReplayArgs, LaunchArgs};
use crate::conf_d::ConfD;
use crate::error::{CommandError, Kind};
use crate::faults::Faults;
use crate::inputs::{Texts, launch_data, plan};
use crate::ui;
use pop_document::Source;
use pop_executor::{DeadLetter, DeadLetters, Inputs, ReplayOf, RunFolder, Settings};
use pop_field_retriever::LaunchType;
use serde_json::{Value, json};

/// Params that mean something only among the operations of the agenda that the letter is from.
const LEFT_OUT: [&str; 4] = ["dependsOn", "forEach", "maxParallel", "finally"];
/// What a part leaves besides: it is about the results of all.
const OF_THE_WHOLE: &str = "agenda.operation.generator";

pub(crate) fn replay(args: &DlqReplayArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    let letters = DeadLetters::of(folder.path());
    let letter = letters.find(&args.operation)?;
    may_be_replayed(&letter, args.again)?;
    let frozen = folder.inputs()?;
    let on: LaunchType = frozen.settings.on.parse().map_err(|error| unfit(&letter, error))?;
    let texts = texts(&letter, &frozen)?;
    let mut faults = Faults::default();
    let plan = plan(&texts, &frozen.settings.params, on, &mut faults);
    faults.tell(&texts)?;
    let Some(plan) = plan else { return Err(CommandError::told(Kind::Agenda)) };
    let launch = launch_data(&LaunchArgs { external_launch_type: Some(on), ..LaunchArgs::default() })?;
    reach(&launch)?;
    look_at_disk(&args.go.host, &args.runs);
    let inputs = Inputs {
        settings: Settings {
            agenda: texts.agenda.name().to_owned(),
            mark: None,
            replay_of: Some(ReplayOf { run: letter.run.clone(), operation: letter.operation.clone() }),
            ..frozen.settings
        },
        agenda: texts.agenda.text().as_bytes().to_vec(),
        registry: frozen.registry,
        descriptors: frozen.descriptors,
    };
    // held until the new run is noted in it, and not while anything else is waited for
    let held = letters.hold(&args.operation)?;
    may_be_replayed(&held.letter, args.again)?;
    if !held.letter.replays.is_empty() {
        ui::say(&format!("warning: {}", replayed(&held.letter)));
    }
    let (folder, _lock) = new_folder(&args.runs.runs, &inputs)?;
    held.note_replay(folder.run())?;
    begin(&folder, &inputs, plan, Vec::new(), &args.go, launch)
}

fn may_be_replayed(letter: &DeadLetter, again: bool) -> Result<(), CommandError> {
    if letter.failure.code == "reference" {
        return Err(unfit(
            letter,
            "references in its payload could not be filled, so it is not known what it was to do",
        ));
    }
    if again || letter.replays.is_empty() {
        return Ok(());
    }
    Err(CommandError::new(Kind::Usage, replayed(letter)).hint("`--again` replays it once more"))
}

fn replayed(letter: &DeadLetter) -> String {
    format!("dead letter {} was replayed before, by {}", letter.id(), letter.replays.join(", "))
}

fn unfit(letter: &DeadLetter, why: impl std::fmt::Display) -> CommandError {
    CommandError::new(Kind::Journal, format!("dead letter {} cannot be replayed: {why}", letter.id()))
}

/// An agenda of this one operation, and the registry that its run was begun with.
fn texts(letter: &DeadLetter, frozen: &Inputs) -> Result<Texts, CommandError> {
    let Settings { agenda: name, registry: registry_name, folder, home, .. } = &frozen.settings;
    if !folder.is_dir() {
        return Err(unfit(letter, format!("the folder `{}` of its run is not there", folder.display())));
    }
    let unread = |_| unfit(letter, "the frozen inputs of its run cannot be read any more");
    let agenda = Source::new(name.as_str(), &frozen.agenda).map_err(unread)?;
    let mut root =
        agenda.read().map_err(|_| unfit(letter, "the frozen agenda of its run cannot be read any more"))?;
    root["operations"] = json!([operation(letter, &root)]);
    // no ending, so that it is read as the JSON that it is
    let name = format!("{} (dead letter)", letter.id());
    let text = format!("{root:#}\n");
    let agenda = Source::new(name, text.as_bytes()).map_err(|fault| unfit(letter, fault.message))?;
    let registry = match (registry_name, &frozen.registry) {
        (Some(name), Some(bytes)) => Some(Source::new(name.as_str(), bytes).map_err(unread)?),
        _ => None,
    };
    let conf_d = ConfD::of(frozen);
    Ok(Texts { agenda, registry, home: home.clone(), folder: folder.clone(), conf_d, is_filled: true })
}

/// The operation as it was, but for its payload, whose references are filled, and for what bound it to others.
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
