//! Dispatches a call to its method and converts every end of the method to a report.

use super::{
    BindHandler, CallPayload, CallResult, Capabilities, ContentHandler, SystemHandler, not_implemented,
};
use crate::panics::{Panic, catch_panic};
use crate::{About, Conduit, Handler, HandlerError, OperationContext};
use pop_contract::{Capability, HandlerReport, Method, NOT_IMPLEMENTED, PROGRESS_LIMIT, REPORT_CODE};
use serde_json::{Value, json};

/// Longest failed report that is sent whole, in bytes. The rest of the progress limit is for the other fields.
const LONGEST_REPORT: usize = PROGRESS_LIMIT / 2;
/// Longest message that is made of a report, in characters.
const LONGEST_MESSAGE: usize = 500;

impl<C: ContentHandler, B: BindHandler, S: SystemHandler> Handler for Capabilities<C, B, S> {
    type Input = CallPayload<C::Unit>;
    type Output = CallResult;

    fn about(&self) -> About {
        let mut about = self.content.about().and(self.bind.about()).and(self.system.about());
        for capability in [Capability::Content, Capability::Bind, Capability::System] {
            for method in Self::methods(capability) {
                about = about.action(&format!("{capability}.{method}"), meaning(*method));
            }
        }
        about
            .error("payload", "the payload is not a call")
            .error(NOT_IMPLEMENTED, "the handler does not have the method")
            .error(REPORT_CODE, "the method failed; the payload of the diagnostic is its report")
    }

    async fn run(
        &self,
        input: Self::Input,
        context: &mut OperationContext,
    ) -> Result<CallResult, HandlerError> {
        let name = format!("{}.{}", input.capability, input.method);
        let binding = input.binding.as_ref().map(|binding| &binding.repo_id);
        let repo_id = binding.or(input.repo_id.as_ref()).cloned();
        let is_reboot = input.method == Method::Reboot.as_str();
        let mut conduit = Conduit::new(context, &input.type_id);
        let mut report = match catch_panic(self.call(input, &mut conduit)).await {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => error_report(error)?,
            Err(Panic { message, location }) => HandlerReport::of_error(message, location),
        };
        report.repo_id = report.repo_id.or(repo_id);
        if is_reboot {
            report.reboot_scheduled.get_or_insert(report.succeeded);
        }
        if report.succeeded { Ok(CallResult(report)) } else { Err(failed(&name, report, context)) }
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
        let Some(implemented) = methods.iter().find(|known| known.as_str() == method) else {
            return Err(not_implemented(&capability, &method));
        };
        match implemented {
            Method::Install => self.content.install(required(units, "units")?, &options, conduit).await,
            Method::Update => self.content.update(required(units, "units")?, &options, conduit).await,
            Method::Uninstall => self.content.uninstall(required(units, "units")?, &options, conduit).await,
            Method::Profile => self.content.profile(conduit).await,
            Method::Bind => self.bind.bind(required(binding, "binding")?, &options, conduit).await,
            Method::Unbind => self.bind.unbind(&required(repo_id, "repo_id")?, &options, conduit).await,
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
        Method::Profile => "lists the installed units",
        Method::Bind => "adds or updates `binding`",
        Method::Unbind => "removes the binding of `repo_id`",
        Method::Clean => "removes everything that the handler created",
        Method::Reboot => "schedules a restart of the machine",
    }
}

fn required<T>(value: Option<T>, field: &str) -> Result<T, HandlerError> {
    value.ok_or_else(|| HandlerError::new(format!("the payload has no `{field}`")).code("payload"))
}

/// Converts an error of a method to a report. An error that another attempt would repeat stays an error.
fn error_report(error: HandlerError) -> Result<HandlerReport, HandlerError> {
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
    let reason = report.details.get("message").and_then(Value::as_str).map(str::to_owned);
    let reason = reason.unwrap_or_else(|| Value::Object(report.details.clone()).to_string());
    let reason: String = reason.chars().take(LONGEST_MESSAGE).collect();
    let message = format!("`{name}` failed: {reason}");
    context.log(&message);
    let payload = whole_or_cut(report, &reason, context);
    HandlerError::new(message).code(REPORT_CODE).payload(payload)
}

/// Converts the report to JSON. The details of a report that is too long go to the log instead.
fn whole_or_cut(report: HandlerReport, reason: &str, context: &mut OperationContext) -> Value {
    let whole = json!(report);
    let text = whole.to_string();
    if text.len() <= LONGEST_REPORT {
        return whole;
    }
    context.log(text.as_str());
    let mut cut = report;
    cut.set_failed([
        ("message", json!(reason)),
        ("trace", json!("")),
        ("omitted", json!(format!("{} bytes, see the log", text.len()))),
    ]);
    json!(cut)
}
