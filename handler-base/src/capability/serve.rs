//! One call from its payload to its report, whatever becomes of the method.

use super::{
    BindHandler, CallPayload, Capabilities, ContentHandler, Reported, SystemHandler, not_implemented,
};
use crate::panics::{Panic, caught};
use crate::{About, Conduit, Handler, HandlerError, OperationContext};
use pop_contract::{Capability, HandlerReport, Method, NOT_IMPLEMENTED, PROGRESS_LIMIT, REPORT_CODE};
use serde_json::{Value, json};

/// The longest report of failure that is told whole; the progress that carries it has more to say.
const LONGEST_REPORT: usize = PROGRESS_LIMIT / 2;
/// The longest sentence that is made of a report, in characters.
const LONGEST_SENTENCE: usize = 500;

impl<C: ContentHandler, B: BindHandler, S: SystemHandler> Handler for Capabilities<C, B, S> {
    type Input = CallPayload<C::Unit>;
    type Output = Reported;

    fn about(&self) -> About {
        let mut about = self.content.about().and(self.bind.about()).and(self.system.about());
        for capability in [Capability::Content, Capability::Bind, Capability::System] {
            for method in Self::methods(capability) {
                about = about.action(&format!("{capability}.{method}"), meaning(*method));
            }
        }
        about
            .error("payload", "the payload is no call")
            .error(NOT_IMPLEMENTED, "the handler does not have the method")
            .error(REPORT_CODE, "the method failed; the payload of the diagnostic is its report")
    }

    async fn run(
        &self,
        input: Self::Input,
        context: &mut OperationContext,
    ) -> Result<Reported, HandlerError> {
        let name = format!("{}.{}", input.capability, input.method);
        let binding = input.binding.as_ref().map(|binding| &binding.repo_id);
        let repo_id = binding.or(input.repo_id.as_ref()).cloned();
        let is_reboot = input.method == Method::Reboot.as_str();
        let mut conduit = Conduit::new(context, &input.type_id);
        let mut report = match caught(self.call(input, &mut conduit)).await {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => of_error(error)?,
            Err(Panic { message, place }) => HandlerReport::of_error(message, place),
        };
        report.repo_id = report.repo_id.or(repo_id);
        if is_reboot {
            report.reboot_scheduled.get_or_insert(report.succeeded);
        }
        if report.succeeded { Ok(Reported(report)) } else { Err(failed(&name, report, context)) }
    }
}

impl<C: ContentHandler, B: BindHandler, S: SystemHandler> Capabilities<C, B, S> {
    fn methods(capability: Capability) -> &'static [Method] {
        match capability {
            Capability::Content => C::METHODS,
            Capability::Bind => B::METHODS,
            Capability::System => S::METHODS,
        }
    }

    async fn call(
        &self,
        call: CallPayload<C::Unit>,
        conduit: &mut Conduit<'_>,
    ) -> Result<HandlerReport, HandlerError> {
        let CallPayload { capability, method, units, binding, repo_id, options, .. } = call;
        let known = [Capability::Content, Capability::Bind, Capability::System];
        let known = known.into_iter().find(|known| known.as_str() == capability);
        let methods = known.map_or(&[] as &[_], Self::methods);
        let Some(asked) = methods.iter().find(|asked| asked.as_str() == method) else {
            return Err(not_implemented(&capability, &method));
        };
        match asked {
            Method::Install => self.content.install(needed(units, "units")?, &options, conduit).await,
            Method::Update => self.content.update(needed(units, "units")?, &options, conduit).await,
            Method::Uninstall => self.content.uninstall(needed(units, "units")?, &options, conduit).await,
            Method::Profile => self.content.profile(conduit).await,
            Method::Bind => self.bind.bind(needed(binding, "binding")?, &options, conduit).await,
            Method::Unbind => self.bind.unbind(&needed(repo_id, "repo_id")?, &options, conduit).await,
            Method::Clean => self.bind.clean(conduit).await,
            Method::Reboot => self.system.reboot(&options, conduit).await,
        }
    }
}

fn meaning(method: Method) -> &'static str {
    match method {
        Method::Install => "installs `units`",
        Method::Update => "updates `units`",
        Method::Uninstall => "uninstalls `units`",
        Method::Profile => "tells which units are installed",
        Method::Bind => "adds or updates `binding`",
        Method::Unbind => "removes the binding of `repo_id`",
        Method::Clean => "removes all that it made",
        Method::Reboot => "has the machine restart",
    }
}

fn needed<T>(value: Option<T>, field: &str) -> Result<T, HandlerError> {
    value.ok_or_else(|| HandlerError::new(format!("the payload has no `{field}`")).code("payload"))
}

/// An error of a method becomes its report. What another attempt would meet again stays what it is.
fn of_error(error: HandlerError) -> Result<HandlerReport, HandlerError> {
    let diagnostics = error.into_diagnostics();
    let is_final = |code: Option<&str>| matches!(code, Some("payload" | NOT_IMPLEMENTED));
    if diagnostics.iter().any(|event| is_final(event.status_code.as_deref())) {
        return Err(HandlerError::several(diagnostics));
    }
    let messages: Vec<&str> = diagnostics.iter().map(|event| event.message.as_str()).collect();
    let trace = diagnostics.iter().find_map(|event| event.stack_trace.clone());
    Ok(HandlerReport::of_error(messages.join("; "), trace.unwrap_or_default()))
}

/// The failure that carries a report.
fn failed(name: &str, report: HandlerReport, context: &mut OperationContext) -> HandlerError {
    let said = report.details.get("message").and_then(Value::as_str).map(str::to_owned);
    let said = said.unwrap_or_else(|| Value::Object(report.details.clone()).to_string());
    let said: String = said.chars().take(LONGEST_SENTENCE).collect();
    let message = format!("`{name}` failed: {said}");
    context.log(&message);
    let carried = whole_or_cut(report, &said, context);
    HandlerError::new(message).code(REPORT_CODE).payload(carried)
}

/// The report as JSON; the details of one that is too long to be told go into the log.
fn whole_or_cut(report: HandlerReport, said: &str, context: &mut OperationContext) -> Value {
    let whole = json!(report);
    let text = whole.to_string();
    if text.len() <= LONGEST_REPORT {
        return whole;
    }
    context.log(text.as_str());
    let mut cut = report;
    cut.set_failed([
        ("message", json!(said)),
        ("trace", json!("")),
        ("omitted", json!(format!("{} bytes, which stand in the log", text.len()))),
    ]);
    json!(cut)
}
