//! Reloading a catalog: new, changed and removed handlers. If a file now has errors, the earlier version of it stays in
//! effect.

use crate::catalog::{Catalog, read};
use crate::descriptor::Descriptor;
use crate::entry::Entry;
use pop_document::{Fault, Source};
use std::fmt;

/// Change of one handler by a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// The handler is new.
    New,
    /// The handler has changed.
    Changed,
    /// The handler was removed.
    Gone,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Gone => "gone",
        })
    }
}

/// Result of a reload.
#[derive(Debug, Clone)]
pub struct ReloadReport {
    /// The new catalog.
    pub catalog: Catalog,
    /// Ids of new, changed and removed handlers.
    pub changes: Vec<(String, Change)>,
}

impl Catalog {
    /// Reads registry and descriptors again. If a file now has errors, they are reported and the earlier version stays
    /// in effect.
    pub fn reload(
        &self,
        registry: Option<&Source>,
        descriptors: Vec<Descriptor>,
        faults: &mut Vec<Fault>,
    ) -> ReloadReport {
        let mut found = Vec::new();
        let mut new = read(registry, &mut found);
        if found.iter().any(Fault::is_error) {
            new = self.registry.clone();
        }
        faults.extend(found);
        let or_earlier = |new: Descriptor| {
            let mut earlier = self.descriptors.iter().filter(|earlier| earlier.name() == new.name());
            let earlier = earlier.find(|earlier| earlier.is_enabled());
            match earlier.filter(|_| new.is_faulty()) {
                Some(earlier) => earlier.with_faults_of(new),
                None => new,
            }
        };
        let catalog = Self::of(new, descriptors.into_iter().map(or_earlier).collect(), faults);
        let changes = changes(self, &catalog);
        ReloadReport { catalog, changes }
    }
}

/// The differences between two catalogs, sorted by id. Descriptions are loaded later and do not count.
fn changes(old: &Catalog, new: &Catalog) -> Vec<(String, Change)> {
    let own = |entry: &Entry| Entry { description: None, command: declared_command(entry), ..entry.clone() };
    let mut changes: Vec<(String, Change)> = old
        .entries()
        .filter(|entry| new.handler(&entry.id).is_none())
        .map(|entry| (entry.id.clone(), Change::Gone))
        .collect();
    changes.extend(new.entries().filter_map(|entry| match old.handler(&entry.id) {
        None => Some((entry.id.clone(), Change::New)),
        Some(before) => (own(before) != own(entry)).then(|| (entry.id.clone(), Change::Changed)),
    }));
    changes.sort_unstable();
    changes
}

/// The command as declared, before its program was located.
fn declared_command(entry: &Entry) -> Option<Vec<String>> {
    match &entry.descriptor {
        Some(fields) => Some(vec![fields.class.clone()]),
        None => entry.command.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptor(name: &str, text: &str) -> Descriptor {
        Descriptor::read(Source::ini(format!("conf.d/{name}.conf"), text.as_bytes()).unwrap())
    }

    fn tar(more: &str) -> String {
        format!("[main]\nenabled=1\n[types]\ncontent=tar\n[tar]\nclass=x\n{more}")
    }

    #[test]
    fn u9_a_reload_keeps_the_earlier_version_of_a_faulty_file() {
        let registry = |text: &str| Source::new("r.json", text.as_bytes()).unwrap();
        let good = registry(r#"{"a": {"command": ["a"]}, "b": {"command": ["b"]}, "c": {"command": ["c"]}}"#);
        let mut faults = Vec::new();
        let unchanged = descriptor("kept", &tar(""));
        let first = Catalog::assemble(Some(&good), vec![unchanged.clone()], &mut faults);
        let lines = |report: &ReloadReport| -> Vec<String> {
            report.changes.iter().map(|(id, change)| format!("{id} {change}")).collect()
        };
        let same = first.reload(Some(&good), vec![unchanged], &mut faults);
        assert_eq!(lines(&same), [""; 0]);

        let other =
            registry(r#"{"a": {"command": ["a"]}, "b": {"command": ["B"]}, "d": {"command": ["d"]}}"#);
        let bind = "[main]\nenabled=yes\n[types]\nbind=yum\n[yum]\nclass=y\n";
        let descriptors = vec![descriptor("kept", &tar("class=twice\n")), descriptor("new", bind)];
        let second = first.reload(Some(&other), descriptors, &mut faults);
        assert_eq!(lines(&second), ["b changed", "c gone", "d new", "new/bind.yum new"]);
        assert!(second.catalog.handler("kept/content.tar").is_some());
        let codes: Vec<_> = second.catalog.descriptors()[0].faults().iter().map(|fault| fault.code).collect();
        assert_eq!((codes, faults.len()), (vec!["duplicate-key"], 0));

        // a faulty registry keeps its version, a fixed descriptor is loaded, a disabled one is removed
        let broken = registry(r#"{"a": []}"#);
        let descriptors =
            vec![descriptor("kept", &tar("deep=1\n")), descriptor("new", "[main]\nenabled=0\n")];
        let third = second.catalog.reload(Some(&broken), descriptors, &mut faults);
        assert_eq!(lines(&third), ["kept/content.tar changed", "new/bind.yum gone"]);
        assert_eq!(faults[0].pointer(), "/a");
        assert!(third.catalog.handler("d").is_some());
    }

    #[test]
    fn u9_the_location_of_a_program_is_not_a_change() {
        let build = || Catalog::assemble(None, vec![descriptor("x", &tar(""))], &mut Vec::new());
        let mut located = build();
        located.locate(|fields| Some(format!("/opt/{}", fields.class)));
        assert_eq!(located.handler("x/content.tar").unwrap().command, Some(vec!["/opt/x".to_owned()]));
        let report = located.reload(None, vec![descriptor("x", &tar(""))], &mut Vec::new());
        assert_eq!(report.changes, []);
    }
}
