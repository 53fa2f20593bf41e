//! The launches of each check.

use crate::expect::Expect;
use crate::trial::{Content, Trial};
use crate::trial_input::TrialInput;
use pop_contract::Progress;
use pop_field_retriever::names::environment as variable;
use pop_field_retriever::payload;

/// Size of the largest payload that is tried, in bytes.
const LARGE: usize = 16 << 20;
const NO_JSON: &str = "{no JSON";
/// Name of a file that does not exist.
const MISSING: &str = "missing";
const FILE: &str = "payload.json";
const PROPERTIES: &str = "p.properties";
/// Starts the program with an input that never ends and stays silent.
const SILENT_INPUT: &str = "mkfifo in && exec \"$@\" 0<> in";
/// Starts the program with an output without a reader: the only reader has gone before.
const DEAF_OUTPUT: &str = "mkfifo out; : < out & exec 3> out; wait; exec \"$@\" >&3 3>&-";

pub(crate) fn payload_variable(input: &TrialInput) -> Vec<Trial> {
    vec![Trial::new(input, Expect::Success, "launched with the payload in PAYLOAD").plain(input)]
}

pub(crate) fn same_result(input: &TrialInput) -> Vec<Trial> {
    vec![Trial::new(input, Expect::SameResult, "launched a second time in the same way").plain(input)]
}

/// Not a check: shows whether the program reads its payload.
pub(crate) fn without_payload(input: &TrialInput) -> Trial {
    Trial::new(input, Expect::Nothing, "launched without a payload")
}

pub(crate) fn payload_compressed(input: &TrialInput) -> Vec<Trial> {
    let segments = input.compressed.len() - 1;
    let done = format!("launched with the payload in {segments} compressed segments");
    vec![Trial::new(input, Expect::Same, done).with_all(&input.compressed)]
}

/// A payload in a file, as pop passes it.
fn from_file(input: &TrialInput, expect: Expect, done: &str, content: Content) -> Trial {
    Trial::new(input, expect, done).file(FILE, content).with_all(&payload::encode_file(FILE))
}

pub(crate) fn payload_file(input: &TrialInput) -> Vec<Trial> {
    let content = Content::text(&input.payload);
    vec![from_file(input, Expect::Same, "launched with the payload in the file of POP_PAYLOAD_FILE", content)]
}

pub(crate) fn payload_large(input: &TrialInput) -> Vec<Trial> {
    let content = Content::Padded(input.payload.clone(), LARGE - input.payload.len());
    vec![from_file(input, Expect::Same, "launched with spaces after the payload, 16 MiB in all", content)]
}

pub(crate) fn payload_file_unreadable(input: &TrialInput) -> Vec<Trial> {
    let trial = |done| Trial::new(input, Expect::Failure, done).plain(input);
    let by_variable = trial("launched with POP_PAYLOAD_FILE naming no file, and a good PAYLOAD");
    let mut trials = vec![by_variable.with_all(&payload::encode_file(MISSING))];
    if input.claims.takes_launch_data {
        let by_argument = trial("launched with --payloadFile naming no file, and a good PAYLOAD");
        trials.push(by_argument.arguments(&["--payloadFile", MISSING]));
    }
    trials
}

pub(crate) fn payload_not_json(input: &TrialInput) -> Vec<Trial> {
    let done = format!("launched with PAYLOAD `{NO_JSON}`");
    vec![
        Trial::new(input, Expect::ExplainedFailure, done)
            .plain(input)
            .with(variable::PAYLOAD, Content::text(NO_JSON)),
    ]
}

pub(crate) fn payload_not_utf8(input: &TrialInput) -> Vec<Trial> {
    // inside a JSON text if there is one, so that replacing the byte yields valid JSON
    let at = input.payload.rfind('"').unwrap_or(input.payload.len());
    let (before, after) = input.payload.split_at(at);
    let content = Content::NotUtf8(before.to_owned(), after.to_owned());
    vec![from_file(
        input,
        Expect::Failure,
        "launched with a payload file that has the byte 0xff in it",
        content,
    )]
}

pub(crate) fn payload_refused(input: &TrialInput) -> Vec<Trial> {
    let trial = |bad: &String| {
        let trial = Trial::new(input, Expect::Failure, "launched with the bad payload").plain(input);
        trial.with(variable::PAYLOAD, Content::text(bad))
    };
    input.bad_payload.iter().map(trial).collect()
}

/// A payload passed by argument.
fn from_argument(input: &TrialInput, arguments: &[&str]) -> Trial {
    let done = format!("launched with {}", arguments.join(" "));
    let content = Content::text(&input.payload);
    Trial::new(input, Expect::Same, done).file(FILE, content).arguments(arguments)
}

pub(crate) fn argument_spellings(input: &TrialInput) -> Vec<Trial> {
    let (joined, kebab) = (format!("--payloadFile={FILE}"), format!("--payload-file={FILE}"));
    [
        vec!["-payloadFile", FILE],
        vec!["--payloadFile", FILE],
        vec![joined.as_str()],
        vec!["--payload-file", FILE],
        vec![kebab.as_str()],
    ]
    .iter()
    .map(|arguments| from_argument(input, arguments))
    .collect()
}

pub(crate) fn argument_over_environment(input: &TrialInput) -> Vec<Trial> {
    let mut trial = from_argument(input, &["--payloadFile", FILE]);
    trial.done = format!("launched with a good --payloadFile, and PAYLOAD `{NO_JSON}`");
    vec![trial.plain(input).with(variable::PAYLOAD, Content::text(NO_JSON))]
}

pub(crate) fn property_file(input: &TrialInput) -> Vec<Trial> {
    let mut trial = from_argument(input, &["--propFile", PROPERTIES]);
    "launched with --propFile naming a file that says `payloadFile`".clone_into(&mut trial.done);
    vec![trial.file(PROPERTIES, Content::text(format!("payloadFile = {FILE}\n")))]
}

pub(crate) fn property_file_missing(input: &TrialInput) -> Vec<Trial> {
    let trial = |done| Trial::new(input, Expect::Refusal, done).plain(input);
    vec![
        trial("launched with --propFile naming no file").arguments(&["--propFile", MISSING]),
        trial("launched with POP_PROP_FILE naming no file").with(variable::PROP_FILE, Content::text(MISSING)),
    ]
}

pub(crate) fn launch_type_unknown(input: &TrialInput) -> Vec<Trial> {
    let trial = |done| Trial::new(input, Expect::Refusal, done).plain(input);
    vec![
        trial("launched with --launchType moon").arguments(&["--launchType", "moon"]),
        trial("launched with POP_LAUNCH_TYPE moon").with(variable::LAUNCH_TYPE, Content::text("moon")),
    ]
}

pub(crate) fn describes_itself(input: &TrialInput) -> Vec<Trial> {
    let trial = Trial::new(input, Expect::Description, "launched with --describe and without a payload");
    vec![trial.arguments(&["--describe"])]
}

pub(crate) fn last_progress(input: &TrialInput) -> Vec<Trial> {
    // the program's own progress before its end, if it reported any
    let own = input.first.progress.iter().rfind(|progress| !progress.is_final());
    let made_up = Progress { percent_complete: Some(50.0), ..Progress::default() };
    let text = serde_json::to_string(own.unwrap_or(&made_up)).unwrap_or_default();
    let trial = Trial::new(input, Expect::Same, "launched with a progress in LAST_PROGRESS").plain(input);
    vec![trial.with(variable::LAST_PROGRESS, Content::text(text))]
}

pub(crate) fn last_progress_broken(input: &TrialInput) -> Vec<Trial> {
    let trial = Trial::new(input, Expect::Same, format!("launched with LAST_PROGRESS `{NO_JSON}`"));
    vec![trial.plain(input).with(variable::LAST_PROGRESS, Content::text(NO_JSON))]
}

pub(crate) fn environment_not_utf8(input: &TrialInput) -> Vec<Trial> {
    let trial = Trial::new(input, Expect::Same, "launched with a byte 0xff in a variable UNRELATED");
    vec![trial.plain(input).with("UNRELATED", Content::NotUtf8("a".into(), "b".into()))]
}

pub(crate) fn environment_unusual(input: &TrialInput) -> Vec<Trial> {
    let done = "launched with a Turkish locale, an unknown time zone, and without HOME";
    let trial = Trial::new(input, Expect::Same, done).plain(input).without("HOME");
    vec![trial.with("LC_ALL", Content::text("tr_TR.UTF-8")).with("TZ", Content::text("No/Where"))]
}

pub(crate) fn stdin_unused(input: &TrialInput) -> Vec<Trial> {
    let done = "launched with a silent standard input that never ends";
    vec![Trial::new(input, Expect::Same, done).plain(input).wrapped(SILENT_INPUT)]
}

pub(crate) fn stdout_closed(input: &TrialInput) -> Vec<Trial> {
    let done = "launched with a standard output that nobody reads";
    vec![Trial::new(input, Expect::Unheard, done).plain(input).wrapped(DEAF_OUTPUT)]
}

pub(crate) fn stops_when_asked(input: &TrialInput) -> Vec<Trial> {
    let done = "launched, and sent SIGTERM at its first progress";
    vec![Trial::new(input, Expect::Stop, done).plain(input).asked_to_stop()]
}
