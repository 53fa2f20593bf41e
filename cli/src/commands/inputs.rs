//! `pop inputs`: lists the inputs of an agenda, as a table or as JSON Schema.

use crate::args::{InputsArgs, Output};
use crate::error::{CommandError, Kind};
use crate::launch_data::agenda_bytes;
use crate::ui;
use pop_agenda::{Agenda, InputSpec, InputSpecs};
use pop_document::{Fault, Source};
use pop_reporters::run::visible;
use serde_json::Value;

pub(crate) fn inputs(args: &InputsArgs) -> Result<u8, CommandError> {
    let name = args.agenda.display().to_string();
    let read = agenda_bytes(&args.agenda).and_then(|bytes| Source::new(name.as_str(), &bytes));
    let source = read.map_err(|fault| refuse(&Source::empty(name), &[fault]))?;
    let root = source.read().map_err(|faults| refuse(&source, &faults))?;
    let mut faults = Vec::new();
    let agenda = Agenda::parse(root, &mut faults);
    // `pop check` reports faults of other parts
    faults.retain(|fault| fault.pointer().is_empty() || fault.pointer().starts_with("/inputs"));
    let Some(agenda) = agenda.filter(|_| !faults.iter().any(Fault::is_error)) else {
        return Err(refuse(&source, &faults));
    };
    ui::print_faults(&source, &faults);
    ui::print(&match args.output {
        Output::Json => format!("{:#}\n", agenda.inputs.schema()),
        Output::Text => text(&agenda.inputs),
    });
    Ok(0)
}

fn refuse(source: &Source, faults: &[Fault]) -> CommandError {
    ui::print_faults(source, faults);
    CommandError::printed(Kind::Agenda)
}

fn text(inputs: &InputSpecs) -> String {
    if inputs.is_empty() {
        return "the agenda has no inputs\n".to_owned();
    }
    let mut rows = vec![["INPUT", "TYPE", "DEFAULT", "ALLOWED", "DESCRIPTION"].map(str::to_owned)];
    rows.extend(inputs.iter().map(|spec| {
        let default = match &spec.default {
            Some(value) => shown(value),
            None if spec.is_required => "(required)".to_owned(),
            None => "-".to_owned(),
        };
        let description = visible(spec.description.as_deref().unwrap_or_default());
        [spec.name.clone(), spec.kind.word().to_owned(), default, allowed(spec), description]
    }));
    ui::table(&rows)
}

/// The limits of a value: its choices, pattern and range.
fn allowed(spec: &InputSpec) -> String {
    let limit = |key: &str| spec.schema.get(key);
    let mut limits = Vec::new();
    if let Some(Value::Array(values)) = limit("enum") {
        limits.push(values.iter().map(shown).collect::<Vec<_>>().join(", "));
    }
    limits.extend(limit("pattern").map(shown));
    limits.extend(limit("minimum").map(|least| format!("from {least}")));
    limits.extend(limit("maximum").map(|most| format!("up to {most}")));
    if limits.is_empty() { "-".to_owned() } else { limits.join(", ") }
}

fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    visible(&text)
}
