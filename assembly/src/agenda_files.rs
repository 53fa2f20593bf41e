//! The agendas that operations of type `agenda` name: files beside the agenda that names them.

use crate::text_file::read_text;
use pop_agenda::{AgendaFile, AgendaFiles};
use pop_document::{Fault, Site, Source};
use std::collections::BTreeMap;
use std::path::Path;

/// Maximum number of agendas that one agenda uses.
const MOST_FILES: usize = 1_000;

/// Reads the files that an agenda names, and those that these name. Relative names are looked up in `folder`. A file that
/// cannot be read is a fault of the agenda that names it.
pub(crate) fn read_files(
    agenda: &Source,
    folder: &Path,
    faults: &mut Vec<Fault>,
) -> BTreeMap<String, Source> {
    let mut files: BTreeMap<String, Source> = BTreeMap::new();
    let mut open = vec![agenda.clone()];
    while let Some(source) = open.pop() {
        let Some(root) = may_name_files(&source).then(|| source.read().ok()).flatten() else { continue };
        let is_main = source.name() == agenda.name();
        for (name, at) in AgendaFiles::named(source.name(), &root) {
            if files.contains_key(&name) || name == agenda.name() {
                continue;
            }
            let mut fail = |fault: Fault| {
                let fault = Fault { site: Site::Value(at.clone()), ..fault };
                faults.push(if is_main { fault } else { fault.in_document(source.name()) });
            };
            if files.len() == MOST_FILES {
                fail(Fault::new(
                    "too-large",
                    Site::Whole,
                    format!("an agenda uses at most {MOST_FILES} others"),
                ));
                return files;
            }
            let read = read_text(&folder.join(&name), "agenda");
            match read.and_then(|bytes| Source::new(name.as_str(), &bytes)) {
                Ok(read) => {
                    open.push(read.clone());
                    files.insert(name, read);
                }
                Err(fault) => fail(fault),
            }
        }
    }
    files
}

/// Adds the named files that could not be read; they have faults already.
pub(crate) fn add_unread(files: &mut AgendaFiles, named: &[String], sources: &BTreeMap<String, Source>) {
    for name in named.iter().filter(|name| !sources.contains_key(*name)) {
        files.add(name, None);
    }
}

/// Adds the documents of these files, and the files that they name and that could not be read.
pub(crate) fn parse_files(
    files: &mut AgendaFiles,
    sources: &BTreeMap<String, Source>,
    faults: &mut Vec<Fault>,
) {
    for (name, source) in sources {
        match source.read() {
            Ok(root) => {
                let named = AgendaFiles::named(name, &root).into_iter().map(|(name, _)| name);
                add_unread(files, &named.collect::<Vec<_>>(), sources);
                let spellings = source.spellings(&root);
                files.add(name, Some(AgendaFile { root, spellings }));
            }
            Err(found) => {
                faults.extend(found.into_iter().map(|fault| fault.in_document(name)));
                files.add(name, None);
            }
        }
    }
}

/// Whether a text has a key `agenda`. Other texts are not read twice.
fn may_name_files(source: &Source) -> bool {
    let text = source.text();
    text.match_indices("agenda").any(|(at, word)| {
        let rest = text[at + word.len()..].trim_start_matches(['"', '\'']).trim_start();
        rest.starts_with(':')
    })
}
