//! Descriptions of handlers: frozen with a run, read from files, cached, or printed by their programs.
//!
//! Only [`DescriptionSource::Programs`] starts programs. Commands that only read an agenda use another source, because the
//! registry may come from an untrusted party.

use crate::description_cache::DescriptionCache;
use crate::description_query::query;
use crate::error::with_causes;
use crate::surroundings::Surroundings;
use pop_contract::{DESCRIPTION_LIMIT, Description};
use pop_document::{Fault, Pointer};
use pop_launchers::{Program, read_regular_file};
use pop_registry::{Catalog, Describe, Entry};
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

/// Source of the descriptions of handlers.
#[derive(Debug, Clone, PartialEq)]
pub enum DescriptionSource {
    /// These descriptions, by the ids of entries. Nothing else is read.
    Frozen(BTreeMap<String, Description>),
    /// Files beside the registry, and cached descriptions. No program is started.
    Cached,
    /// Like [`Self::Cached`]; a program without a cached description is started with `--describe`.
    Programs,
}

/// Descriptions that were found, and types without one.
#[derive(Debug, Default)]
pub(crate) struct Descriptions {
    /// The descriptions, by the ids of entries.
    pub(crate) found: BTreeMap<String, Description>,
    /// Types of handlers that only their program could describe.
    pub(crate) undescribed_types: Vec<String>,
}

impl DescriptionSource {
    /// Adds the descriptions of the handlers of these types to the catalogue. A description that cannot be read is a
    /// warning.
    pub(crate) fn add_to_catalog(
        &self,
        catalog: &mut Catalog,
        types: &HashSet<&str>,
        home: Option<&Path>,
        surroundings: &Surroundings,
        faults: &mut Vec<Fault>,
    ) -> Descriptions {
        let mut descriptions = Descriptions::default();
        let wanted = |entry: &&Entry| entry.describe.is_some() && types.contains(entry.name.as_str());
        let entries: Vec<Entry> = catalog.entries().filter(wanted).cloned().collect();
        for entry in entries {
            match self.find(&entry, home, surroundings) {
                Ok(Some(description)) => {
                    catalog.describe(&entry.id, description.clone());
                    descriptions.found.insert(entry.id, description);
                }
                Ok(None) => descriptions.undescribed_types.push(entry.name),
                Err(why) => faults.push(no_description(&entry, &why)),
            }
        }
        descriptions
    }

    /// The description of a handler. `None` if only the program has it and this source does not start programs.
    fn find(
        &self,
        entry: &Entry,
        home: Option<&Path>,
        surroundings: &Surroundings,
    ) -> Result<Option<Description>, String> {
        match (self, &entry.describe) {
            (Self::Frozen(descriptions), _) => Ok(descriptions.get(&entry.id).cloned()),
            (_, None) => Ok(None),
            (_, Some(Describe::File(file))) => from_file(file, home).map(Some),
            (Self::Cached, Some(Describe::Ask)) => {
                let program = program(entry, home)?;
                Ok(DescriptionCache::of(&program, surroundings).and_then(|cache| cache.read()))
            }
            (Self::Programs, Some(Describe::Ask)) => {
                from_program(program(entry, home)?, surroundings).map(Some)
            }
        }
    }
}

fn no_description(entry: &Entry, why: &str) -> Fault {
    let message = format!("the handler of type `{}` has no description: {why}", entry.name);
    let at = Pointer::root().join(&entry.id).join("describe");
    Fault::value("no-description", at, message).warning()
}

fn from_file(file: &str, home: Option<&Path>) -> Result<Description, String> {
    let path = home.map_or_else(|| PathBuf::from(file), |home| home.join(file));
    let text = read_regular_file(&path, DESCRIPTION_LIMIT as u64)
        .map_err(|error| format!("`{}`: {error}", path.display()))?;
    Description::parse(&text).map_err(|error| format!("`{}`: {}", path.display(), with_causes(&error)))
}

/// The program of a handler with the argument `--describe`.
fn program(entry: &Entry, home: Option<&Path>) -> Result<Program, String> {
    let Some(argv) = &entry.command else { return Err("it has no `command` to query".to_owned()) };
    let mut argv = argv.clone();
    argv.push("--describe".to_owned());
    Ok(Program {
        argv,
        home: home.map(Path::to_owned),
        env: entry.env_vars.clone(),
        working_directory: entry.working_directory.as_ref().map(PathBuf::from),
        ..Program::default()
    })
}

/// Starts the program with `--describe`, unless its cached description cannot be stale.
fn from_program(program: Program, surroundings: &Surroundings) -> Result<Description, String> {
    let cache = DescriptionCache::of(&program, surroundings);
    if let Some(description) =
        cache.as_ref().filter(|cache| cache.is_lasting()).and_then(DescriptionCache::read)
    {
        return Ok(description);
    }
    let shown = shlex::try_join(program.argv.iter().map(String::as_str))
        .unwrap_or_else(|_| format!("{:?}", program.argv));
    let text = query(program, surroundings).map_err(|why| format!("`{shown}` {why}"))?;
    let description = Description::parse(&text)
        .map_err(|error| format!("`{shown}` printed invalid output: {}", with_causes(&error)))?;
    if let Some(cache) = cache {
        cache.write(&text);
    }
    Ok(description)
}
