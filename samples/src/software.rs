//! Content handler `software`: installs packages, which are folders of files, below a root.

mod repository;
mod root;

use pop_handler_base::{About, Conduit, ContentHandler, ContentReport, HandlerError, Options, ProfileReport};
use repository::{Package, Repository};
use root::{Installed, Lock, Root, State};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// A package, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SoftwareUnit {
    /// The name of the package.
    pub name: String,
    /// Its version. Without one, the newest is installed or updated to, and any is uninstalled.
    pub version: Option<String>,
}

/// Installs packages: property `repository` is a folder of packages as `NAME/VERSION/…files`, property `root` the folder
/// into which their files go.
///
/// *Guarantees.* A file below the root is the old or the new one, never a part. What a killed call left half done is
/// finished by the next one that changes something. Nothing outside of the root is written or removed.
/// *Assumes.* Nobody else changes links and folders below the root while it works.
#[derive(Debug, Clone, Copy, Default)]
pub struct Software;

/// What a call made of its units.
#[derive(Debug, Default)]
struct Done {
    changed: Vec<Value>,
    unchanged: Vec<Value>,
    repaired: Vec<Value>,
}

impl ContentHandler for Software {
    type Unit = SoftwareUnit;

    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "installs packages of files")
    }

    async fn install(
        &self,
        units: Vec<SoftwareUnit>,
        _: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<ContentReport, HandlerError> {
        Work::begin(conduit).await?.bring(units, false).await
    }

    async fn update(
        &self,
        units: Vec<SoftwareUnit>,
        _: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<ContentReport, HandlerError> {
        Work::begin(conduit).await?.bring(units, true).await
    }

    async fn uninstall(
        &self,
        units: Vec<SoftwareUnit>,
        _: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<ContentReport, HandlerError> {
        Work::begin(conduit).await?.remove(units).await
    }

    async fn profile(&self, conduit: &mut Conduit<'_>) -> Result<ProfileReport, HandlerError> {
        let root = Root::at(conduit.require::<PathBuf>("root")?);
        let (whole, unfinished): (Vec<_>, Vec<_>) =
            root.all()?.into_iter().partition(|installed| installed.state == State::Whole);
        let mut units = Vec::new();
        for installed in whole {
            let mut unit = unit_json(&installed.name, &installed.version);
            unit["missing"] = json!(root.missing(&installed)?);
            unit["files"] = json!(installed.files);
            units.push(unit);
        }
        let unfinished = unfinished.iter().map(|installed| unit_json(&installed.name, &installed.version));
        let mut report = ProfileReport::default();
        report.set_succeeded([("units", json!(units)), ("unfinished", unfinished.collect())], 0);
        Ok(report)
    }
}

fn unit_json(name: &str, version: &str) -> Value {
    json!({"name": name, "version": version})
}

/// A call that changes something: the only one at its root.
struct Work<'w, 'c> {
    root: Root,
    _lock: Lock,
    repository: Repository,
    installed: BTreeMap<String, Installed>,
    conduit: &'w mut Conduit<'c>,
    done: Done,
}

impl<'w, 'c> Work<'w, 'c> {
    async fn begin(conduit: &'w mut Conduit<'c>) -> Result<Self, HandlerError> {
        let repository = Repository::at(conduit.require::<PathBuf>("repository")?);
        let root = Root::at(conduit.require::<PathBuf>("root")?);
        let lock = tokio::select! {
            lock = root.lock() => lock?,
            () = stop(conduit) => return Err(stopped()),
        };
        let installed =
            root.all()?.into_iter().map(|installed| (installed.name.clone(), installed)).collect();
        Ok(Self { root, _lock: lock, repository, installed, conduit, done: Done::default() })
    }

    /// Has these packages installed; an update only those that are.
    async fn bring(
        mut self,
        units: Vec<SoftwareUnit>,
        is_update: bool,
    ) -> Result<ContentReport, HandlerError> {
        let mut wrong = Vec::new();
        let mut packages: Vec<Package> = Vec::new();
        for unit in &units {
            match self.package(unit, is_update, &packages) {
                Ok(Some(package)) => packages.push(package),
                Ok(None) => {}
                Err(why) => wrong.push((unit, why)),
            }
        }
        // nothing is begun unless all of it can be done
        if !wrong.is_empty() {
            return Ok(refused(&wrong));
        }
        self.repair(&packages.iter().map(|package| package.name.clone()).collect()).await?;
        let total: usize = packages.iter().map(|package| package.files.len()).sum();
        let mut steps = Steps { done: 0, total };
        for package in packages {
            let is_changed = self.put(&package, &mut steps).await?;
            let list = if is_changed { &mut self.done.changed } else { &mut self.done.unchanged };
            list.push(unit_json(&package.name, &package.version));
        }
        Ok(self.done.into_report())
    }

    /// The package of a unit, if anything is to be done for it; or why nothing can be.
    fn package(
        &mut self,
        unit: &SoftwareUnit,
        is_update: bool,
        others: &[Package],
    ) -> Result<Option<Package>, String> {
        let installed = self.installed.get(&unit.name);
        if is_update && installed.is_none() {
            return Err("is not installed".to_owned());
        }
        if others.iter().any(|other| other.name == unit.name) {
            return Err("is named twice".to_owned());
        }
        if let (false, None, Some(there)) = (is_update, &unit.version, installed)
            && there.state == State::Whole
        {
            self.done.unchanged.push(unit_json(&there.name, &there.version));
            return Ok(None);
        }
        let package = self.repository.package(&unit.name, unit.version.as_deref())?;
        self.fits(&package, others)?;
        Ok(Some(package))
    }

    /// Whether the files of a package can be put there; they are its own, or nobody's and not there yet.
    fn fits(&self, package: &Package, others: &[Package]) -> Result<(), String> {
        for file in &package.files {
            let owns = |files: &BTreeSet<String>| files.contains(file);
            let coming = others.iter().find(|other| owns(&other.files)).map(|other| &other.name);
            let owner = self.installed.values().find(|installed| owns(&installed.files));
            let owner = owner.map(|owner| &owner.name);
            match coming.or(owner) {
                Some(other) if *other != package.name => {
                    return Err(format!("has `{file}`, which is a file of `{other}`"));
                }
                owner => self.root.check(file, owner.is_some())?,
            }
        }
        Ok(())
    }

    /// Removes these packages.
    async fn remove(mut self, units: Vec<SoftwareUnit>) -> Result<ContentReport, HandlerError> {
        let wrong: Vec<_> =
            units.iter().filter_map(|unit| Some((unit, repository::no_name(&unit.name)?))).collect();
        if !wrong.is_empty() {
            return Ok(refused(&wrong));
        }
        let is_meant = |unit: &SoftwareUnit, installed: &Installed| {
            unit.version.as_ref().is_none_or(|version| *version == installed.version)
        };
        let meant = units
            .iter()
            .filter_map(|unit| self.installed.get(&unit.name).filter(|installed| is_meant(unit, installed)));
        let meant = meant.map(|installed| installed.name.clone()).collect();
        self.repair(&meant).await?;
        for unit in units {
            let installed = self.installed.get(&unit.name).filter(|installed| is_meant(&unit, installed));
            match installed.cloned() {
                Some(installed) => {
                    self.take(&installed).await?;
                    self.done.changed.push(unit_json(&installed.name, &installed.version));
                }
                None => self.done.unchanged.push(json!(unit)),
            }
        }
        Ok(self.done.into_report())
    }

    /// Finishes what an earlier call left half done, but for the packages that this one is about.
    async fn repair(&mut self, but: &BTreeSet<String>) -> Result<(), HandlerError> {
        let unfinished = self.installed.values().filter(|installed| installed.state != State::Whole);
        let unfinished: Vec<_> = unfinished.filter(|one| !but.contains(&one.name)).cloned().collect();
        for installed in unfinished {
            // a package that is gone from the repository, or fits no longer, cannot be finished: what there is of it
            // goes, too
            let package = self.repository.package(&installed.name, Some(&installed.version)).ok();
            let package = package.filter(|package| self.fits(package, &[]).is_ok());
            match package.filter(|_| installed.state == State::Coming) {
                Some(package) => {
                    let mut steps = Steps { done: 0, total: package.files.len() };
                    self.put(&package, &mut steps).await?;
                }
                None => self.take(&installed).await?,
            }
            self.done.repaired.push(unit_json(&installed.name, &installed.version));
        }
        Ok(())
    }

    /// Puts the files of a package there and takes away those of its earlier version; false if nothing was to do.
    async fn put(&mut self, package: &Package, steps: &mut Steps) -> Result<bool, HandlerError> {
        let earlier = self.installed.get(&package.name);
        let wanted = Installed {
            name: package.name.clone(),
            version: package.version.clone(),
            files: package.files.clone(),
            state: State::Whole,
        };
        if earlier == Some(&wanted) && self.root.is_same(package)? {
            steps.done += package.files.len();
            return Ok(false);
        }
        let earlier = earlier.map(|earlier| earlier.files.clone()).unwrap_or_default();
        // said before the first file: what may be half done is known by it
        let files = earlier.union(&package.files).cloned().collect();
        self.root.note(&Installed { files, state: State::Coming, ..wanted.clone() })?;
        for file in &package.files {
            self.step(&package.name, Some(steps)).await?;
            self.root.put(&package.folder.join(file), file)?;
        }
        for file in earlier.difference(&package.files) {
            self.step(&package.name, None).await?;
            self.root.remove(file)?;
        }
        self.root.note(&wanted)?;
        self.installed.insert(wanted.name.clone(), wanted);
        Ok(true)
    }

    /// Takes the files of a package away.
    async fn take(&mut self, installed: &Installed) -> Result<(), HandlerError> {
        self.root.note(&Installed { state: State::Going, ..installed.clone() })?;
        for file in &installed.files {
            self.step(&installed.name, None).await?;
            self.root.remove(file)?;
        }
        self.root.forget(&installed.name)?;
        self.installed.remove(&installed.name);
        Ok(())
    }

    /// Before each file: says how far it is, and stops if it was asked to.
    async fn step(&mut self, name: &str, steps: Option<&mut Steps>) -> Result<(), HandlerError> {
        if let Some(steps) = steps {
            self.conduit.update_progress(json!({"package": name, "files": steps.done, "of": steps.total}));
            self.conduit.context().progress(steps.done as f64 / steps.total as f64 * 100.0);
            steps.done += 1;
        }
        tokio::task::yield_now().await;
        if self.conduit.cancelled() { Err(stopped()) } else { Ok(()) }
    }
}

/// How many files are there, of how many.
struct Steps {
    done: usize,
    total: usize,
}

async fn stop(conduit: &mut Conduit<'_>) {
    conduit.context().cancellation().clone().cancelled().await;
}

fn stopped() -> HandlerError {
    HandlerError::new("asked to stop; the next call goes on").code("cancelled")
}

impl Done {
    fn into_report(self) -> ContentReport {
        let Self { changed, unchanged, repaired } = self;
        let count = changed.len() + repaired.len();
        let mut report = ContentReport::default();
        let details = [("changed", changed), ("unchanged", unchanged), ("repaired", repaired)];
        report.set_succeeded(details, count as u64);
        report
    }
}

fn refused(wrong: &[(&SoftwareUnit, String)]) -> ContentReport {
    let name = |unit: &SoftwareUnit| match &unit.version {
        Some(version) => format!("`{} {version}`", unit.name),
        None => format!("`{}`", unit.name),
    };
    let message: Vec<String> = wrong.iter().map(|(unit, why)| format!("{} {why}", name(unit))).collect();
    let units: Vec<Value> = wrong
        .iter()
        .map(|(unit, why)| json!({"name": unit.name, "version": unit.version, "why": why}))
        .collect();
    let mut report = ContentReport::default();
    report.set_failed([("message", json!(message.join("; "))), ("units", json!(units))]);
    report
}

#[cfg(test)]
mod tests;
