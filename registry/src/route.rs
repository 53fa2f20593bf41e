//! Which handler carries an operation out, decided in five steps, and why others were passed over.

use crate::catalog::Catalog;
use crate::entry::Entry;
use crate::routing::{AGENDA, LOCAL};
use crate::target::{Target, built_in};
use pop_contract::LaunchType;
use pop_document::nearest;
use std::fmt;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteRequest<'r> {
    /// The operation's type.
    pub handler_type: &'r str,
    /// The action, if it names one.
    pub action: Option<&'r str>,
    /// The version, if it names one.
    pub version: Option<&'r str>,
    /// The handler that the operation itself names.
    pub handler: Option<&'r str>,
    /// The handler that the agenda assigns to all its operations.
    pub assigned: Option<&'r str>,
    /// The stream through which the operation comes in.
    pub stream: &'r str,
    /// How it is launched.
    pub on: LaunchType,
}

impl<'r> RouteRequest<'r> {
    /// An operation of the agenda that says nothing but its type.
    pub fn of_type(handler_type: &'r str, on: LaunchType) -> Self {
        Self { handler_type, action: None, version: None, handler: None, assigned: None, stream: AGENDA, on }
    }
}

/// The handler that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutedHandler<'c> {
    /// Who carries the operation out.
    pub target: Target<'c>,
    /// What registry or descriptor say of it; none for what is built in.
    pub entry: Option<&'c Entry>,
    /// By which step it was chosen.
    pub step: RouteStep,
    /// The handlers before and beside it that were not taken.
    pub passed_over: Vec<PassedOver>,
}

/// The step by which a handler was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteStep {
    /// The agenda assigns it, and the run itself made the operation.
    AssignedLocal,
    /// The agenda assigns it.
    Assigned,
    /// The operation names it.
    Named,
    /// It serves the role of this name, which has the stream.
    Role(String),
    /// It is the first that can.
    First,
    /// It is built in, and nobody else can.
    BuiltIn,
}

impl fmt::Display for RouteStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AssignedLocal => {
                f.write_str("the agenda assigns it to all its operations, those made by the run too")
            }
            Self::Assigned => f.write_str("the agenda assigns it to all its operations"),
            Self::Named => f.write_str("the operation names it"),
            Self::Role(role) => write!(f, "role `{role}` gives it the stream"),
            Self::First => f.write_str("it is the first that serves the type"),
            Self::BuiltIn => f.write_str("it is built in"),
        }
    }
}

/// A handler that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Its id.
    pub handler: String,
    /// Why.
    pub why: Why,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.handler, self.why)
    }
}

/// Why a handler was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// There is no handler of this name.
    Unknown,
    /// It serves this type, which is another.
    OtherType(String),
    /// It does not take on the action.
    OtherAction,
    /// It has this version, which is another, or none.
    OtherVersion(Option<String>),
    /// It lacks the field that this launcher needs.
    NotHere(&'static str),
    /// Another one comes first.
    Later,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("is not known"),
            Self::OtherType(name) => write!(f, "serves type `{name}`"),
            Self::OtherAction => f.write_str("does not take on the action"),
            Self::OtherVersion(Some(version)) => write!(f, "has version `{version}`"),
            Self::OtherVersion(None) => f.write_str("has no version"),
            Self::NotHere(missing) => write!(f, "has no `{missing}`, which this launcher needs"),
            Self::Later => f.write_str("comes later"),
        }
    }
}

/// Why nobody carries an operation out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoute {
    /// No handler serves the type; perhaps this one was meant.
    UnknownType {
        /// The known type nearest to it.
        near: Option<String>,
    },
    /// The agenda or the operation names a handler that is not known.
    UnknownHandler {
        /// The name.
        handler: String,
        /// The known id nearest to it.
        near: Option<String>,
    },
    /// The operation names a handler that does not do what is asked for.
    Unfit(PassedOver),
    /// No handler of the type has the version.
    UnknownVersion {
        /// The versions that there are.
        known: Vec<String>,
    },
    /// No handler of the type takes on the action.
    UnknownAction {
        /// The actions that there are.
        known: Vec<String>,
    },
    /// The handler lacks the field that this launcher needs.
    NotHere {
        /// Its id.
        handler: String,
        /// The field to add.
        missing: &'static str,
    },
    /// The handler that was chosen takes nothing from the stream.
    Discarded {
        /// Its id.
        handler: String,
        /// By which step it was chosen.
        step: RouteStep,
        /// The streams that it takes operations from.
        inputs: Vec<String>,
    },
}

/// Chooses the handler of an operation.
///
/// In this order: the one that the agenda assigns; the one that the operation names; that of a role that has the stream;
/// the first that serves type, action and version, of which one that is called as the type is comes before others; what is
/// built in. Whoever does not take operations from the stream discards them, unless the agenda assigned it to an
/// operation that the run itself made, or the registry's `allowHandlers` says otherwise.
pub fn route<'c>(catalog: &'c Catalog, request: &RouteRequest<'_>) -> Result<RoutedHandler<'c>, NoRoute> {
    let mut passed_over = Vec::new();
    match chosen(catalog, request, &mut passed_over)? {
        Some((entry, step)) => settle(catalog, request, entry, step, passed_over),
        None => first(catalog, request, passed_over),
    }
}

/// The handler that somebody speaks for, if there is one that fits.
fn chosen<'c>(
    catalog: &'c Catalog,
    request: &RouteRequest<'_>,
    passed_over: &mut Vec<PassedOver>,
) -> Result<Option<(&'c Entry, RouteStep)>, NoRoute> {
    let mut fitting = |id: &str, step: RouteStep| match fit(catalog, id, request) {
        Ok(entry) => Some((entry, step)),
        Err(why) => {
            passed_over.push(PassedOver { handler: id.to_owned(), why });
            None
        }
    };
    if let Some(id) = request.assigned {
        known(catalog, id)?;
        let step = if request.stream == LOCAL { RouteStep::AssignedLocal } else { RouteStep::Assigned };
        if let Some(found) = fitting(id, step) {
            return Ok(Some(found));
        }
    }
    if let Some(id) = request.handler {
        known(catalog, id)?;
        return match fit(catalog, id, request) {
            Ok(entry) => Ok(Some((entry, RouteStep::Named))),
            Err(why) => Err(NoRoute::Unfit(PassedOver { handler: id.to_owned(), why })),
        };
    }
    let has_stream = |inputs: &[String]| inputs.iter().any(|input| input == request.stream);
    let roles = catalog.routing().roles.iter().filter(|role| has_stream(&role.inputs));
    Ok(roles
        .map(|role| (role, RouteStep::Role(role.name.clone())))
        .find_map(|(role, step)| fitting(&role.handler, step)))
}

fn known(catalog: &Catalog, id: &str) -> Result<(), NoRoute> {
    if catalog.handler(id).is_some() {
        return Ok(());
    }
    let near = nearest(id, catalog.entries().map(|entry| entry.id.as_str())).map(str::to_owned);
    Err(NoRoute::UnknownHandler { handler: id.to_owned(), near })
}

/// The handler of this id, if it serves type, action and version.
fn fit<'c>(catalog: &'c Catalog, id: &str, request: &RouteRequest<'_>) -> Result<&'c Entry, Why> {
    let entry = catalog.handler(id).ok_or(Why::Unknown)?;
    if entry.name != request.handler_type {
        return Err(Why::OtherType(entry.name.clone()));
    }
    serves(entry, request).map(|()| entry)
}

/// Whether a handler of the type has the version and takes on the action.
fn serves(entry: &Entry, request: &RouteRequest<'_>) -> Result<(), Why> {
    if request.version.is_some_and(|version| entry.version.as_deref() != Some(version)) {
        return Err(Why::OtherVersion(entry.version.clone()));
    }
    let has_action =
        |action: &str| entry.actions.as_ref().is_none_or(|actions| actions.iter().any(|own| own == action));
    if request.action.is_some_and(|action| !has_action(action)) {
        return Err(Why::OtherAction);
    }
    Ok(())
}

/// The first handler that can, else what is built in.
fn first<'c>(
    catalog: &'c Catalog,
    request: &RouteRequest<'_>,
    mut passed_over: Vec<PassedOver>,
) -> Result<RoutedHandler<'c>, NoRoute> {
    let mut of_type: Vec<&Entry> = catalog.of_type(request.handler_type).collect();
    if request.version.is_none() {
        // the default version; the order of all others stays
        of_type.sort_by_key(|entry| entry.id != request.handler_type);
    }
    let mut found: Option<&Entry> = None;
    for entry in &of_type {
        let why = match serves(entry, request) {
            Err(why) => why,
            Ok(()) if found.is_some() => Why::Later,
            Ok(()) => match entry.target(request.on) {
                Ok(_) => {
                    found = Some(entry);
                    continue;
                }
                Err(missing) => Why::NotHere(missing),
            },
        };
        if passed_over.iter().all(|passed| passed.handler != entry.id) {
            passed_over.push(PassedOver { handler: entry.id.clone(), why });
        }
    }
    match (found, built_in(request.handler_type).filter(|_| request.version.is_none())) {
        (Some(entry), _) => settle(catalog, request, entry, RouteStep::First, passed_over),
        (None, Some(target)) => {
            Ok(RoutedHandler { target, entry: None, step: RouteStep::BuiltIn, passed_over })
        }
        (None, None) => Err(nobody(catalog, request, &of_type)),
    }
}

/// What stands in the way, of all handlers of the type.
fn nobody(catalog: &Catalog, request: &RouteRequest<'_>, of_type: &[&Entry]) -> NoRoute {
    let is_known = !of_type.is_empty() || built_in(request.handler_type).is_some();
    if !is_known {
        return NoRoute::UnknownType {
            near: nearest(request.handler_type, catalog.types()).map(str::to_owned),
        };
    }
    if let Some(version) = request.version
        && of_type.iter().all(|entry| entry.version.as_deref() != Some(version))
    {
        let mut known: Vec<String> = of_type.iter().filter_map(|entry| entry.version.clone()).collect();
        known.dedup();
        return NoRoute::UnknownVersion { known };
    }
    match of_type
        .iter()
        .find_map(|entry| Some((entry, serves(entry, request).ok().and(entry.target(request.on).err())?)))
    {
        Some((entry, missing)) => NoRoute::NotHere { handler: entry.id.clone(), missing },
        None => {
            let actions = of_type.iter().flat_map(|entry| entry.actions.iter().flatten());
            let mut known: Vec<String> = actions.cloned().collect();
            known.sort_unstable();
            known.dedup();
            NoRoute::UnknownAction { known }
        }
    }
}

/// A chosen handler takes the operation, or discards it.
fn settle<'c>(
    catalog: &Catalog,
    request: &RouteRequest<'_>,
    entry: &'c Entry,
    step: RouteStep,
    passed_over: Vec<PassedOver>,
) -> Result<RoutedHandler<'c>, NoRoute> {
    let takes = |inputs: &Vec<String>| inputs.iter().any(|input| input == request.stream);
    let is_open = step == RouteStep::AssignedLocal || catalog.routing().allow_handlers;
    if let Some(inputs) = entry.inputs.as_ref().filter(|inputs| !is_open && !takes(inputs)) {
        return Err(NoRoute::Discarded { handler: entry.id.clone(), step, inputs: inputs.clone() });
    }
    match entry.target(request.on) {
        Ok(target) => Ok(RoutedHandler { target, entry: Some(entry), step, passed_over }),
        Err(missing) => Err(NoRoute::NotHere { handler: entry.id.clone(), missing }),
    }
}

#[cfg(test)]
mod tests;
