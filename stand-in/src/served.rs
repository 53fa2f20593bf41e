//! The served kinds: built-in ones, those of the configuration, and those of CustomResourceDefinitions.

use crate::custom::definition::{CustomKind, kinds};
use crate::kind::{DEFINITIONS, KINDS, Kind};
use crate::store::Store;
use std::sync::{Arc, Mutex, PoisonError};

/// The kinds that are served at one moment.
#[derive(Debug, Default)]
pub(crate) struct Served {
    pub(crate) kinds: Vec<Kind>,
    customs: Vec<CustomKind>,
}

impl Served {
    /// The kind at a path.
    pub(crate) fn kind(&self, group: &str, version: &str, resource: &str) -> Option<Kind> {
        let is_it =
            |kind: &&Kind| kind.group == group && kind.version == version && kind.resource == resource;
        self.kinds.iter().find(is_it).copied()
    }

    /// Whether a kind is served.
    pub(crate) fn has(&self, kind: &Kind) -> bool {
        self.kind(kind.group, kind.version, kind.resource).is_some()
    }

    /// The schema and state of a kind that a definition defines.
    pub(crate) fn custom(&self, kind: &Kind) -> Option<&CustomKind> {
        self.customs.iter().find(|custom| &custom.kind == kind)
    }
}

/// The served kinds, kept up to date with the definitions in the store.
#[derive(Debug, Default)]
pub(crate) struct ServedKinds(Mutex<(u64, Arc<Served>)>);

impl ServedKinds {
    pub(crate) fn current(&self) -> Arc<Served> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner).1)
    }

    /// Reads the definitions again if one of them has changed.
    pub(crate) fn refresh(&self, store: &Store, configured: &[Kind]) {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = current.0 > 0 && store.since(&DEFINITIONS, current.0).is_ok_and(|it| it.is_empty());
        if !is_same {
            let definitions = store.list(&DEFINITIONS, None);
            let customs: Vec<_> = definitions.iter().flat_map(|definition| kinds(definition)).collect();
            let defined = customs.iter().map(|custom| &custom.kind);
            let kinds = KINDS.iter().chain(configured).chain(defined).copied().collect();
            current.1 = Arc::new(Served { kinds, customs });
        }
        current.0 = store.version();
    }
}
