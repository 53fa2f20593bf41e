//! The list of checks: name, promise, whom it binds, how to mend what breaks it, how it is put to the test.

use crate::examine::Outcome;
use crate::overall::{self, Breach};
use crate::subject::{Claims, Given};
use crate::trial::Trial;
use crate::trials;
use std::fmt;

/// Whom a check binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binds {
    /// Every program.
    Every,
    /// A program that prints report lines.
    Reporting,
    /// A program that ends otherwise when it is given no payload.
    Payload,
    /// One of those whose description, if it has one, does not leave compressed payloads out.
    CompressedPayload,
    /// One of those whose description, if it has one, does not leave files out.
    PayloadFile,
    /// A program whose log ends with the line `HandlerComplete`, as that of a toolkit handler does.
    LaunchData,
}

impl Binds {
    /// Why a program is not bound, if it is not.
    pub(crate) fn excuse(self, claims: Claims) -> Option<&'static str> {
        match self {
            Self::Reporting if !claims.reports => Some("it reports nothing"),
            Self::Payload | Self::CompressedPayload | Self::PayloadFile if !claims.reads_payload => {
                Some("it ends in the same way without a payload")
            }
            Self::CompressedPayload if claims.leaves_out_compressed => {
                Some("its description says that it does not read `compressedEnvVar`")
            }
            Self::PayloadFile if claims.leaves_out_files => {
                Some("its description says that it does not read `file`")
            }
            Self::LaunchData if !claims.takes_launch_data => {
                Some("its log does not end with HandlerComplete")
            }
            _ => None,
        }
    }
}

impl fmt::Display for Binds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Every => "every program",
            Self::Reporting => "who reports",
            Self::Payload => "who reads a payload",
            Self::CompressedPayload => "who reads compressed payloads",
            Self::PayloadFile => "who reads payload files",
            Self::LaunchData => "who takes launch data",
        })
    }
}

/// How a check is put to the test.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    /// By launches of its own.
    Trials(fn(&Given) -> Vec<Trial>),
    /// By a look over everything that was seen.
    All(fn(Claims, &[Outcome]) -> Option<Breach>),
}

/// One promise of the contract that can be put to the test.
#[derive(Debug)]
pub struct Check {
    /// Its stable name.
    pub id: &'static str,
    /// The promise.
    pub promise: &'static str,
    /// Whom it binds.
    pub binds: Binds,
    /// How a program that breaks it is mended.
    pub hint: &'static str,
    pub(crate) by: By,
}

/// The check that all others rest on.
pub(crate) const FIRST: &str = "payload-variable";
/// The check that also tells which forms of payload a program reads.
pub(crate) const DESCRIBES: &str = "describes-itself";
/// The check that says whether results can be compared.
pub(crate) const SECOND: &str = "same-result";

const fn check(id: &'static str, binds: Binds, promise: &'static str, hint: &'static str, by: By) -> Check {
    Check { id, promise, binds, hint, by }
}

/// Every check, in the order in which they are told.
pub static CHECKS: &[Check] = &[
    check(
        FIRST,
        Binds::Every,
        "with the payload in PAYLOAD it succeeds",
        "give a payload with which it succeeds; it runs in an empty folder, so name files by absolute paths",
        By::Trials(trials::payload_variable),
    ),
    check(
        SECOND,
        Binds::Every,
        "launched again for the same attempt it gives the same result",
        "leave times, process numbers and random values out of the result",
        By::Trials(trials::same_result),
    ),
    check(
        "payload-compressed",
        Binds::CompressedPayload,
        "it reads a payload that comes in compressed segments",
        "for POP_PAYLOAD_TYPE `compressedEnvVar` join POP_COMPRESSED_PAYLOAD_0, _1, … to the first gap, decode base64, \
         inflate zlib; or leave `compressedEnvVar` out of `payloadForms` in --describe",
        By::Trials(trials::payload_compressed),
    ),
    check(
        "payload-file",
        Binds::PayloadFile,
        "it reads a payload that comes as a file",
        "for POP_PAYLOAD_TYPE `file` read the file that POP_PAYLOAD_FILE names",
        By::Trials(trials::payload_file),
    ),
    check(
        "payload-large",
        Binds::PayloadFile,
        "it reads a payload of 16 MiB",
        "read the file to its end, with no fixed limit below 256 MiB",
        By::Trials(trials::payload_large),
    ),
    check(
        "payload-file-unreadable",
        Binds::PayloadFile,
        "a payload file that is not there makes it fail, whatever PAYLOAD holds",
        "when a payload file is named and cannot be read, end with status 2 and try nothing else",
        By::Trials(trials::payload_file_unreadable),
    ),
    check(
        "payload-not-json",
        Binds::Payload,
        "a payload that is no JSON makes it fail, and it says so",
        "parse the payload; if that fails report `failed` or write to the log, and end with a status other than 0",
        By::Trials(trials::payload_not_json),
    ),
    check(
        "payload-not-utf8",
        Binds::PayloadFile,
        "a payload file that is not UTF-8 makes it fail",
        "decode the file strictly; do not replace bytes",
        By::Trials(trials::payload_not_utf8),
    ),
    check(
        "payload-refused",
        Binds::Every,
        "a payload that it cannot use makes it fail",
        "validate the payload; report `failed` and end with a status other than 0",
        By::Trials(trials::payload_refused),
    ),
    check(
        "argument-spellings",
        Binds::LaunchData,
        "it takes every spelling of --payloadFile",
        "take one dash or two, camel case or kebab case, the value after a space or after `=`",
        By::Trials(trials::argument_spellings),
    ),
    check(
        "argument-over-environment",
        Binds::LaunchData,
        "an argument wins over the environment",
        "look in the arguments first; do not read PAYLOAD when --payloadFile is given",
        By::Trials(trials::argument_over_environment),
    ),
    check(
        "property-file",
        Binds::LaunchData,
        "it takes launch data from the properties file that --propFile names",
        "look for payloadFile in the properties when neither argument nor environment gives a payload",
        By::Trials(trials::property_file),
    ),
    check(
        "property-file-missing",
        Binds::LaunchData,
        "a named properties file that is not there is exit status 2",
        "only default properties files may be missing",
        By::Trials(trials::property_file_missing),
    ),
    check(
        "launch-type-unknown",
        Binds::LaunchData,
        "an unknown launch type is exit status 2",
        "refuse what is none of local, docker, kubernetes; do not take the default for it",
        By::Trials(trials::launch_type_unknown),
    ),
    check(
        DESCRIBES,
        Binds::LaunchData,
        "--describe prints one description and needs no payload",
        "print one JSON object with the JSON Schemas `input` and `result`, as far as they are known, and nothing else",
        By::Trials(trials::describes_itself),
    ),
    check(
        "last-progress",
        Binds::Every,
        "with the progress of an earlier attempt it gives the same result",
        "go on from LAST_PROGRESS, or ignore it",
        By::Trials(trials::last_progress),
    ),
    check(
        "last-progress-broken",
        Binds::LaunchData,
        "a last progress that is no JSON does not stop it",
        "ignore a LAST_PROGRESS that cannot be read, with a warning in the log",
        By::Trials(trials::last_progress_broken),
    ),
    check(
        "environment-not-utf8",
        Binds::Every,
        "a foreign variable that is not UTF-8 does not matter",
        "read variables as bytes, or only those that are needed",
        By::Trials(trials::environment_not_utf8),
    ),
    check(
        "environment-unusual",
        Binds::Every,
        "locale and time zone do not matter, nor does a missing HOME",
        "do not read HOME, and neither parse nor print by the locale",
        By::Trials(trials::environment_unusual),
    ),
    check(
        "stdin-unused",
        Binds::Every,
        "it does not wait for standard input",
        "take input from the payload only",
        By::Trials(trials::stdin_unused),
    ),
    check(
        "stdout-closed",
        Binds::Reporting,
        "when nobody reads its reports it ends, and not as a success",
        "when the final report cannot be written say so on standard error and end with a status other than 0",
        By::Trials(trials::stdout_closed),
    ),
    check(
        "stops-when-asked",
        Binds::Every,
        "SIGTERM ends it within the grace",
        "do not ignore SIGTERM; stop external programs and end",
        By::Trials(trials::stops_when_asked),
    ),
    check(
        "leaves-nothing-behind",
        Binds::Every,
        "no process that it started outlives it",
        "wait for what it starts, or end it; start no daemons",
        By::All(overall::leaves_nothing_behind),
    ),
    check(
        "report-lines",
        Binds::Reporting,
        "its report lines are JSON of the right shape, within the limits",
        "print one line of JSON after the name and a space: progress up to 64 KiB, a result up to 16 MiB",
        By::All(overall::report_lines),
    ),
    check(
        "percent-range",
        Binds::Reporting,
        "its percentages lie between 0 and 100",
        "report percentages, not fractions or counts beyond the total",
        By::All(overall::percent_range),
    ),
    check(
        "percent-grows",
        Binds::Reporting,
        "its percentages never go back",
        "report the work as a whole, not each of its stages from 0",
        By::All(overall::percent_grows),
    ),
    check(
        "final-report",
        Binds::Reporting,
        "it gives one final report at most, and with launch data one exactly",
        "report COMPLETE once, as the last thing",
        By::All(overall::final_report),
    ),
    check(
        "report-agrees",
        Binds::Reporting,
        "final report and exit status agree",
        "end with 0 after `succeeded` and with another status after `failed`",
        By::All(overall::report_agrees),
    ),
];
