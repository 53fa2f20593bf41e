//! `pop new`: creates the files of a new handler, all or none.

use crate::args::{NewArgs, NewKind, NewLanguage};
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_scaffold::{Language, Name, NewFile, Project, Toolkit};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(crate) fn new(args: &NewArgs) -> Result<u8, CommandError> {
    let name = Name::parse(&args.name).map_err(|error| {
        let error_without_hint = CommandError::new(Kind::Usage, error.to_string());
        match error.near() {
            Some(near) => error_without_hint.hint(format!("use `{near}`")),
            None => error_without_hint,
        }
    })?;
    let language = match args.lang {
        NewLanguage::Rust => Language::Rust,
        NewLanguage::Python => Language::Python,
        NewLanguage::Shell => Language::Shell,
    };
    let kind = match args.kind {
        NewKind::Handler => pop_scaffold::Kind::Handler(language),
        NewKind::Operator => match language {
            Language::Rust => pop_scaffold::Kind::RustOperator,
            Language::Python => pop_scaffold::Kind::PythonOperator,
            Language::Shell => {
                let message = "`--kind operator` is for `--lang rust` and `--lang python`";
                return Err(CommandError::new(Kind::Usage, message));
            }
        },
        _ if language != Language::Rust => {
            let message = "`--kind content`, `bind` and `system` are for `--lang rust`";
            let hint =
                "docs/formats/reports.md defines payload and result of such a handler for any language";
            return Err(CommandError::new(Kind::Usage, message).hint(hint));
        }
        NewKind::Content => pop_scaffold::Kind::Content,
        NewKind::Bind => pop_scaffold::Kind::Bind,
        NewKind::System => pop_scaffold::Kind::System,
    };
    let toolkit = match &args.toolkit {
        Some(_) if language != Language::Rust => {
            let message = "`--toolkit` is for `--lang rust`: other handlers need no toolkit";
            return Err(CommandError::new(Kind::Usage, message));
        }
        Some(given) => Some(toolkit(given)?),
        None => None,
    };
    if !args.into.is_dir() {
        let message = format!("`{}` is not a folder; nothing was written", args.into.display());
        return Err(
            CommandError::new(Kind::Usage, message).hint("create it, or pass another folder with `--into`")
        );
    }
    let folder = args.into.join(name.as_str());
    let folder = folder.strip_prefix(".").unwrap_or(&folder);
    // a dangling link counts, too
    if folder.symlink_metadata().is_ok() {
        let message = format!("`{}` exists already; nothing was written", folder.display());
        return Err(CommandError::new(Kind::Usage, message).hint(existing_content(folder)));
    }
    let files = Project { name, kind, toolkit }.files();
    write(&args.into, folder, &files).map_err(|error| {
        let message = format!("cannot create `{}`: {error}; nothing was written", folder.display());
        CommandError::new(Kind::Usage, message)
    })?;
    for file in &files {
        ui::print(&format!("{}\n", folder.join(file.path).display()));
    }
    ui::say(&format!("next steps: see `{}`", folder.join("README.md").display()));
    Ok(0)
}

/// Parses `--toolkit`: a version begins with a digit and has no `/`; anything else is the folder of a checkout.
fn toolkit(given: &str) -> Result<Toolkit, CommandError> {
    if given.starts_with(|first: char| first.is_ascii_digit()) && !given.contains('/') {
        return Ok(Toolkit::Version(given.to_owned()));
    }
    let package = Path::new(given).join("handler-base");
    if !package.join("Cargo.toml").is_file() {
        let message = format!("`{given}` is not a checkout of pop: it has no `handler-base/Cargo.toml`");
        let hint = "pass the folder of a checkout, or a version such as 0.1.0";
        return Err(CommandError::new(Kind::Usage, message).hint(hint));
    }
    // an absolute path, because the project may be anywhere; UTF-8, because the manifest is text
    match fs::canonicalize(given)?.into_os_string().into_string() {
        Ok(path) => Ok(Toolkit::Folder(path)),
        Err(path) => {
            let message =
                format!("`{}` is not UTF-8: a manifest cannot name it", PathBuf::from(path).display());
            Err(CommandError::new(Kind::Usage, message))
        }
    }
}

/// Hint that lists some of the files in an existing folder.
fn existing_content(folder: &Path) -> String {
    const SHOWN: usize = 5;
    let Ok(entries) = fs::read_dir(folder) else {
        return "it is not a folder; choose another name, or move it".to_owned();
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| format!("`{}`", entry.file_name().display())).collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    if more > 0 {
        names.push(format!("{more} more"));
    }
    match names.as_slice() {
        [] => "it is empty; choose another name, or remove it".to_owned(),
        _ => format!("it contains {}; choose another name, or move it", names.join(", ")),
    }
}

/// Writes the files into a temporary folder next to the target, then renames it: all files appear at once.
fn write(into: &Path, folder: &Path, files: &[NewFile]) -> io::Result<()> {
    let unfinished = tempfile::Builder::new().prefix(".pop-new.").tempdir_in(into)?;
    let made = unfinished.path().join("made");
    fs::create_dir(&made)?;
    for file in files {
        let path = made.join(file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&path, &file.text)?;
        if file.is_executable {
            let mut mode = fs::metadata(&path)?.permissions();
            // everyone who may read it may run it
            mode.set_mode(mode.mode() | (mode.mode() & 0o444) >> 2);
            fs::set_permissions(&path, mode)?;
        }
    }
    fs::rename(&made, folder)
}
