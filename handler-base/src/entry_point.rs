//! The entry point of a handler program: reads launch data, runs the handler, returns the exit status.

use crate::cancel::Cancellation;
use crate::clients::{external_launcher, reporter};
use crate::external::STOP_GRACE;
use crate::{ContextParts, Handler, HandlerError, OperationContext, Progress, cluster, describe, process};
use pop_contract::{Description, HANDLER_COMPLETE, Millis};
use pop_field_retriever::names::environment;
use pop_field_retriever::{DefaultLaunchData, Defaults, Environment, Flag, LaunchDataWrapper};
use pop_launchers::Mask;
use pop_launchers::Setting;
use pop_reporters::status::StatusReporter;
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// Exit status of a succeeded operation.
pub const EXIT_SUCCEEDED: u8 = 0;
/// Exit status of a failed operation; the report has the reason.
pub const EXIT_FAILED: u8 = 1;
/// Exit status for wrong launch data; the work did not start.
pub const EXIT_BAD_LAUNCH_DATA: u8 = 2;

/// Time from a stop request to the end of a handler that does not stop by itself.
const GRACE: Duration = Duration::from_secs(8);

/// Longest time for removing containers and pods of external programs at the end.
const CLOSING: Duration = Duration::from_secs(10);

/// Runs a handler as this process. This is the body of `main`.
///
/// Returns exit status 0 for success, 1 for failure and 2 for wrong launch data.
pub fn run_handler<H: Handler>(handler: &H) -> ExitCode {
    let code = match launch_data() {
        Ok(launch) if launch.arguments().has(Flag::Help) || launch.arguments().has(Flag::Version) => usage(),
        Ok(launch) if launch.arguments().has(Flag::Describe) => print_description(handler),
        Ok(launch) => run(handler, Arc::new(launch)),
        Err(message) => {
            say(&message);
            EXIT_BAD_LAUNCH_DATA
        }
    };
    ExitCode::from(code)
}

/// Prints the arguments of a handler program.
fn usage() -> u8 {
    let program = std::env::args().next().unwrap_or_default();
    let text = format!(
        "{program}: a handler of pop (toolkit {})\n\n\
         --launchType TYPE           launcher of this handler: local, docker, kubernetes [default: kubernetes]\n\
         --externalLaunchType TYPE   launcher of its external programs [default: kubernetes]\n\
         --propFile FILE             read properties from a Java .properties file\n\
         --payloadFile FILE          read the payload from a file [default: the variable PAYLOAD]\n\
         --lastProgressFile FILE     read the progress of an earlier attempt [default: the variable LAST_PROGRESS]\n\
         --describe                  print the description with JSON Schemas of payload and result\n\n\
         Exit status: 0 succeeded, 1 failed, 2 wrong launch data.\n",
        env!("CARGO_PKG_VERSION")
    );
    // a closed standard output is no error here
    std::io::stdout().write_all(text.as_bytes()).ok();
    EXIT_SUCCEEDED
}

/// Prints the description as one JSON object.
fn print_description<H: Handler>(handler: &H) -> u8 {
    let program = std::env::args_os().next().map(PathBuf::from);
    let name = program.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let described = Description { name, ..describe(handler) };
    let printed = serde_json::to_string_pretty(&described).map_err(std::io::Error::from);
    match printed.and_then(|text| writeln!(std::io::stdout(), "{text}")) {
        Ok(()) => EXIT_SUCCEEDED,
        Err(error) => {
            say(&format!("error: cannot print the description: {error}"));
            EXIT_FAILED
        }
    }
}

fn launch_data() -> Result<DefaultLaunchData, String> {
    let arguments = std::env::args_os().skip(1);
    let launch = DefaultLaunchData::load(arguments, Environment::capture(), &Defaults::handler());
    launch.map_err(|error| {
        let hint = error.hint().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
        format!("error: {}{hint}", HandlerError::from(error).message())
    })
}

fn run<H: Handler>(handler: &H, launch: Arc<DefaultLaunchData>) -> u8 {
    start_log(launch.as_ref());
    for warning in launch.properties().warnings() {
        warn!("{warning}");
    }
    let payload = match launch.payload() {
        Ok(found) => found.value,
        Err(error) => {
            say(&format!("error: {}", HandlerError::from(error).message()));
            return EXIT_BAD_LAUNCH_DATA;
        }
    };
    let prior = match prior_progress(launch.as_ref()) {
        Ok(prior) => prior,
        Err(message) => {
            say(&message);
            return EXIT_BAD_LAUNCH_DATA;
        }
    };
    let folder = std::env::current_dir().unwrap_or_default();
    let cluster = match cluster(launch.as_ref()) {
        Ok(cluster) => cluster,
        Err(error) => {
            say(&format!("error: {}", HandlerError::from(error).message()));
            return EXIT_BAD_LAUNCH_DATA;
        }
    };
    let surroundings = std::env::vars_os().collect();
    let own_cluster = cluster.clone();
    let setting = Setting { surroundings, folder, cluster, grace: Some(STOP_GRACE), ..Setting::default() };
    let launcher = external_launcher(launch.external_launch_type().value, setting);
    let reporter = match reporter(launch.as_ref(), &own_cluster) {
        Ok(reporter) => Box::new(MaskingReporter { reporter, mask: own_secrets() }),
        Err(error) => {
            say(&format!("error: cannot start the reporter: {error}"));
            return EXIT_FAILED;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("error: cannot start the event loop: {error}"));
            return EXIT_FAILED;
        }
    };
    let closing = Arc::clone(&launcher);
    let cid = launch.cid().map_or_else(|| uuid::Uuid::new_v4().to_string(), |found| found.value);
    log_metadata(launch.as_ref(), &cid);
    let succeeded = runtime.block_on(async {
        let (canceller, cancellation) = Cancellation::new();
        let operation = launch.operation_name().map(|found| found.value);
        let mut context = OperationContext::new(ContextParts {
            operation,
            log: Box::new(|line| info!("{line}")),
            launch: launch as Arc<dyn LaunchDataWrapper>,
            reporter,
            cancellation,
            launcher,
            clock: now,
            cid,
            prior,
        });
        tokio::select! {
            // an undelivered result is no success
            report = process(handler, &payload, &mut context) => report.is_succeeded() && context.is_delivered(),
            () = stop_deadline(&canceller) => false,
        }
    });
    runtime.block_on(async {
        // removes containers and pods of external programs
        tokio::time::timeout(CLOSING, closing.close()).await.ok();
    });
    // does not wait for work on other threads
    runtime.shutdown_background();
    // not by the log: readers expect this line at every log level
    say(HANDLER_COMPLETE);
    if succeeded { EXIT_SUCCEEDED } else { EXIT_FAILED }
}

/// A mask for this program's secrets: the values of the variables that `POP_SECRETS` names.
fn own_secrets() -> Mask {
    let names = std::env::var(environment::SECRETS).unwrap_or_default();
    let values = names.split(',').filter(|name| !name.is_empty()).filter_map(|name| std::env::var(name).ok());
    Mask::new(values.filter(|value| value.len() >= Mask::SHORTEST))
}

/// A reporter that masks secrets.
struct MaskingReporter {
    reporter: Box<dyn StatusReporter>,
    mask: Mask,
}

impl StatusReporter for MaskingReporter {
    fn report(&mut self, progress: &Progress, result: Option<&Value>) -> std::io::Result<()> {
        if self.mask.is_empty() {
            return self.reporter.report(progress, result);
        }
        let mut masked = serde_json::to_value(progress)?;
        self.mask.value(&mut masked);
        let progress: Progress = serde_json::from_value(masked)?;
        let result = result.cloned().map(|mut result| {
            self.mask.value(&mut result);
            result
        });
        self.reporter.report(&progress, result.as_ref())
    }
}

/// Waits for SIGTERM or SIGINT, cancels the handler, and returns after the grace time.
async fn stop_deadline(canceller: &crate::Canceller) {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = kinds else { return std::future::pending().await };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    warn!("asked to stop");
    canceller.cancel();
    tokio::time::sleep(GRACE).await;
    warn!("did not stop within {} seconds", GRACE.as_secs());
}

fn prior_progress(launch: &dyn LaunchDataWrapper) -> Result<Option<Progress>, String> {
    let found =
        launch.last_progress().map_err(|error| format!("error: {}", HandlerError::from(error).message()))?;
    Ok(found.and_then(|found| {
        serde_json::from_str(&found.value)
            .inspect_err(|error| warn!("cannot read the last progress, ignoring it: {error}"))
            .ok()
    }))
}

fn start_log(launch: &dyn LaunchDataWrapper) {
    let wanted = launch.log_level().map(|found| found.value);
    let level: Option<tracing::Level> = wanted.as_ref().and_then(|text| text.trim().parse().ok());
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(level.unwrap_or(tracing::Level::INFO));
    // fails if the process has a log already, for example of another handler
    log.try_init().ok();
    if let (Some(wanted), None) = (wanted, level) {
        warn!("unknown LOG_LEVEL `{wanted}` is ignored; use ERROR, WARN, INFO, DEBUG or TRACE");
    }
}

/// Logs the identity of the operation, without the payload, which may have secrets.
fn log_metadata(launch: &dyn LaunchDataWrapper, cid: &str) {
    let text = |found: Option<pop_field_retriever::Found<String>>| {
        found.map(|found| found.value).unwrap_or_default()
    };
    info!(
        cid,
        operation = text(launch.operation_name()),
        operation_id = text(launch.operation_id()),
        agenda_id = text(launch.agenda_id()),
        customer_id = text(launch.customer_id()),
        progress_id = text(launch.progress_id()),
        "handler started"
    );
}

fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}

fn say(message: &str) {
    // an error of standard error cannot be reported
    writeln!(std::io::stderr(), "{message}").ok();
}
