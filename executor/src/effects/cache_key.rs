//! The key of a cached result: the input that the scheduler chose, and the identity of the handler.
//!
//! A wrong hit is worse than none, so the key contains everything that pop can know about the program: the program's
//! file, the files among the arguments, and for `exec` the whole command, the variables and the folder in which the
//! command runs.

use crate::exec_program::ExecProgram;
use crate::files::{Digests, Stamp};
use pop_agenda::{CacheAsk, DeclaredFiles, FilePattern, FileRecord, Plan, PlannedOperation, Serves};
use pop_contract::LaunchType;
use pop_launchers::process::resolve_beside;
use pop_policy::{CacheKey, KeyFiles};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Computes keys.
#[derive(Debug, Clone)]
pub(super) struct CacheKeys {
    on: LaunchType,
    /// The registry's folder, in which relative programs are looked up.
    home: Option<PathBuf>,
    /// The folder in which programs start.
    start: PathBuf,
    digests: Arc<Digests>,
}

/// The declared files of an operation that go into its key.
#[derive(Debug, Clone, Copy)]
pub(super) struct FilesOfKey<'f> {
    pub(super) declared: &'f DeclaredFiles,
    /// The files that it reads.
    pub(super) read: &'f [FileRecord],
}

impl FilesOfKey<'_> {
    fn key(self) -> KeyFiles {
        // a script that may be executed is another one
        let texts: Vec<String> = self
            .read
            .iter()
            .map(|file| format!("{}{}", file.digest, if file.executable { " x" } else { "" }))
            .collect();
        let reads = self.read.iter().zip(&texts).map(|(file, text)| (&*file.path, text.as_str()));
        KeyFiles::new(self.declared.writes.iter().map(ToString::to_string).collect(), reads)
    }
}

impl CacheKeys {
    pub(super) fn new(on: LaunchType, home: Option<PathBuf>, start: PathBuf, digests: Arc<Digests>) -> Self {
        Self { on, home, start, digests }
    }

    /// The key under which a result of `planned` is looked up and stored.
    pub(super) fn key(
        &self,
        plan: &Plan,
        ask: &CacheAsk,
        planned: &PlannedOperation,
        exec: Option<&ExecProgram>,
        files: Option<FilesOfKey<'_>>,
    ) -> StampedKey {
        let text = |text: &str| text.to_owned();
        let mut key = CacheKey::new(&*planned.handler_type, ask.input.clone());
        if let Some(route) = &planned.route {
            key.handler = route.handler.as_deref().map(text);
            key.version = route.version.as_deref().map(text);
        }
        key.action = planned.rare.as_ref().and_then(|rare| rare.action.as_deref()).map(text);
        let writes = files.iter().flat_map(|files| &files.declared.writes);
        let mut program = ProgramOfKey {
            keys: self,
            writes: writes.filter_map(|text| FilePattern::parse(text).ok()).collect(),
            stamps: Vec::new(),
        };
        key.program = program.identity(plan, planned, exec);
        key.files = files.map(FilesOfKey::key);
        StampedKey { key, stamps: program.stamps }
    }
}

/// A key with the stamps of the program and of the files among its arguments.
#[derive(Debug)]
pub(super) struct StampedKey {
    pub(super) key: CacheKey,
    stamps: Vec<(PathBuf, Option<Stamp>)>,
}

impl StampedKey {
    /// A file of the key that was written since the key was computed.
    pub(super) fn written(&self) -> Option<&Path> {
        self.stamps.iter().find(|(path, stamp)| Stamp::of(path) != *stamp).map(|(path, _)| path.as_path())
    }
}

/// Computes the part of a key that identifies a program.
struct ProgramOfKey<'k> {
    keys: &'k CacheKeys,
    /// Files that the operation writes: as arguments they are names, and their contents do not matter.
    writes: Vec<FilePattern>,
    stamps: Vec<(PathBuf, Option<Stamp>)>,
}

impl ProgramOfKey<'_> {
    /// The identity of the handler: its program or image, and its settings besides the payload.
    fn identity(
        &mut self,
        plan: &Plan,
        planned: &PlannedOperation,
        exec: Option<&ExecProgram>,
    ) -> Option<String> {
        let uses_host_programs = self.keys.on.capabilities().uses_host_programs;
        let made_of = match &planned.serves {
            Serves::Program(entry) if uses_host_programs => {
                let folder = entry.working_directory.as_deref().unwrap_or_default();
                let argv = entry.command.clone().unwrap_or_default();
                let home = self.keys.home.clone();
                let program = argv.first().and_then(|program| self.digest(program, folder, home.as_deref()));
                json!([program, self.files(&argv, folder), argv, entry.properties, entry.env_vars])
            }
            Serves::Program(entry) => json!([entry.image(), entry.properties, entry.env_vars]),
            Serves::Exec => {
                let exec = exec?;
                let folder = exec.working_directory.as_deref().unwrap_or_default();
                let run_in = self.keys.start.join(folder);
                let image = exec.image.clone().or_else(|| plan.exec_pod().image.clone());
                let program = exec.command.first().filter(|_| uses_host_programs);
                let program = program.and_then(|program| self.digest(program, folder, None));
                let files = self.files(&exec.command, folder);
                let image = image.filter(|_| !uses_host_programs);
                json!([program, image, files, exec.command, exec.env, exec.stdin, run_in])
            }
            Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => {
                return Some(env!("CARGO_PKG_VERSION").to_owned());
            }
        };
        Some(blake3::hash(made_of.to_string().as_bytes()).to_hex().to_string())
    }

    /// The digests of the files that arguments name; a script is its interpreter's argument.
    fn files(&mut self, argv: &[String], folder: &str) -> Vec<Option<String>> {
        argv.iter().skip(1).map(|argument| self.file_digest(argument, folder)).collect()
    }

    /// The digest of the program's file, if there is such a file.
    fn digest(&mut self, program: &str, folder: &str, home: Option<&Path>) -> Option<String> {
        let folder = self.keys.start.join(folder);
        let path = std::env::var_os("PATH");
        self.digest_of(resolve_beside(home, Path::new(program), &folder, path.as_deref()).ok()?)
    }

    /// The digest of the file that an argument names, also as `--config=FILE`; none if it names no file, or one that the
    /// operation writes.
    fn file_digest(&mut self, argument: &str, folder: &str) -> Option<String> {
        let value = argument.split_once('=').map_or(argument, |(_, value)| value);
        let folder = self.keys.start.join(folder);
        let names = [argument, value].into_iter().filter(|name| !name.is_empty());
        let path = names.map(|name| folder.join(name)).find(|path| path.is_file())?;
        let shown = [path.strip_prefix(&folder).unwrap_or(&path), &path].map(Path::to_string_lossy);
        let is_written = |pattern: &FilePattern| shown.iter().any(|path| pattern.covers(path));
        if self.writes.iter().any(is_written) { None } else { self.digest_of(path) }
    }

    fn digest_of(&mut self, path: PathBuf) -> Option<String> {
        let digest = self.keys.digests.digest(&path).ok();
        let stamp = Stamp::of(&path);
        self.stamps.push((path, stamp));
        digest
    }
}
