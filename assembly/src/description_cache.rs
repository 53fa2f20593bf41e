//! Answers that programs gave to `--describe`, each under the digest of the program, in the caller's cache folder.

use crate::surroundings::Surroundings;
use pop_contract::{DESCRIPTION_LIMIT, Description};
use pop_launchers::process::resolve;
use pop_launchers::{Program, open_regular_file, read_regular_file};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The largest file of a program that is digested, in bytes.
const PROGRAM_LIMIT: u64 = 512 * 1024 * 1024;

/// The place of one answer.
pub(crate) struct DescriptionCache {
    file: PathBuf,
    is_lasting: bool,
}

impl DescriptionCache {
    /// The place for the answer of a program, under the digest of its file, of the files among its arguments, and of what
    /// it is started with. None if there is no cache folder, or no such file.
    pub(crate) fn of(program: &Program, surroundings: &Surroundings) -> Option<Self> {
        let caches = surroundings
            .folder_variable("XDG_CACHE_HOME")
            .map(Path::to_owned)
            .or_else(|| Some(surroundings.folder_variable("HOME")?.join(".cache")))?;
        let name = program.argv.first()?;
        let folder = &surroundings.folder;
        let folder =
            program.working_directory.as_ref().map_or_else(|| folder.clone(), |own| folder.join(own));
        let beside = program.home.as_ref().and_then(|home| resolve(&home.join(name), &folder, None).ok());
        let file = beside.or_else(|| resolve(Path::new(name), &folder, surroundings.path()).ok())?;
        let mut digest = blake3::Hasher::new();
        let is_compiled = digest_file(&mut digest, &file)?;
        // what an interpreter answers comes from the files that it is told of
        let (_, own) = program.argv.split_first()?;
        for argument in own {
            digest.update(format!("{argument}\0").as_bytes());
            let path = folder.join(argument);
            if path.is_file() {
                digest_file(&mut digest, &path)?;
            }
        }
        for (name, value) in &program.env {
            digest.update(format!("{name}={value}\0").as_bytes());
        }
        let file = caches.join("pop/descriptions").join(format!("{}.json", digest.finalize().to_hex()));
        Some(Self { file, is_lasting: is_compiled && program.argv.len() == 2 })
    }

    /// Whether the answer stays the same for as long as the program does. What a script or an interpreter answers may
    /// come from other files, so whoever may start it asks again.
    pub(crate) fn is_lasting(&self) -> bool {
        self.is_lasting
    }

    /// The answer that was given last.
    pub(crate) fn read(&self) -> Option<Description> {
        Description::parse(&read_regular_file(&self.file, DESCRIPTION_LIMIT as u64).ok()?).ok()
    }

    /// Keeps an answer. One that cannot be kept is asked for again.
    pub(crate) fn write(&self, text: &[u8]) {
        let part = self.file.with_extension(std::process::id().to_string());
        let folder = self.file.parent();
        let written = folder.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&part, text));
        if written.and_then(|()| fs::rename(&part, &self.file)).is_err() {
            fs::remove_file(&part).ok();
        }
    }
}

/// Digests a file, and tells whether it is a compiled program.
fn digest_file(digest: &mut blake3::Hasher, path: &Path) -> Option<bool> {
    let file = open_regular_file(path).ok()?;
    let length = file.metadata().ok()?.len();
    if length > PROGRAM_LIMIT {
        return None;
    }
    let mut first = [0; 4];
    let is_compiled = file.read_exact_at(&mut first, 0).is_ok() && first == *b"\x7fELF";
    digest.update(&length.to_le_bytes()).update_reader(file.take(PROGRAM_LIMIT)).ok()?;
    Some(is_compiled)
}
