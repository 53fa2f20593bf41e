//! Whether all values of one schema fit another.

use super::{DEEPEST, Kinds, MOST_STEPS, Schema, is_equal, spend};
use serde_json::Value;
use std::cell::Cell;

/// Whether values fit a schema. A reason is the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// No value is known not to fit.
    Yes,
    /// Some values do not fit.
    Perhaps(String),
    /// No value fits.
    No(String),
}

impl Fit {
    fn is_yes(&self) -> bool {
        *self == Self::Yes
    }

    /// The fit of a value that has one of several schemas: `No` only if it is `No` for all of them.
    pub(super) fn of_several(each: impl Iterator<Item = Self>) -> Self {
        let mut is_sometimes = false;
        let worst =
            each.inspect(|fit| is_sometimes |= !matches!(fit, Self::No(_))).fold(Self::Yes, Self::and);
        if is_sometimes { worst.perhaps() } else { worst }
    }

    /// The worse of the two.
    fn and(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::No(_), _) | (_, Self::Yes) => self,
            (_, Self::No(_)) | (Self::Yes, _) => other,
            _ => self,
        }
    }

    /// The better of the two.
    fn or(self, other: Self) -> Self {
        match (&self, &other) {
            (Self::Yes, _) | (_, Self::No(_)) => self,
            (_, Self::Yes) | (Self::No(_), _) => other,
            _ => self,
        }
    }

    /// Weakens `No` to `Perhaps`, for parts that may be absent.
    fn perhaps(self) -> Self {
        match self {
            Self::No(why) => Self::Perhaps(why),
            fit => fit,
        }
    }
}

impl Schema<'_> {
    /// Whether values of the schema `given` fit this one.
    pub fn fits(self, given: Schema<'_>) -> Fit {
        fits(given, self, "", DEEPEST, &Cell::new(MOST_STEPS))
    }
}

fn fits(given: Schema<'_>, wanted: Schema<'_>, at: &str, depth: usize, steps: &Cell<u32>) -> Fit {
    let (given, wanted) = (given.resolved(), wanted.resolved());
    let is_null = wanted.is_nullable() && given.kinds() == Kinds::NULL;
    if depth == 0 || is_null || !spend(steps) || std::ptr::eq(given.node, wanted.node) {
        return Fit::Yes;
    }
    let fit = fit_of_resolved(given, wanted, at, depth, steps);
    // null fits regardless of the other keywords
    if wanted.is_nullable() && given.kinds().has(Kinds::NULL) { fit.perhaps() } else { fit }
}

fn fit_of_resolved(given: Schema<'_>, wanted: Schema<'_>, at: &str, depth: usize, steps: &Cell<u32>) -> Fit {
    let alternatives = given.alternatives();
    if alternatives.len() > 1 {
        let each = alternatives.into_iter().map(|one| fits(one, wanted, at, depth - 1, steps));
        return Fit::of_several(each);
    }
    let alternatives = wanted.alternatives();
    if alternatives.len() > 1 {
        let kinds = kinds_fit(given, wanted, at);
        let each = alternatives.into_iter().map(|one| fits(given, one, at, depth - 1, steps));
        return kinds.and(each.reduce(Fit::or).unwrap_or(Fit::Yes));
    }
    let own = fit_of_one(given, wanted, at, depth, steps);
    wanted.list("allOf").map(|part| fits(given, part, at, depth - 1, steps)).fold(own, Fit::and)
}

fn kinds_fit(given: Schema<'_>, wanted: Schema<'_>, at: &str) -> Fit {
    let (has, wants) = (given.kinds(), wanted.kinds());
    let why = || format!("{}is {has}, not {wants}", place(at));
    if has.and(wants).is_none() {
        Fit::No(why())
    } else if has == Kinds::ALL || wants.has(has) {
        Fit::Yes
    } else {
        Fit::Perhaps(format!("{}may be {has}, not only {wants}", place(at)))
    }
}

fn fit_of_one(given: Schema<'_>, wanted: Schema<'_>, at: &str, depth: usize, steps: &Cell<u32>) -> Fit {
    let mut fit = kinds_fit(given, wanted, at);
    if matches!(fit, Fit::No(_)) {
        return fit;
    }
    if let Some(wants) = wanted.values() {
        fit = fit.and(values_fit(given.values(), &wants, at));
    }
    if given.kinds() == Kinds::MAP {
        fit = fit.and(maps_fit(given, wanted, at, depth, steps));
    }
    if given.kinds() == Kinds::LIST
        && let (Some(has), Some(wants)) = (given.item(usize::MAX), wanted.item(usize::MAX))
    {
        // an empty list always fits
        fit = fit.and(fits(has, wants, &format!("{at}/0"), depth - 1, steps).perhaps());
    }
    fit
}

fn values_fit(has: Option<Vec<&Value>>, wants: &[&Value], at: &str) -> Fit {
    let list = wants.iter().take(8).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let Some(has) = has else { return Fit::Perhaps(format!("{}may be none of {list}", place(at))) };
    let fitting = has.iter().filter(|value| wants.iter().any(|want| is_equal(want, value))).count();
    match fitting {
        0 => Fit::No(format!("{}is none of {list}", place(at))),
        count if count == has.len() => Fit::Yes,
        _ => Fit::Perhaps(format!("{}may be none of {list}", place(at))),
    }
}

fn maps_fit(given: Schema<'_>, wanted: Schema<'_>, at: &str, depth: usize, steps: &Cell<u32>) -> Fit {
    let mut fit = Fit::Yes;
    for name in wanted.required() {
        let has = given.property(name);
        fit = fit.and(match has {
            None if given.requires(name) => Fit::Yes,
            None if given.is_closed() => Fit::No(format!("{}has no `{name}`", place(at))),
            None => Fit::Perhaps(format!("{}may have no `{name}`", place(at))),
            Some(_) if !given.requires(name) => Fit::Perhaps(format!("{}may have no `{name}`", place(at))),
            Some(_) => Fit::Yes,
        });
    }
    for (name, has) in given.properties() {
        let inner = match wanted.property(name) {
            Some(wants) => fits(has, wants, &format!("{at}/{name}"), depth - 1, steps),
            None if wanted.is_closed() => {
                Fit::No(format!("{}has `{name}`, which is not accepted", place(at)))
            }
            None => Fit::Yes,
        };
        if !inner.is_yes() {
            fit = fit.and(if given.requires(name) { inner } else { inner.perhaps() });
        }
    }
    fit
}

/// The subject of a reason: empty for the value itself, else a part of it.
fn place(at: &str) -> String {
    if at.is_empty() { String::new() } else { format!("its `{at}` ") }
}
