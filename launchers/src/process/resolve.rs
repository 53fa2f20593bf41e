//! Resolves a program name to a file, once and before the program is started.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

/// Search path of `execvp` when `PATH` is not set.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// Reason why a program name does not lead to a file that can be started.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The file does not exist.
    #[error("program `{}` not found{}", .program.display(), places(.looked_in))]
    NotFound {
        /// The name that the caller passed.
        program: PathBuf,
        /// The directories of `PATH` that were searched, or the one file that was looked for.
        looked_in: Vec<PathBuf>,
    },
    /// The file exists but is not executable, or is not a regular file.
    #[error("`{}` is not executable", .path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
    },
    /// The file is a script whose interpreter does not exist.
    #[error("`{}` is a script for `{}`, which does not exist{}", .path.display(), shown(.interpreter), hint(.interpreter))]
    NoInterpreter {
        /// The script.
        path: PathBuf,
        /// The interpreter named in its first line.
        interpreter: PathBuf,
    },
    /// The file is a script whose `#!` follows a byte order mark.
    #[error("`{}` is a script that begins with a byte order mark (EF BB BF), so its `#!` has no effect; remove the mark", .path.display())]
    ByteOrderMark {
        /// The script.
        path: PathBuf,
    },
    /// The path is a directory.
    #[error("`{}` is a directory, not a program", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
    },
    /// The file could not be inspected.
    #[error("cannot inspect `{}`", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

/// A path with its control characters escaped.
fn shown(path: &Path) -> String {
    String::from_utf8_lossy(path.as_os_str().as_bytes()).escape_debug().to_string()
}

fn hint(interpreter: &Path) -> &'static str {
    let has_return = interpreter.as_os_str().as_bytes().ends_with(b"\r");
    if has_return { "; its lines end with a carriage return; save it with Unix line ends" } else { "" }
}

fn places(looked_in: &[PathBuf]) -> String {
    let places: Vec<_> = looked_in.iter().map(|place| format!("`{}`", place.display())).collect();
    if places.is_empty() { String::new() } else { format!(", looked in {}", places.join(", ")) }
}

/// Finds the file that `program` names: in the folder `home` of the registry if it is there, else like [`resolve`].
pub fn resolve_beside(
    home: Option<&Path>,
    program: &Path,
    working_directory: &Path,
    path_variable: Option<&OsStr>,
) -> Result<PathBuf, ResolveError> {
    match home.map(|home| resolve(&home.join(program), working_directory, None)) {
        Some(Ok(found)) => Ok(found),
        Some(Err(_)) | None => resolve(program, working_directory, path_variable),
    }
}

/// Finds the file that `program` names.
///
/// A name with a slash is a path, relative to `working_directory`. Any other name is looked up in the
/// directories of `path_variable`: the value of `PATH`, which this crate does not read itself. The result is
/// absolute if `working_directory` is.
pub fn resolve(
    program: &Path,
    working_directory: &Path,
    path_variable: Option<&OsStr>,
) -> Result<PathBuf, ResolveError> {
    let name = program.as_os_str().as_bytes();
    if name.is_empty() {
        return Err(ResolveError::NotFound { program: program.to_owned(), looked_in: Vec::new() });
    }
    if name.contains(&b'/') {
        let path = working_directory.join(program);
        return match look(&path) {
            Ok(()) => Ok(path),
            Err(Refusal::Missing) => {
                Err(ResolveError::NotFound { program: program.to_owned(), looked_in: vec![path] })
            }
            Err(refusal) => Err(refusal.into_error(path)),
        };
    }
    let mut looked_in = Vec::new();
    let mut first_refused = None;
    for directory in path_variable.unwrap_or(OsStr::new(DEFAULT_PATH)).as_bytes().split(|byte| *byte == b':')
    {
        // POSIX: an empty entry means the working directory
        let directory = working_directory.join(OsStr::from_bytes(directory));
        let path = directory.join(program);
        match look(&path) {
            Ok(()) => return Ok(path),
            Err(Refusal::Missing) => {}
            Err(refusal) => {
                first_refused.get_or_insert((refusal, path));
            }
        }
        looked_in.push(directory);
    }
    Err(match first_refused {
        Some((refusal, path)) => refusal.into_error(path),
        None => ResolveError::NotFound { program: program.to_owned(), looked_in },
    })
}

enum Refusal {
    Missing,
    Directory,
    NotExecutable,
    NoInterpreter(PathBuf),
    ByteOrderMark,
    Unreadable(io::Error),
}

impl Refusal {
    fn into_error(self, path: PathBuf) -> ResolveError {
        match self {
            Self::Missing => ResolveError::NotFound { program: path, looked_in: Vec::new() },
            Self::Directory => ResolveError::Directory { path },
            Self::NotExecutable => ResolveError::NotExecutable { path },
            Self::NoInterpreter(interpreter) => ResolveError::NoInterpreter { path, interpreter },
            Self::ByteOrderMark => ResolveError::ByteOrderMark { path },
            Self::Unreadable(source) => ResolveError::Unreadable { path, source },
        }
    }
}

fn look(path: &Path) -> Result<(), Refusal> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(Refusal::Directory),
        Ok(metadata) if !metadata.is_file() => Err(Refusal::NotExecutable),
        Ok(_) => {
            access(path, Access::EXEC_OK).map_err(|_| Refusal::NotExecutable)?;
            look_at_head(path)
        }
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Err(Refusal::Missing)
        }
        Err(error) => Err(Refusal::Unreadable(error)),
    }
}

/// Checks a script's first line; the kernel would only report that a file is missing.
fn look_at_head(path: &Path) -> Result<(), Refusal> {
    let mut head = [0; 256];
    let Ok(count) = File::open(path).and_then(|mut file| file.read(&mut head)) else { return Ok(()) };
    if head[..count].starts_with(b"\xef\xbb\xbf#!") {
        return Err(Refusal::ByteOrderMark);
    }
    let Some(line) = head[..count].strip_prefix(b"#!") else { return Ok(()) };
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    // like the kernel: only blanks and tabs separate, a carriage return is part of the name
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    let Some(name) = words.next() else { return Ok(()) };
    let interpreter = Path::new(OsStr::from_bytes(name));
    // a relative interpreter depends on the start folder, which is not known here
    if name.starts_with(b"/") && !interpreter.exists() {
        return Err(Refusal::NoInterpreter(interpreter.to_owned()));
    }
    // `env` looks up this name; no program name ends with a carriage return
    let argument = words.next().unwrap_or_default();
    if interpreter.file_name() == Some(OsStr::new("env")) && argument.ends_with(b"\r") && argument[0] != b'-'
    {
        return Err(Refusal::NoInterpreter(PathBuf::from(OsStr::from_bytes(argument))));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    /// Creates `a/tool` (not executable), `b/tool`, `a/folder/`, `a/plain` in a new directory.
    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (file, mode) in [("a/tool", 0o644), ("b/tool", 0o755), ("a/plain", 0o644), ("a/folder/x", 0o755)]
        {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "#!/bin/sh\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        root
    }

    fn found(root: &Path, program: &str, path_variable: &str) -> Result<String, String> {
        resolve(Path::new(program), root, Some(OsStr::new(path_variable)))
            .map(|path| path.strip_prefix(root).unwrap().display().to_string())
            .map_err(|error| error.to_string().replace(root.to_str().unwrap(), "$ROOT"))
    }

    #[test]
    fn program_names_resolve_to_files() {
        let root = tree();
        let root = root.path();
        let absolute = format!("{}/b", root.display());
        let cases = [
            ("b/tool", "", Ok("b/tool")),
            ("./b/tool", "", Ok("b/tool")),
            ("tool", "a:b", Ok("b/tool")),
            ("tool", &absolute, Ok("b/tool")),
            ("x", "a:a/folder:b", Ok("a/folder/x")),
            ("tool", "a", Err("`$ROOT/a/tool` is not executable")),
            ("folder", "a", Err("`$ROOT/a/folder` is a directory, not a program")),
            ("a/folder", "b", Err("`$ROOT/a/folder` is a directory, not a program")),
            ("a/plain", "b", Err("`$ROOT/a/plain` is not executable")),
            ("a/none", "b", Err("program `a/none` not found, looked in `$ROOT/a/none`")),
            ("a/plain/x", "b", Err("program `a/plain/x` not found, looked in `$ROOT/a/plain/x`")),
            ("none", "a:b", Err("program `none` not found, looked in `$ROOT/a`, `$ROOT/b`")),
            ("", "a:b", Err("program `` not found")),
        ];
        for (program, path_variable, expected) in cases {
            let expected = expected.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(found(root, program, path_variable), expected, "{program} on {path_variable}");
        }
    }

    #[test]
    fn empty_path_entry_is_the_working_directory() {
        let root = tree();
        assert_eq!(found(&root.path().join("b"), "tool", ""), Ok("tool".to_owned()));
    }

    #[test]
    fn missing_path_variable_searches_system_directories() {
        assert!(resolve(Path::new("sh"), Path::new("/"), None).is_ok());
    }

    #[test]
    fn f25_missing_interpreter_is_rejected_with_both_names() {
        let root = tree();
        let script = root.path().join("b/tool");
        for (line, is_good) in [
            ("#!/no/such/python3 -u\n", false),
            ("#! /no/such/python3", false),
            ("#!/bin/sh -e\n", true),
            ("#!bin/sh\n", true),
            ("", true),
        ] {
            fs::write(&script, line).unwrap();
            let wanted = "`$ROOT/b/tool` is a script for `/no/such/python3`, which does not exist";
            let wanted = if is_good { Ok("b/tool".to_owned()) } else { Err(wanted.to_owned()) };
            assert_eq!(found(root.path(), "tool", "b"), wanted, "{line}");
            assert_eq!(found(root.path(), "b/tool", ""), wanted, "{line}");
        }
    }

    #[test]
    fn fr_a7_carriage_return_in_first_line_is_named() {
        let root = tree();
        let script = root.path().join("b/tool");
        let hint = "; its lines end with a carriage return; save it with Unix line ends";
        for (line, wanted) in [
            ("#!/bin/sh\r\necho\r\n", format!("`$ROOT/b/tool` is a script for `/bin/sh\\r`, which does not exist{hint}")),
            (
                "#!/usr/bin/env python3\r\n",
                format!("`$ROOT/b/tool` is a script for `python3\\r`, which does not exist{hint}"),
            ),
            (
                "\u{feff}#!/bin/sh\n",
                "`$ROOT/b/tool` is a script that begins with a byte order mark (EF BB BF), so its `#!` has no effect; \
                 remove the mark"
                    .to_owned(),
            ),
        ] {
            fs::write(&script, line).unwrap();
            assert_eq!(found(root.path(), "tool", "b"), Err(wanted), "{line:?}");
        }
        fs::write(&script, "#!/bin/sh -e\r\n").unwrap();
        assert_eq!(found(root.path(), "tool", "b"), Ok("b/tool".to_owned()));
    }

    #[test]
    fn other_errors_carry_their_reason() {
        let name = "x".repeat(300);
        let error = resolve(&Path::new("/").join(name), Path::new("/"), None).unwrap_err();
        assert!(matches!(error, ResolveError::Unreadable { .. }), "{error:?}");
    }
}
