//! The launches of each check.

use crate::expect::Expect;
use crate::subject::Given;
use crate::trial::{Content, Trial};
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

pub(crate) fn payload_variable(given: &Given) -> Vec<Trial> {
    vec![Trial::new(given, Expect::Success, "launched with the payload in PAYLOAD").plain(given)]
}

pub(crate) fn same_result(given: &Given) -> Vec<Trial> {
    vec![Trial::new(given, Expect::SameResult, "launched a second time in the same way").plain(given)]
}

/// Not a check: shows whether the program reads its payload.
pub(crate) fn without_payload(given: &Given) -> Trial {
    Trial::new(given, Expect::Nothing, "launched without a payload")
}

pub(crate) fn payload_compressed(given: &Given) -> Vec<Trial> {
    let segments = given.compressed.len() - 1;
    let done = format!("launched with the payload in {segments} compressed segments");
    vec![Trial::new(given, Expect::Same, done).with_all(&given.compressed)]
}

/// A payload in a file, as pop passes it.
fn from_file(given: &Given, expect: Expect, done: &str, content: Content) -> Trial {
    Trial::new(given, expect, done).file(FILE, content).with_all(&payload::encode_file(FILE))
}

pub(crate) fn payload_file(given: &Given) -> Vec<Trial> {
    let content = Content::text(&given.payload);
    vec![from_file(given, Expect::Same, "launched with the payload in the file of POP_PAYLOAD_FILE", content)]
}

pub(crate) fn payload_large(given: &Given) -> Vec<Trial> {
    let content = Content::Padded(given.payload.clone(), LARGE - given.payload.len());
    vec![from_file(given, Expect::Same, "launched with spaces after the payload, 16 MiB in all", content)]
}

pub(crate) fn payload_file_unreadable(given: &Given) -> Vec<Trial> {
    let trial = |done| Trial::new(given, Expect::Failure, done).plain(given);
    let by_variable = trial("launched with POP_PAYLOAD_FILE naming no file, and a good PAYLOAD");
    let mut trials = vec![by_variable.with_all(&payload::encode_file(MISSING))];
    if given.claims.takes_launch_data {
        let by_argument = trial("launched with --payloadFile naming no file, and a good PAYLOAD");
        trials.push(by_argument.arguments(&["--payloadFile", MISSING]));
    }
    trials
}

pub(crate) fn payload_not_json(given: &Given) -> Vec<Trial> {
    let done = format!("launched with PAYLOAD `{NO_JSON}`");
    vec![
        Trial::new(given, Expect::ToldFailure, done)
            .plain(given)
            .with(variable::PAYLOAD, Content::text(NO_JSON)),
    ]
}

pub(crate) fn payload_not_utf8(given: &Given) -> Vec<Trial> {
    // inside a JSON text if there is one, so that replacing the byte yields valid JSON
    let at = given.payload.rfind('"').unwrap_or(given.payload.len());
    let (before, after) = given.payload.split_at(at);
    let content = Content::NotUtf8(before.to_owned(), after.to_owned());
    vec![from_file(
        given,
        Expect::Failure,
        "launched with a payload file that has the byte 0xff in it",
        content,
    )]
}

pub(crate) fn payload_refused(given: &Given) -> Vec<Trial> {
    let trial = |bad: &String| {
        let trial = Trial::new(given, Expect::Failure, "launched with the bad payload").plain(given);
        trial.with(variable::PAYLOAD, Content::text(bad))
    };
    given.bad_payload.iter().map(trial).collect()
}

/// A payload passed by argument.
fn from_argument(given: &Given, arguments: &[&str]) -> Trial {
    let done = format!("launched with {}", arguments.join(" "));
    let content = Content::text(&given.payload);
    Trial::new(given, Expect::Same, done).file(FILE, content).arguments(arguments)
}

pub(crate) fn argument_spellings(given: &Given) -> Vec<Trial> {
    let (joined, kebab) = (format!("--payloadFile={FILE}"), format!("--payload-file={FILE}"));
    [
        vec!["-payloadFile", FILE],
        vec!["--payloadFile", FILE],
        vec![joined.as_str()],
        vec!["--payload-file", FILE],
        vec![kebab.as_str()],
    ]
    .iter()
    .map(|arguments| from_argument(given, arguments))
    .collect()
}

pub(crate) fn argument_over_environment(given: &Given) -> Vec<Trial> {
    let mut trial = from_argument(given, &["--payloadFile", FILE]);
    trial.done = format!("launched with a good --payloadFile, and PAYLOAD `{NO_JSON}`");
    vec![trial.plain(given).with(variable::PAYLOAD, Content::text(NO_JSON))]
}

pub(crate) fn property_file(given: &Given) -> Vec<Trial> {
    let mut trial = from_argument(given, &["--propFile", PROPERTIES]);
    "launched with --propFile naming a file that says `payloadFile`".clone_into(&mut trial.done);
    vec![trial.file(PROPERTIES, Content::text(format!("payloadFile = {FILE}\n")))]
}

pub(crate) fn property_file_missing(given: &Given) -> Vec<Trial> {
    let trial = |done| Trial::new(given, Expect::Refusal, done).plain(given);
    vec![
        trial("launched with --propFile naming no file").arguments(&["--propFile", MISSING]),
        trial("launched with POP_PROP_FILE naming no file").with(variable::PROP_FILE, Content::text(MISSING)),
    ]
}

pub(crate) fn launch_type_unknown(given: &Given) -> Vec<Trial> {
    let trial = |done| Trial::new(given, Expect::Refusal, done).plain(given);
    vec![
        trial("launched with --launchType moon").arguments(&["--launchType", "moon"]),
        trial("launched with POP_LAUNCH_TYPE moon").with(variable::LAUNCH_TYPE, Content::text("moon")),
    ]
}

pub(crate) fn describes_itself(given: &Given) -> Vec<Trial> {
    let trial = Trial::new(given, Expect::Description, "launched with --describe and without a payload");
    vec![trial.arguments(&["--describe"])]
}

pub(crate) fn last_progress(given: &Given) -> Vec<Trial> {
    // the program's own progress before its end, if it reported any
    let own = given.first.progress.iter().rfind(|progress| !progress.is_final());
    let made_up = Progress { percent_complete: Some(50.0), ..Progress::default() };
    let text = serde_json::to_string(own.unwrap_or(&made_up)).unwrap_or_default();
    let trial = Trial::new(given, Expect::Same, "launched with a progress in LAST_PROGRESS").plain(given);
    vec![trial.with(variable::LAST_PROGRESS, Content::text(text))]
}

pub(crate) fn last_progress_broken(given: &Given) -> Vec<Trial> {
    let trial = Trial::new(given, Expect::Same, format!("launched with LAST_PROGRESS `{NO_JSON}`"));
    vec![trial.plain(given).with(variable::LAST_PROGRESS, Content::text(NO_JSON))]
}

pub(crate) fn environment_not_utf8(given: &Given) -> Vec<Trial> {
    let trial = Trial::new(given, Expect::Same, "launched with a byte 0xff in a variable UNRELATED");
    vec![trial.plain(given).with("UNRELATED", Content::NotUtf8("a".into(), "b".into()))]
}

pub(crate) fn environment_unusual(given: &Given) -> Vec<Trial> {
    let done = "launched with a Turkish locale, an unknown time zone, and without HOME";
    let trial = Trial::new(given, Expect::Same, done).plain(given).without("HOME");
    vec![trial.with("LC_ALL", Content::text("tr_TR.UTF-8")).with("TZ", Content::text("No/Where"))]
}

pub(crate) fn stdin_unused(given: &Given) -> Vec<Trial> {
    let done = "launched with a silent standard input that never ends";
    vec![Trial::new(given, Expect::Same, done).plain(given).wrapped(SILENT_INPUT)]
}

pub(crate) fn stdout_closed(given: &Given) -> Vec<Trial> {
    let done = "launched with a standard output that nobody reads";
    vec![Trial::new(given, Expect::Unheard, done).plain(given).wrapped(DEAF_OUTPUT)]
}

pub(crate) fn stops_when_asked(given: &Given) -> Vec<Trial> {
    let done = "launched, and sent SIGTERM at its first progress";
    vec![Trial::new(given, Expect::Stop, done).plain(given).asked_to_stop()]
}
