//! The list of checks: name, promise, programs that it binds, hint for a fix, and the test.

use crate::outcome::{Breach, Outcome};
use crate::overall;
use crate::subject::Claims;
use crate::trial::Trial;
use crate::trial_input::TrialInput;
use crate::trials;
use std::fmt;

/// The programs that a check binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binds {
    /// Every program.
    Every,
    /// A program that prints report lines.
    Reporting,
    /// A program that ends differently without a payload.
    Payload,
    /// Such a program, unless its description excludes compressed payloads.
    CompressedPayload,
    /// Such a program, unless its description excludes payload files.
    PayloadFile,
    /// A program whose log ends with the line `HandlerComplete`, as a toolkit handler's does.
    LaunchData,
}

impl Binds {
    /// The reason why a program is not bound; `None` if it is.
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
            Self::Reporting => "programs that report",
            Self::Payload => "programs that read a payload",
            Self::CompressedPayload => "programs that read compressed payloads",
            Self::PayloadFile => "programs that read payload files",
            Self::LaunchData => "programs that take launch data",
        })
    }
}

/// How a check is tested.
#[derive(Debug, Clone, Copy)]
pub(crate) enum By {
    /// By its own launches.
    Trials(fn(&TrialInput) -> Vec<Trial>),
    /// By evaluating all launches.
    All(fn(Claims, &[Outcome]) -> Option<Breach>),
    /// By an instance that serves operations.
    Warm(WarmTrial),
}

/// How a warm check is tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WarmTrial {
    Hello,
    Repeat,
    Large,
    Stray,
    Cancel,
    Crash,
    HalfClose,
    Bye,
}

/// A testable promise of the contract.
#[derive(Debug)]
pub struct Check {
    /// Stable name.
    pub id: &'static str,
    /// The promise.
    pub promise: &'static str,
    /// The programs that it binds.
    pub binds: Binds,
    /// How to fix a program that breaks it.
    pub hint: &'static str,
    pub(crate) by: By,
}

/// The check that all others depend on.
pub(crate) const FIRST: &str = "payload-variable";
/// The check that also shows which payload forms a program reads.
pub(crate) const DESCRIBES: &str = "describes-itself";
/// The check that shows whether results can be compared.
pub(crate) const SECOND: &str = "same-result";

const fn check(id: &'static str, binds: Binds, promise: &'static str, hint: &'static str, by: By) -> Check {
    Check { id, promise, binds, hint, by }
}

/// Every check, in the order of the report.
pub static CHECKS: &[Check] = &[
    check(
        FIRST,
        Binds::Every,
        "it succeeds with the payload in PAYLOAD",
        "give a payload with which it succeeds; it runs in an empty folder, so use absolute paths of files",
        By::Trials(trials::payload_variable),
    ),
    check(
        SECOND,
        Binds::Every,
        "it returns the same result when the attempt is launched again",
        "keep times, process numbers and random values out of the result",
        By::Trials(trials::same_result),
    ),
    check(
        "payload-compressed",
        Binds::CompressedPayload,
        "it reads a payload in compressed segments",
        "for POP_PAYLOAD_TYPE `compressedEnvVar` join POP_COMPRESSED_PAYLOAD_0, _1, … to the first gap, decode base64, \
         inflate zlib; or leave `compressedEnvVar` out of `payloadForms` in --describe",
        By::Trials(trials::payload_compressed),
    ),
    check(
        "payload-file",
        Binds::PayloadFile,
        "it reads a payload from a file",
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
        "it fails if the payload file is missing, whatever PAYLOAD holds",
        "when a payload file is named and cannot be read, end with status 2 and try nothing else",
        By::Trials(trials::payload_file_unreadable),
    ),
    check(
        "payload-not-json",
        Binds::Payload,
        "it fails with a message if the payload is not JSON",
        "parse the payload; if that fails report `failed` or write to the log, and end with a status other than 0",
        By::Trials(trials::payload_not_json),
    ),
    check(
        "payload-not-utf8",
        Binds::PayloadFile,
        "it fails if the payload file is not UTF-8",
        "decode the file strictly; do not replace bytes",
        By::Trials(trials::payload_not_utf8),
    ),
    check(
        "payload-refused",
        Binds::Every,
        "it fails if it cannot use the payload",
        "validate the payload; report `failed` and end with a status other than 0",
        By::Trials(trials::payload_refused),
    ),
    check(
        "argument-spellings",
        Binds::LaunchData,
        "it accepts every spelling of --payloadFile",
        "accept one dash or two, camel case or kebab case, the value after a space or after `=`",
        By::Trials(trials::argument_spellings),
    ),
    check(
        "argument-over-environment",
        Binds::LaunchData,
        "arguments override the environment",
        "read the arguments first; do not read PAYLOAD if --payloadFile is given",
        By::Trials(trials::argument_over_environment),
    ),
    check(
        "property-file",
        Binds::LaunchData,
        "it reads launch data from the properties file of --propFile",
        "look up payloadFile in the properties if neither arguments nor environment have a payload",
        By::Trials(trials::property_file),
    ),
    check(
        "property-file-missing",
        Binds::LaunchData,
        "it exits with 2 if the named properties file is missing",
        "only default properties files may be missing",
        By::Trials(trials::property_file_missing),
    ),
    check(
        "launch-type-unknown",
        Binds::LaunchData,
        "it exits with 2 if the launch type is unknown",
        "reject any value other than local, docker and kubernetes; do not fall back to the default",
        By::Trials(trials::launch_type_unknown),
    ),
    check(
        DESCRIBES,
        Binds::LaunchData,
        "--describe prints one description and needs no payload",
        "print only one JSON object, with the JSON Schemas `input` and `result` if they are known",
        By::Trials(trials::describes_itself),
    ),
    check(
        "last-progress",
        Binds::Every,
        "it returns the same result with the progress of an earlier attempt",
        "continue from LAST_PROGRESS, or ignore it",
        By::Trials(trials::last_progress),
    ),
    check(
        "last-progress-broken",
        Binds::LaunchData,
        "it ignores a last progress that is not JSON",
        "ignore an unreadable LAST_PROGRESS, with a warning in the log",
        By::Trials(trials::last_progress_broken),
    ),
    check(
        "environment-not-utf8",
        Binds::Every,
        "it ignores foreign variables that are not UTF-8",
        "read variables as bytes, or read only the needed ones",
        By::Trials(trials::environment_not_utf8),
    ),
    check(
        "environment-unusual",
        Binds::Every,
        "it works in any locale and time zone, and without HOME",
        "do not read HOME; do not parse or print by the locale",
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
        "it ends without success if nobody reads its reports",
        "if the final report cannot be written, write so to standard error and end with a status other than 0",
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
        "wait for started processes, or stop them; start no daemons",
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
        "it sends at most one final report, with launch data exactly one",
        "report COMPLETE once, at the very end",
        By::All(overall::final_report),
    ),
    check(
        "report-agrees",
        Binds::Reporting,
        "its final report and exit status agree",
        "end with 0 after `succeeded` and with another status after `failed`",
        By::All(overall::report_agrees),
    ),
];
