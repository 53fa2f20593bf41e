//! Assembles runs. It turns agenda, registry, descriptors and settings into a plan and frozen inputs, and a run folder
//! into a run that can be executed, read or resumed.
//!
//! The command line, services and tests share this crate, so the same code checks new and resumed runs. The crate prints
//! nothing, exits no process and reads no environment variable by itself: [`Surroundings`] has the variables and the
//! current folder. Warnings are returned.
//!
//! ```
//! use pop_assembly::{RunRequest, RunStart, RunTexts, Surroundings, TextFaults};
//! use pop_field_retriever::LaunchType;
//!
//! let runs = tempfile::tempdir()?;
//! let mut faults = TextFaults::default();
//! let agenda = br#"{"operations": [{"name": "a", "type": "sample"}]}"#;
//! let texts = RunTexts::from_bytes(("a.json", agenda), None, runs.path(), &mut faults);
//! let request = RunRequest::new(texts, LaunchType::Local);
//! let assembly = request.assemble(&Surroundings::default(), &mut faults).ok_or("the agenda has faults")?;
//! let run = assembly.begin(RunStart::new(runs.path(), "cid-1".to_owned()))?;
//! assert_eq!(run.scheduler.plan().len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod adopted_progress;
mod agenda_files;
mod assembly;
mod changed_texts;
mod dead_letter_replay;
mod description_cache;
mod description_query;
mod descriptions;
mod descriptor_folder;
mod error;
mod known_handlers;
mod machine;
mod piped;
mod prepared_run;
mod program_lookup;
mod replayed_letters;
mod rerun;
mod run_id;
mod run_identity;
mod run_request;
mod run_texts;
mod saved_run;
mod secret_lookup;
mod served_handler;
mod source_files;
mod surroundings;
mod text_faults;
mod text_file;
mod text_files;

pub use adopted_progress::AdoptedProgress;
pub use assembly::{Assembly, ParentSnapshot, RunStart};
pub use changed_texts::ChangedTexts;
pub use dead_letter_replay::DeadLetterReplay;
pub use descriptions::DescriptionSource;
pub use descriptor_folder::DescriptorFolder;
pub use error::AssemblyError;
pub use known_handlers::KnownHandlers;
pub use machine::machine_resources;
pub use prepared_run::PreparedRun;
pub use replayed_letters::ReplayedLetters;
pub use rerun::{Rerun, RerunAgenda, RerunChanges, RerunSelection};
pub use run_identity::preview_setting;
pub use run_request::RunRequest;
pub use run_texts::RunTexts;
pub use saved_run::{ResumableRun, ResumeOptions, SavedRun, check_same_request};
pub use served_handler::{NotServable, ServedHandler};
pub use surroundings::Surroundings;
pub use text_faults::TextFaults;
pub use text_file::read_text;
pub use text_files::{AgendaOrigin, TextFiles};
