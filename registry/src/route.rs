//! The choice of the handler for an operation step by step, with the reasons why others were rejected.

use crate::catalog::Catalog;
use crate::entry::Entry;
use crate::routing::{AGENDA, LOCAL};
use crate::target::{Target, built_in};
use pop_contract::LaunchType;
use pop_document::nearest;
use std::fmt;

/// The operation that needs a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouteRequest<'r> {
    /// Type of the operation.
    pub handler_type: &'r str,
    /// Requested action, if any.
    pub action: Option<&'r str>,
    /// Requested version, if any.
    pub version: Option<&'r str>,
    /// Id of the handler that the operation names.
    pub handler: Option<&'r str>,
    /// Id of the handler that the agenda assigns to all its operations.
    pub assigned: Option<&'r str>,
    /// Stream of the operation: [`AGENDA`] or [`LOCAL`].
    pub stream: &'r str,
    /// How the operation is launched.
    pub on: LaunchType,
}

impl<'r> RouteRequest<'r> {
    /// An operation of the agenda with only a type.
    pub fn of_type(handler_type: &'r str, on: LaunchType) -> Self {
        Self { handler_type, action: None, version: None, handler: None, assigned: None, stream: AGENDA, on }
    }
}

/// The chosen handler.
#[derive(Debug, Clone, PartialEq)]
pub struct RoutedHandler<'c> {
    /// Target that carries out the operation.
    pub target: Target<'c>,
    /// The handler's entry in a registry or descriptor; none for a built-in type.
    pub entry: Option<&'c Entry>,
    /// The step that chose the handler.
    pub step: RouteStep,
    /// Handlers that were considered and rejected.
    pub rejected: Vec<RejectedHandler>,
}

/// The step that chose a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteStep {
    /// The agenda assigns the handler, and the run added the operation.
    AssignedLocal,
    /// The agenda assigns the handler.
    Assigned,
    /// The operation names the handler.
    Named,
    /// The role of this name assigns the stream to the handler.
    Role(String),
    /// The handler is the first that serves the type.
    First,
    /// The type is built in, and no other handler serves it.
    BuiltIn,
}

impl fmt::Display for RouteStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AssignedLocal => {
                f.write_str("the agenda assigns it to all operations, including those made by the run")
            }
            Self::Assigned => f.write_str("the agenda assigns it to all operations"),
            Self::Named => f.write_str("the operation names it"),
            Self::Role(role) => write!(f, "role `{role}` assigns it the stream"),
            Self::First => f.write_str("it is the first handler that serves the type"),
            Self::BuiltIn => f.write_str("it is built in"),
        }
    }
}

/// A handler that was considered and rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedHandler {
    /// Id of the handler.
    pub handler: String,
    /// Reason for the rejection.
    pub reason: RejectionReason,
}

impl fmt::Display for RejectedHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.handler, self.reason)
    }
}

/// Reason why a handler was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectionReason {
    /// No handler has this id.
    Unknown,
    /// The handler serves this other type.
    OtherType(String),
    /// The handler does not support the action.
    OtherAction,
    /// The handler has this other version, or none.
    OtherVersion(Option<String>),
    /// The entry lacks this field, which the launcher needs.
    NotHere(&'static str),
    /// Another handler comes first.
    Later,
}

impl fmt::Display for RejectionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("is unknown"),
            Self::OtherType(name) => write!(f, "serves type `{name}`"),
            Self::OtherAction => f.write_str("does not support the action"),
            Self::OtherVersion(Some(version)) => write!(f, "has version `{version}`"),
            Self::OtherVersion(None) => f.write_str("has no version"),
            Self::NotHere(missing) => write!(f, "has no `{missing}`, which this launcher needs"),
            Self::Later => f.write_str("comes later"),
        }
    }
}

/// Error: no handler carries out the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoRoute {
    /// No handler serves the type.
    UnknownType {
        /// The most similar known type.
        near: Option<String>,
    },
    /// The agenda or the operation names an unknown handler.
    UnknownHandler {
        /// The unknown id.
        handler: String,
        /// The most similar known id.
        near: Option<String>,
    },
    /// The operation names a handler that does not serve it.
    Unfit(RejectedHandler),
    /// No handler of the type has the version.
    UnknownVersion {
        /// The known versions.
        known: Vec<String>,
    },
    /// No handler of the type supports the action.
    UnknownAction {
        /// The known actions.
        known: Vec<String>,
    },
    /// The handler's entry lacks the field that the launcher needs.
    NotHere {
        /// Id of the handler.
        handler: String,
        /// The field to add.
        missing: &'static str,
    },
    /// The chosen handler does not accept the stream.
    Discarded {
        /// Id of the handler.
        handler: String,
        /// The step that chose the handler.
        step: RouteStep,
        /// The streams that the handler accepts.
        inputs: Vec<String>,
    },
}

/// Chooses the handler of an operation.
///
/// The order is: the handler that the agenda assigns; the handler that the operation names; the handler of a role with
/// the stream; the first handler that serves type, action and version, where a handler whose id is the type comes
/// first; the built-in type. A chosen handler that does not accept the stream discards the operation. Exceptions are
/// handlers that the agenda assigns to operations that the run added, and the registry's `allowHandlers`.
pub fn route<'c>(catalog: &'c Catalog, request: &RouteRequest<'_>) -> Result<RoutedHandler<'c>, NoRoute> {
    let mut rejected = Vec::new();
    match assigned(catalog, request, &mut rejected)? {
        Some((entry, step)) => route_to(catalog, request, entry, step, rejected),
        None => first_serving(catalog, request, rejected),
    }
}

/// The handler assigned by agenda, operation or role, if it serves the operation.
fn assigned<'c>(
    catalog: &'c Catalog,
    request: &RouteRequest<'_>,
    rejected: &mut Vec<RejectedHandler>,
) -> Result<Option<(&'c Entry, RouteStep)>, NoRoute> {
    let mut fitting = |id: &str, step: RouteStep| match fit(catalog, id, request) {
        Ok(entry) => Some((entry, step)),
        Err(reason) => {
            rejected.push(RejectedHandler { handler: id.to_owned(), reason });
            None
        }
    };
    if let Some(id) = request.assigned {
        check_known(catalog, id)?;
        let step = if request.stream == LOCAL { RouteStep::AssignedLocal } else { RouteStep::Assigned };
        if let Some(found) = fitting(id, step) {
            return Ok(Some(found));
        }
    }
    if let Some(id) = request.handler {
        check_known(catalog, id)?;
        return match fit(catalog, id, request) {
            Ok(entry) => Ok(Some((entry, RouteStep::Named))),
            Err(reason) => Err(NoRoute::Unfit(RejectedHandler { handler: id.to_owned(), reason })),
        };
    }
    let has_stream = |inputs: &[String]| inputs.iter().any(|input| input == request.stream);
    let roles = catalog.routing().roles.iter().filter(|role| has_stream(&role.inputs));
    Ok(roles
        .map(|role| (role, RouteStep::Role(role.name.clone())))
        .find_map(|(role, step)| fitting(&role.handler, step)))
}

fn check_known(catalog: &Catalog, id: &str) -> Result<(), NoRoute> {
    if catalog.handler(id).is_some() {
        return Ok(());
    }
    let near = nearest(id, catalog.entries().map(|entry| entry.id.as_str())).map(str::to_owned);
    Err(NoRoute::UnknownHandler { handler: id.to_owned(), near })
}

/// The handler with this id, if it serves type, action and version.
fn fit<'c>(catalog: &'c Catalog, id: &str, request: &RouteRequest<'_>) -> Result<&'c Entry, RejectionReason> {
    let entry = catalog.handler(id).ok_or(RejectionReason::Unknown)?;
    if entry.name != request.handler_type {
        return Err(RejectionReason::OtherType(entry.name.clone()));
    }
    check_serves(entry, request).map(|()| entry)
}

/// Checks that a handler of the type has the version and supports the action.
fn check_serves(entry: &Entry, request: &RouteRequest<'_>) -> Result<(), RejectionReason> {
    if request.version.is_some_and(|version| entry.version.as_deref() != Some(version)) {
        return Err(RejectionReason::OtherVersion(entry.version.clone()));
    }
    if request.action.is_some_and(|action| !entry.has_action(action)) {
        return Err(RejectionReason::OtherAction);
    }
    Ok(())
}

/// The first handler that serves the operation, else the built-in type.
fn first_serving<'c>(
    catalog: &'c Catalog,
    request: &RouteRequest<'_>,
    mut rejected: Vec<RejectedHandler>,
) -> Result<RoutedHandler<'c>, NoRoute> {
    let mut of_type: Vec<&Entry> = catalog.of_type(request.handler_type).collect();
    if request.version.is_none() {
        // the default version comes first; the sort keeps the order of the others
        of_type.sort_by_key(|entry| entry.id != request.handler_type);
    }
    let mut found: Option<&Entry> = None;
    for entry in &of_type {
        let reason = match check_serves(entry, request) {
            Err(reason) => reason,
            Ok(()) if found.is_some() => RejectionReason::Later,
            Ok(()) => match entry.target(request.on) {
                Ok(_) => {
                    found = Some(entry);
                    continue;
                }
                Err(missing) => RejectionReason::NotHere(missing),
            },
        };
        if rejected.iter().all(|other| other.handler != entry.id) {
            rejected.push(RejectedHandler { handler: entry.id.clone(), reason });
        }
    }
    match (found, built_in(request.handler_type).filter(|_| request.version.is_none())) {
        (Some(entry), _) => route_to(catalog, request, entry, RouteStep::First, rejected),
        (None, Some(target)) => Ok(RoutedHandler { target, entry: None, step: RouteStep::BuiltIn, rejected }),
        (None, None) => Err(no_route(catalog, request, &of_type)),
    }
}

/// The reason why no handler of the type serves the operation.
fn no_route(catalog: &Catalog, request: &RouteRequest<'_>, of_type: &[&Entry]) -> NoRoute {
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
    match of_type.iter().find_map(|entry| {
        Some((entry, check_serves(entry, request).ok().and(entry.target(request.on).err())?))
    }) {
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

/// Routes the operation to the chosen handler, unless the handler does not accept its stream.
fn route_to<'c>(
    catalog: &Catalog,
    request: &RouteRequest<'_>,
    entry: &'c Entry,
    step: RouteStep,
    rejected: Vec<RejectedHandler>,
) -> Result<RoutedHandler<'c>, NoRoute> {
    let accepts = |inputs: &Vec<String>| inputs.iter().any(|input| input == request.stream);
    let is_open = step == RouteStep::AssignedLocal || catalog.routing().allow_handlers;
    if let Some(inputs) = entry.inputs.as_ref().filter(|inputs| !is_open && !accepts(inputs)) {
        return Err(NoRoute::Discarded { handler: entry.id.clone(), step, inputs: inputs.clone() });
    }
    match entry.target(request.on) {
        Ok(target) => Ok(RoutedHandler { target, entry: Some(entry), step, rejected }),
        Err(missing) => Err(NoRoute::NotHere { handler: entry.id.clone(), missing }),
    }
}

#[cfg(test)]
mod tests;
