//! Caches the output of `--describe` in the caller's cache folder, by the digest of the program.

use crate::surroundings::Surroundings;
use pop_contract::{DESCRIPTION_LIMIT, Description};
use pop_launchers::process::resolve_beside;
use pop_launchers::{Program, open_regular_file, read_regular_file};
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Largest program file that is digested, in bytes.
const PROGRAM_LIMIT: u64 = 512 * 1024 * 1024;

/// The cache file of one description.
pub(crate) struct DescriptionCache {
    file: PathBuf,
    is_lasting: bool,
}

impl DescriptionCache {
    /// The cache file of a program's description. Its name is a digest of the program's file, its arguments, the files
    /// among them, and its variables. None if there is no cache folder or no such program.
    pub(crate) fn of(program: &Program, surroundings: &Surroundings) -> Option<Self> {
        let caches = surroundings
            .folder_variable("XDG_CACHE_HOME")
            .map(Path::to_owned)
            .or_else(|| Some(surroundings.folder_variable("HOME")?.join(".cache")))?;
        let name = program.argv.first()?;
        let folder = &surroundings.folder;
        let folder =
            program.working_directory.as_ref().map_or_else(|| folder.clone(), |own| folder.join(own));
        let file =
            resolve_beside(program.home.as_deref(), Path::new(name), &folder, surroundings.path()).ok()?;
        let mut digest = blake3::Hasher::new();
        let is_compiled = digest_file(&mut digest, &file)?;
        // the output of an interpreter depends on the files among its arguments
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

    /// Whether the description depends on the program's file alone. The description of a script or an interpreter may
    /// depend on other files, so `pop run` starts such a program each time.
    pub(crate) fn is_lasting(&self) -> bool {
        self.is_lasting
    }

    /// The description that was stored last.
    pub(crate) fn read(&self) -> Option<Description> {
        Description::parse(&read_regular_file(&self.file, DESCRIPTION_LIMIT as u64).ok()?).ok()
    }

    /// Stores a description. After a failed write the program is queried again next time.
    pub(crate) fn write(&self, text: &[u8]) {
        let part = self.file.with_extension(std::process::id().to_string());
        let folder = self.file.parent();
        let written = folder.map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&part, text));
        if written.and_then(|()| fs::rename(&part, &self.file)).is_err() {
            fs::remove_file(&part).ok();
        }
    }
}

/// Digests a file. True if it is a compiled program (ELF).
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
