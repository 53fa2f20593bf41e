//! What a handler with a capability is, and the program or test that serves its calls.

mod call;
mod serve;

pub use call::{Binding, CallPayload, Reported};

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
#[expect(unused_variables, reason = "what stands in for a method uses nothing")]
pub trait ContentHandler {
    /// What names a unit; [`Value`] takes any.
    type Unit: DeserializeOwned + JsonSchema;

    /// The methods that it has.
    const METHODS: &'static [Method] = &[Method::Install, Method::Update, Method::Uninstall, Method::Profile];

    /// What it says about itself, besides its methods.
    fn about(&self) -> About {
        About::default()
    }

    /// Installs units; those that are there already are no change.
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

    /// Uninstalls units; those that are not there are no change.
    fn uninstall(
        &self,
        units: Vec<Self::Unit>,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<ContentReport, HandlerError>> {
        async { Err(not_implemented("content", "uninstall")) }
    }

    /// Tells which units are installed.
    fn profile(
        &self,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<ProfileReport, HandlerError>> {
        async { Err(not_implemented("content", "profile")) }
    }
}

/// Configures a machine to use repositories, and no longer to use them.
#[expect(unused_variables, reason = "what stands in for a method uses nothing")]
pub trait BindHandler {
    /// The methods that it has.
    const METHODS: &'static [Method] = &[Method::Bind, Method::Unbind, Method::Clean];

    /// What it says about itself, besides its methods.
    fn about(&self) -> About {
        About::default()
    }

    /// Adds a binding, or brings it up to date.
    fn bind(
        &self,
        binding: Binding,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<BindReport, HandlerError>> {
        async { Err(not_implemented("bind", "bind")) }
    }

    /// Removes a binding; one that is not there is a success without changes.
    fn unbind(
        &self,
        repo_id: &str,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> impl Future<Output = Result<BindReport, HandlerError>> {
        async { Err(not_implemented("bind", "unbind")) }
    }

    /// Removes all that the handler made.
    fn clean(&self, conduit: &mut Conduit<'_>) -> impl Future<Output = Result<CleanReport, HandlerError>> {
        async { Err(not_implemented("bind", "clean")) }
    }
}

/// Does what concerns a machine as a whole; its type is the name of the operating system.
#[expect(unused_variables, reason = "what stands in for a method uses nothing")]
pub trait SystemHandler {
    /// The methods that it has.
    const METHODS: &'static [Method] = &[Method::Reboot];

    /// What it says about itself, besides its methods.
    fn about(&self) -> About {
        About::default()
    }

    /// Has the machine restart soon: later than this call ends.
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

/// The capabilities of one program, each with what has it: a handler for [`run_handler`](crate::run_handler),
/// [`InMemory`](crate::InMemory) and [`process`](crate::process).
///
/// It may serve several types: [`Conduit::type_id`] tells which one is meant.
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
    /// None.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<C, B, S> Capabilities<C, B, S> {
    /// The same with `content`.
    pub fn content<H: ContentHandler>(self, content: H) -> Capabilities<H, B, S> {
        Capabilities { content, bind: self.bind, system: self.system }
    }

    /// The same with `bind`.
    pub fn bind<H: BindHandler>(self, bind: H) -> Capabilities<C, H, S> {
        Capabilities { content: self.content, bind, system: self.system }
    }

    /// The same with `system`.
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
