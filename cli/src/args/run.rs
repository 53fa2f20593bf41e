//! Arguments of `pop run` and `pop resume`.

use super::inputs::PlanningArgs;
use super::resources::ResourceArgs;
use super::shared::{GoArgs, LaunchArgs, RunsFolder, StrictArg};
use crate::completion;
use clap::Args;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use std::path::PathBuf;

/// `pop run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// Agenda file (JSON or YAML), or - for standard input
    #[arg(value_name = "AGENDA", conflicts_with = "payload_file")]
    #[arg(add = ArgValueCompleter::new(completion::agendas()))]
    pub(crate) agenda: Option<PathBuf>,
    /// Name of the run [default: its start time]. An existing run of this name is resumed; if it has ended, pop only returns
    /// its exit code
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub(crate) run_id: Option<String>,
    /// Exit with 0 also after a failure of the run (codes 10 to 13), for platforms that restart a failed program
    #[arg(long)]
    pub(crate) exit_zero: bool,
    #[command(flatten)]
    pub(crate) go: GoArgs,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    #[command(flatten)]
    pub(crate) strict: StrictArg,
    #[command(flatten)]
    pub(crate) plan: PlanningArgs,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// `pop resume`
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs))]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) go: GoArgs,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// Checks a run id: it names a folder, and is a label value on containers and pods.
pub(super) fn run_id(text: &str) -> Result<String, String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric();
    let is_id = text.len() <= 63
        && text.starts_with(is_plain)
        && text.ends_with(is_plain)
        && text.chars().all(|letter| is_plain(letter) || "-_.".contains(letter));
    match text {
        "last" => Err("`last` is reserved for the newest run".to_owned()),
        _ if is_id => Ok(text.to_owned()),
        _ => Err(
            "use up to 63 letters (a to z), digits, `-`, `_` and `.`, with a letter or digit at both ends"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f35_run_id_is_a_folder_name_and_a_label_value() {
        let longest = "x".repeat(63);
        for id in ["pop-hello", "A.b_c-1", "7", &longest] {
            assert_eq!(run_id(id), Ok(id.to_owned()));
        }
        let too_long = "x".repeat(64);
        for id in ["", "last", "..", ".a", "a.", "-a", "a/b", "a b", "ä", "a\0", &too_long] {
            assert!(run_id(id).is_err(), "{id}");
        }
    }
}
