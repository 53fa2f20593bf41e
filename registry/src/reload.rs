//! A catalogue read anew while it is in use: what is new, changed and gone, and what has become faulty stays as it was.

use crate::catalog::{Catalog, read};
use crate::conf_d::Descriptor;
use crate::entry::Entry;
use pop_document::{Fault, Source};
use std::fmt;

/// What became of one handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It was not there before.
    New,
    /// Something of it is another.
    Changed,
    /// It is not there any more.
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

/// A catalogue that was read anew.
#[derive(Debug, Clone)]
pub struct ReloadReport {
    /// The catalogue from now on.
    pub catalog: Catalog,
    /// The handlers that are not as they were, by their ids.
    pub changes: Vec<(String, Change)>,
}

impl Catalog {
    /// Reads everything anew. A registry or a descriptor that has become faulty keeps its earlier version; its faults are
    /// told all the same.
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
        let keep = |new: Descriptor| {
            let mut earlier = self.descriptors.iter().filter(|earlier| earlier.name() == new.name());
            let earlier = earlier.find(|earlier| earlier.is_enabled());
            match earlier.filter(|_| new.is_faulty()) {
                Some(earlier) => earlier.with_faults_of(new),
                None => new,
            }
        };
        let catalog = Self::of(new, descriptors.into_iter().map(keep).collect(), faults);
        let changes = changes(self, &catalog);
        ReloadReport { catalog, changes }
    }
}

/// What differs between two catalogues, by id. What handlers say about themselves is learnt later and does not count.
fn changes(old: &Catalog, new: &Catalog) -> Vec<(String, Change)> {
    let own = |entry: &Entry| Entry { description: None, command: written(entry), ..entry.clone() };
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

/// The command as its text has it, wherever its program was found.
fn written(entry: &Entry) -> Option<Vec<String>> {
    match &entry.declared {
        Some(declared) => Some(vec![declared.class.clone()]),
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
    fn u9_a_reload_takes_what_is_good_and_keeps_what_has_become_faulty() {
        let registry = |text: &str| Source::new("r.json", text.as_bytes()).unwrap();
        let good = registry(r#"{"a": {"command": ["a"]}, "b": {"command": ["b"]}, "c": {"command": ["c"]}}"#);
        let mut faults = Vec::new();
        let kept = descriptor("kept", &tar(""));
        let first = Catalog::assemble(Some(&good), vec![kept.clone()], &mut faults);
        let told = |reloaded: &ReloadReport| -> Vec<String> {
            reloaded.changes.iter().map(|(id, change)| format!("{id} {change}")).collect()
        };
        let same = first.reload(Some(&good), vec![kept], &mut faults);
        assert_eq!(told(&same), [""; 0]);

        let other =
            registry(r#"{"a": {"command": ["a"]}, "b": {"command": ["B"]}, "d": {"command": ["d"]}}"#);
        let bind = "[main]\nenabled=yes\n[types]\nbind=yum\n[yum]\nclass=y\n";
        let descriptors = vec![descriptor("kept", &tar("class=twice\n")), descriptor("new", bind)];
        let second = first.reload(Some(&other), descriptors, &mut faults);
        assert_eq!(told(&second), ["b changed", "c gone", "d new", "new/bind.yum new"]);
        assert!(second.catalog.handler("kept/content.tar").is_some());
        let said: Vec<_> = second.catalog.descriptors()[0].faults().iter().map(|fault| fault.code).collect();
        assert_eq!((said, faults.len()), (vec!["duplicate-key"], 0));

        // a faulty registry stays as it was, a descriptor that is mended is taken, one that is switched off goes
        let broken = registry(r#"{"a": []}"#);
        let descriptors =
            vec![descriptor("kept", &tar("deep=1\n")), descriptor("new", "[main]\nenabled=0\n")];
        let third = second.catalog.reload(Some(&broken), descriptors, &mut faults);
        assert_eq!(told(&third), ["kept/content.tar changed", "new/bind.yum gone"]);
        assert_eq!(faults[0].pointer(), "/a");
        assert!(third.catalog.handler("d").is_some());
    }

    #[test]
    fn u9_where_a_program_was_found_is_no_change() {
        let build = || Catalog::assemble(None, vec![descriptor("x", &tar(""))], &mut Vec::new());
        let mut located = build();
        located.locate(|declared| Some(format!("/opt/{}", declared.class)));
        assert_eq!(located.handler("x/content.tar").unwrap().command, Some(vec!["/opt/x".to_owned()]));
        let reloaded = located.reload(None, vec![descriptor("x", &tar(""))], &mut Vec::new());
        assert_eq!(reloaded.changes, []);
    }
}
