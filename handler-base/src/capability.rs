//! Handlers with capabilities: one trait for each capability, and the handler that dispatches calls to them.

mod call;
mod serve;

pub use call::{Binding, CallPayload, CallResult};

use crate::{About, Conduit, HandlerError};
use pop_contract::{
    BindReport, CleanReport, ContentReport, Method, NOT_IMPLEMENTED, ProfileReport, RebootReport,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::future::Future;

/// The options of a call.
pub type Options = Map<String, Value>;

/// Installs, updates, uninstalls and lists units of one or more content types.
#[expect(unused_variables, reason = "the default methods do not use their parameters")]
pub trait ContentHandler {
    /// A unit of content; [`Value`] accepts any JSON.
    type Unit: DeserializeOwned + JsonSchema;

    /// The methods that the handler implements.
    const METHODS: &'static [Method] = &[Method::Install, Method::Update, Method::Uninstall, Method::Profile];

    /// The handler's description, without methods and schemas.
    fn about(&self) -> About {
        About::default()
    }

    /// Installs units. An installed unit is no change.
    fn install(
        &self,
        units: Vec<Self::Unit>,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<ContentReport, HandlerError>> {
        async { Err(not_implemented("content", "install")) }
    }

    /// Updates units.
    fn update(
        &self,
        units: Vec<Self::Unit>,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<ContentReport, HandlerError>> {
        async { Err(not_implemented("content", "update")) }
    }

    /// Uninstalls units. A missing unit is no change.
    fn uninstall(
        &self,
        units: Vec<Self::Unit>,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<ContentReport, HandlerError>> {
        async { Err(not_implemented("content", "uninstall")) }
    }

    /// Lists the installed units.
    fn profile(
        &self,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<ProfileReport, HandlerError>> {
        async { Err(not_implemented("content", "profile")) }
    }
}

/// Adds and removes a machine's bindings to repositories.
#[expect(unused_variables, reason = "the default methods do not use their parameters")]
pub trait BindHandler {
    /// The methods that the handler implements.
    const METHODS: &'static [Method] = &[Method::Bind, Method::Unbind, Method::Clean];

    /// The handler's description, without methods and schemas.
    fn about(&self) -> About {
        About::default()
    }

    /// Adds or updates a binding.
    fn bind(
        &self,
        binding: Binding,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<BindReport, HandlerError>> {
        async { Err(not_implemented("bind", "bind")) }
    }

    /// Removes a binding. A missing binding is a success without changes.
    fn unbind(
        &self,
        repo_id: &str,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<BindReport, HandlerError>> {
        async { Err(not_implemented("bind", "unbind")) }
    }

    /// Removes everything that the handler created.
    fn clean(&self, conduit: &mut Conduit<'_>) -> impl Future<Output = Result<CleanReport, HandlerError>> {
        async { Err(not_implemented("bind", "clean")) }
    }
}

/// Acts on a machine as a whole. The type is the name of the operating system.
#[expect(unused_variables, reason = "the default methods do not use their parameters")]
pub trait SystemHandler {
    /// The methods that the handler implements.
    const METHODS: &'static [Method] = &[Method::Reboot];

    /// The handler's description, without methods and schemas.
    fn about(&self) -> About {
        About::default()
    }

    /// Schedules a restart of the machine for after the end of this call.
    fn reboot(
        &self,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<RebootReport, HandlerError>> {
        async { Err(not_implemented("system", "reboot")) }
    }
}

impl ContentHandler for () {
    type Unit = Value;
    const METHODS: &'static [Method] = &[];
}

impl BindHandler for () {
    const METHODS: &'static [Method] = &[];
}

impl SystemHandler for () {
    const METHODS: &'static [Method] = &[];
}

/// The capabilities of one program, each with its implementation. This is a handler for
/// [`run_handler`](crate::run_handler), [`InMemory`](crate::InMemory) and [`process`](crate::process).
///
/// A program may serve several types: [`Conduit::type_id`] is the type of the current call.
///
/// ```
/// use pop_handler_base::{Capabilities, Conduit, ContentHandler, ContentReport, HandlerError, InMemory, Options};
/// use serde_json::json;
///
/// struct Fonts;
/// impl ContentHandler for Fonts {
///     type Unit = String;
///     async fn install(
///         &self,
///         units: Vec<String>,
///         options: &Options,
///         conduit: &mut Conduit<'_>,
///     ) -> Result<ContentReport, HandlerError> {
///         let count = units.len() as u64;
///         let mut report = ContentReport::default();
///         report.set_succeeded([("installed", units)], count);
///         Ok(report)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let handler = Capabilities::new().content(Fonts);
/// let call = json!({"capability": "content", "method": "install", "type": "font", "units": ["serif"]});
/// let run = InMemory::default().run(&handler, &call).await;
/// let report = json!({"succeeded": true, "details": {"installed": ["serif"]}, "num_changes": 1});
/// assert_eq!(run.report.result, Some(report));
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Capabilities<C = (), B = (), S = ()> {
    content: C,
    bind: B,
    system: S,
}

impl Capabilities {
    /// Creates a handler without capabilities.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<C, B, S> Capabilities<C, B, S> {
    /// Adds or replaces the capability `content`.
    pub fn content<H: ContentHandler>(self, content: H) -> Capabilities<H, B, S> {
        Capabilities { content, bind: self.bind, system: self.system }
    }

    /// Adds or replaces the capability `bind`.
    pub fn bind<H: BindHandler>(self, bind: H) -> Capabilities<C, H, S> {
        Capabilities { content: self.content, bind, system: self.system }
    }

    /// Adds or replaces the capability `system`.
    pub fn system<H: SystemHandler>(self, system: H) -> Capabilities<C, B, H> {
        Capabilities { content: self.content, bind: self.bind, system }
    }
}

fn not_implemented(capability: &str, method: &str) -> HandlerError {
    HandlerError::new(format!("`{capability}.{method}` is not implemented by this handler"))
        .code(NOT_IMPLEMENTED)
}

#[cfg(test)]
mod tests;
