//! The entry point of a handler program: reads launch data, runs the handler, returns the exit status.

use crate::cancel::Cancellation;
use crate::clients::{external_launcher, reporter};
use crate::external::STOP_GRACE;
use crate::program::{
    EXIT_BAD_LAUNCH_DATA, EXIT_FAILED, EXIT_SUCCEEDED, GRACE, MaskingReporter, now, own_secrets,
    prior_progress, say,
};
use crate::serve::{Surroundings, serve};
use crate::{ContextParts, Handler, HandlerError, OperationContext, cluster, describe, process};
use pop_contract::{Description, HANDLER_COMPLETE};
use pop_field_retriever::{DefaultLaunchData, Defaults, Environment, Flag, LaunchDataWrapper};
use pop_launchers::process::ExecutorSocket;
use pop_launchers::{Launcher, Setting};
use pop_warm::SOCKET_VARIABLE;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

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
    let socket = launch.environment().value(SOCKET_VARIABLE).map(str::to_owned);
    let input = match &socket {
        // each operation comes with its own
        Some(_) => Ok((Arc::from(""), None)),
        None => launch
            .payload()
            .map_err(|error| format!("error: {}", HandlerError::from(error).message()))
            .and_then(|payload| Ok((payload.value, prior_progress(launch.as_ref())?))),
    };
    let (payload, prior) = match input {
        Ok(input) => input,
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
    if let Some(socket) = socket {
        return serve_at(handler, &socket, &Surroundings { launch, launcher, mask: own_secrets() });
    }
    let closing = Arc::clone(&launcher);
    let reporter = match reporter(launch.as_ref(), &own_cluster) {
        Ok(reporter) => Box::new(MaskingReporter { reporter, mask: own_secrets() }),
        Err(error) => {
            say(&format!("error: cannot start the reporter: {error}"));
            return EXIT_FAILED;
        }
    };
    let Some(runtime) = event_loop() else { return EXIT_FAILED };
    let cid = launch.cid().map_or_else(|| uuid::Uuid::new_v4().to_string(), |found| found.value);
    log_metadata(launch.as_ref(), &cid);
    let succeeded = runtime.block_on(async {
        // before the work, which may report its end at once: a signal after that must not kill the process
        let stop = stop_requested();
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
            () = stop_deadline(stop, &canceller) => false,
        }
    });
    close(runtime, &closing);
    // not by the log: readers expect this line at every log level
    say(HANDLER_COMPLETE);
    if succeeded { EXIT_SUCCEEDED } else { EXIT_FAILED }
}

/// Serves operations over the socket with this descriptor or path.
fn serve_at<H: Handler>(handler: &H, socket: &str, surroundings: &Surroundings) -> u8 {
    let Some(runtime) = event_loop() else { return EXIT_FAILED };
    let status = runtime.block_on(async {
        let socket = match ExecutorSocket::open(socket) {
            Ok(socket) => socket,
            Err(error) => {
                say(&format!("error: `{SOCKET_VARIABLE}` is `{socket}`: {error}"));
                return EXIT_BAD_LAUNCH_DATA;
            }
        };
        serve(handler, socket, surroundings, stop_requested()).await
    });
    close(runtime, &surroundings.launcher);
    status
}

fn event_loop() -> Option<Runtime> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.inspect_err(|error| say(&format!("error: cannot start the event loop: {error}"))).ok()
}

/// Removes containers and pods of external programs. Does not wait for work on other threads.
fn close(runtime: Runtime, launcher: &Arc<dyn Launcher>) {
    runtime.block_on(async {
        tokio::time::timeout(CLOSING, launcher.close()).await.ok();
    });
    runtime.shutdown_background();
}

/// Waits for `stop`, cancels the handler, and returns after the grace time.
async fn stop_deadline(stop: impl Future<Output = ()>, canceller: &crate::Canceller) {
    stop.await;
    warn!("asked to stop");
    canceller.cancel();
    tokio::time::sleep(GRACE).await;
    warn!("did not stop within {} seconds", GRACE.as_secs());
}

/// Catches SIGTERM and SIGINT from this call on. The result waits for the first of them.
fn stop_requested() -> impl Future<Output = ()> {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    async move {
        let [Ok(mut terminate), Ok(mut interrupt)] = kinds else { return std::future::pending().await };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
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
