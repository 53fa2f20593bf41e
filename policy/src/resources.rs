//! resources: amounts that an attempt holds while it runs, such as CPU, memory, GPUs or licences.

use crate::policy::Policy;
use crate::quantity::{Cpu, Memory, QuantityError};
use crate::read;
use crate::scope::{Scope, ScopedValue};
use pop_document::{Fault, Pointer, kind_of};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Name of the resource CPU, in thousandths of a core.
pub const CPU: &str = "cpu";
/// Name of the resource memory, in bytes.
pub const MEMORY: &str = "memory";

pub(crate) const RESOURCES: Policy<NeededResources> = Policy::new(
    "resources",
    |fields, key| read::with(fields, key, Resources::parse).map(NeededResources::from),
    NeededResources::to_string,
)
.combined(NeededResources::lay);

/// Names of resources in other tools, with pop's name.
const OTHER_NAMES: [(&str, &[&str]); 3] = [
    (CPU, &["cpus", "cores", "core", "threads", "vcpu", "vcpus", "processors"]),
    (MEMORY, &["mem", "ram", "memorymb", "mem_mb", "memory_mb"]),
    ("gpu", &["gpus", "gres", "accelerator", "accelerators", "cuda"]),
];

/// Amounts by the name of the resource: `cpu` in thousandths of a core, `memory` in bytes, others in whole units.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Box<str>, String>", into = "BTreeMap<Box<str>, String>")]
pub struct Resources(BTreeMap<Box<str>, u64>);

/// Amounts that an operation needs, each with the scope that set it. A higher scope wins for each resource by itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NeededResources {
    amounts: Resources,
    scopes: BTreeMap<Box<str>, Scope>,
}

impl NeededResources {
    fn lay(present: &mut ScopedValue<Self>, value: &Self, scope: Scope) {
        present.scope = scope;
        for (name, amount) in value.amounts.iter() {
            present.value.amounts.set(name, amount);
            present.value.scopes.insert(name.into(), scope);
        }
    }

    /// The amounts, also those of zero.
    pub fn amounts(&self) -> &Resources {
        &self.amounts
    }

    /// The amount of a resource; none if no scope sets it.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.amounts.get(name)
    }

    /// The scope that set the amount of a resource; none if no scope sets it.
    pub fn scope(&self, name: &str) -> Option<Scope> {
        self.scopes.get(name).copied()
    }
}

impl From<Resources> for NeededResources {
    fn from(amounts: Resources) -> Self {
        Self { amounts, scopes: BTreeMap::new() }
    }
}

impl fmt::Display for NeededResources {
    /// Writes `cpu 2 of the agenda, gpu 1`: an amount of the highest scope stands alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.amounts.is_empty() {
            return f.write_str("none");
        }
        let highest = self.scopes.values().max();
        for (index, (name, amount)) in self.amounts.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{name} {}", Resources::amount_text(name, amount))?;
            match self.scopes.get(name) {
                scope if scope == highest => {}
                Some(scope) => write!(f, " of the {scope}")?,
                None => {}
            }
        }
        Ok(())
    }
}

/// Why a text is not an amount of a resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ResourceError {
    message: String,
    hint: Option<String>,
}

impl ResourceError {
    fn new(message: String, hint: Option<String>) -> Self {
        Self { message, hint }
    }

    /// Suggested fix, if any.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl From<ResourceError> for String {
    fn from(error: ResourceError) -> Self {
        error.message
    }
}

impl Resources {
    /// Reads the map of names to amounts.
    pub fn parse(value: &Value, at: &Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let Value::Object(map) = value else {
            let message = format!("`resources` must be a map, not {}", kind_of(value));
            let fault = Fault::value("wrong-type", at.clone(), message);
            faults.push(fault.hint("write, for example, `resources: {cpu: 2, memory: 2Gi, gpu: 1}`"));
            return None;
        };
        let mut resources = Self::default();
        for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
            let (code, read) = match value {
                Value::Number(number) => ("wrong-value", Self::amount(name, &number.to_string())),
                Value::String(text) => ("wrong-value", Self::amount(name, text)),
                other => ("wrong-type", Err(wrong_kind(name, other))),
            };
            match read {
                Ok(amount) => resources.set(name, amount),
                Err(error) => {
                    let fault = Fault::value(code, at.join(name), error.message);
                    faults.push(error.hint.into_iter().fold(fault, Fault::hint));
                }
            }
        }
        (faults.len() == before).then_some(resources)
    }

    /// Reads the amount of one resource.
    pub fn amount(name: &str, text: &str) -> Result<u64, ResourceError> {
        check_name(name)?;
        if text.contains("@<") {
            let hint = "write `cpu` and `memory` that depend on a reference into the payload of type `exec`";
            let message = format!("`{name}` in `resources` must be an amount, not a reference");
            return Err(ResourceError::new(message, Some(hint.to_owned())));
        }
        let refused = |error: QuantityError| {
            ResourceError::new(format!("`{name}` {error}"), error.hint().map(str::to_owned))
        };
        match name {
            CPU => text.parse().map(Cpu::millis).map_err(refused),
            MEMORY => text.parse().map(Memory::bytes).map_err(refused),
            _ => text.parse().map_err(|_| {
                let message = format!("`{name}` must be a whole number from 0, not `{text}`");
                let hint = match Self::usual_name(name) {
                    Some(usual) => format!("did you mean `{usual}`?"),
                    None => "only `cpu` and `memory` have units and fractions".to_owned(),
                };
                ResourceError::new(message, Some(hint))
            }),
        }
    }

    /// The amount of a resource as people write it.
    pub fn amount_text(name: &str, amount: u64) -> String {
        match name {
            CPU => Cpu::from_millis(amount).to_string(),
            MEMORY => Memory::from_bytes(amount).to_string(),
            _ => amount.to_string(),
        }
    }

    /// The usual name of a resource that another tool calls `name`.
    pub fn usual_name(name: &str) -> Option<&'static str> {
        let lower = name.to_ascii_lowercase();
        let is_it = |(usual, others): &&(&str, &[&str])| *usual == lower || others.contains(&lower.as_str());
        OTHER_NAMES.iter().find(is_it).map(|(usual, _)| *usual).filter(|usual| *usual != name)
    }

    /// The amount of a resource; none if it is not named.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    /// Sets the amount of a resource.
    pub fn set(&mut self, name: &str, amount: u64) {
        self.0.insert(name.into(), amount);
    }

    /// Adds the amounts of `others` for the resources that are not named here.
    #[must_use]
    pub fn or(mut self, others: &Self) -> Self {
        for (name, amount) in &others.0 {
            self.0.entry(name.clone()).or_insert(*amount);
        }
        self
    }

    /// Adds to the amounts.
    pub fn add(&mut self, others: &Self) {
        for (name, amount) in &others.0 {
            let sum = self.0.entry(name.clone()).or_default();
            *sum = sum.saturating_add(*amount);
        }
    }

    /// Subtracts from the amounts, and removes those that become zero.
    pub fn subtract(&mut self, others: &Self) {
        for (name, amount) in &others.0 {
            if let Some(left) = self.0.get_mut(name) {
                *left = left.saturating_sub(*amount);
            }
        }
        self.0.retain(|_, amount| *amount > 0);
    }

    /// The amounts that are not zero.
    #[must_use]
    pub fn without_zeros(mut self) -> Self {
        self.0.retain(|_, amount| *amount > 0);
        self
    }

    /// The text that [`FromStr`] reads: `cpu=2,gpu=1`.
    pub fn argument(&self) -> String {
        let amounts = self.iter().map(|(name, amount)| format!("{name}={}", Self::amount_text(name, amount)));
        amounts.collect::<Vec<_>>().join(",")
    }

    /// Whether no resource is named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names and amounts, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(name, amount)| (&**name, *amount))
    }

    /// The first resource of which this needs more than `totals` have, with the amount needed and the total. A resource
    /// without a total is not limited.
    pub fn beyond(&self, totals: &Self) -> Option<(&str, u64, u64)> {
        self.iter().find_map(|(name, amount)| {
            totals.get(name).filter(|total| amount > *total).map(|total| (name, amount, total))
        })
    }

    /// The first named resource without a total. `cpu` and `memory` need none.
    pub fn without_total(&self, totals: &Self) -> Option<&str> {
        let is_missing = |name: &str| ![CPU, MEMORY].contains(&name) && totals.get(name).is_none();
        self.iter().map(|(name, _)| name).find(|name| is_missing(name))
    }

    /// The amounts as JSON: numbers, and text for amounts with a unit.
    pub fn to_json(&self) -> Map<String, Value> {
        let value = |name: &str, amount: u64| {
            let text = Self::amount_text(name, amount);
            text.parse::<u64>().map_or_else(|_| Value::from(text), Value::from)
        };
        self.iter().map(|(name, amount)| (name.to_owned(), value(name, amount))).collect()
    }
}

fn check_name(name: &str) -> Result<(), ResourceError> {
    let is_good = name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_./".contains(letter));
    if is_good {
        return Ok(());
    }
    let message = format!(
        "`{name}` cannot be the name of a resource: use letters, digits, `-`, `_`, `.` and `/`, with a letter first"
    );
    Err(ResourceError::new(message, None))
}

/// The error of a value that is neither number nor text.
fn wrong_kind(name: &str, value: &Value) -> ResourceError {
    let message = format!("`{name}` in `resources` must be an amount, not {}", kind_of(value));
    let hint = matches!(name, "requests" | "limits").then(|| {
        "write `resources: {cpu: 1, memory: 2Gi}`: pop uses one amount as request and limit".to_owned()
    });
    ResourceError::new(message, hint)
}

impl FromStr for Resources {
    type Err = ResourceError;

    /// Reads `NAME=AMOUNT,NAME=AMOUNT`, as the command line has it.
    fn from_str(text: &str) -> Result<Self, ResourceError> {
        let mut resources = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((name, amount)) = part.split_once('=') else {
                let message = format!("`{part}` has no amount");
                return Err(ResourceError::new(
                    message,
                    Some("write it as NAME=N, such as gpu=2".to_owned()),
                ));
            };
            let (name, amount) = (name.trim(), amount.trim());
            resources.set(name, Self::amount(name, amount)?);
        }
        Ok(resources)
    }
}

impl TryFrom<BTreeMap<Box<str>, String>> for Resources {
    type Error = ResourceError;

    fn try_from(texts: BTreeMap<Box<str>, String>) -> Result<Self, ResourceError> {
        let read = texts.into_iter().map(|(name, text)| Ok((name.clone(), Self::amount(&name, &text)?)));
        read.collect::<Result<_, _>>().map(Self)
    }
}

impl From<Resources> for BTreeMap<Box<str>, String> {
    fn from(resources: Resources) -> Self {
        let text = |(name, amount): (Box<str>, u64)| {
            let text = Resources::amount_text(&name, amount);
            (name, text)
        };
        resources.0.into_iter().map(text).collect()
    }
}

impl FromIterator<(Box<str>, u64)> for Resources {
    fn from_iter<I: IntoIterator<Item = (Box<str>, u64)>>(amounts: I) -> Self {
        Self(amounts.into_iter().collect())
    }
}

impl fmt::Display for Resources {
    /// Writes `cpu 2, memory 2Gi`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (index, (name, amount)) in self.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{name} {}", Self::amount_text(name, amount))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
