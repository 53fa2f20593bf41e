//! `pop operator run`.

use super::Chosen;
use super::agenda_check::faults_of;
use crate::args::{HttpAddress, OperatorRunArgs, StrictArg};
use crate::commands::go::event_loop;
use crate::commands::handler_program::{ProgramSource, handler_program, program_mark};
use crate::commands::signals::hear_signals;
use crate::developer_log;
use crate::error::{CommandError, Kind};
use crate::launch_data::launch_data;
use crate::ui;
use pop_agenda_operator::{AgendaHandler, ExecutorDefaults, Surroundings};
use pop_executor::cluster;
use pop_launchers::{CallSettings, HandlerCalls};
use pop_operator::{Handler, KindConfig, OperatorConfig};
use pop_operator_program::{OperatorFile, ProgramHandler};
use pop_operator_runtime::{
    Client, HttpSettings, LeaseTarget, Operator, RuntimeError, Settings, read_object,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

/// What the cluster says of this process.
struct Connection {
    client: Client,
    namespace: String,
}

pub(super) fn run(args: &OperatorRunArgs) -> Result<u8, CommandError> {
    let chosen = Chosen::of(&args.source)?;
    developer_log::start_by_default();
    let launch = launch_data(&args.launch, StrictArg::default())?;
    let cluster = cluster(&launch)?;
    let runtime = event_loop()?;
    let _guard = runtime.enter();
    let connected = runtime.block_on(pop_launchers::client(&cluster));
    let (client, namespace) = connected.map_err(|failure| {
        let hint = "set KUBECONFIG, or run the operator in a pod with a service account";
        CommandError::new(Kind::Unreachable, failure.message).hint(hint)
    })?;
    let connection = Connection { client, namespace };
    let mut config = chosen.config();
    if let Some(namespace) = &args.namespace {
        config.namespace = Some(namespace.clone());
    }
    let settings = settings(args, &config, &connection);
    match chosen {
        Chosen::Agendas => {
            let handler = agenda_handler(args, connection.client.clone())?;
            runtime.block_on(serve(connection.client, config, handler, settings))
        }
        Chosen::File(file) => {
            let folder = tempfile::Builder::new().prefix("pop-operator-").tempdir()?;
            let calls = Arc::new(calls(args, &file, folder.path())?);
            let handler = ProgramHandler::new(Arc::clone(&calls));
            runtime.block_on(async {
                let ended = serve(connection.client, config, handler, settings).await;
                calls.close().await;
                ended
            })
        }
    }
}

fn settings(args: &OperatorRunArgs, config: &OperatorConfig, connection: &Connection) -> Settings {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let lease = (!args.no_lease).then(|| {
        let namespace = args.lease_namespace.clone().or_else(|| variable("MY_POD_NAMESPACE"));
        let namespace = namespace.unwrap_or_else(|| connection.namespace.clone());
        let name = args.lease.as_deref().unwrap_or(&config.name);
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        LeaseTarget::new(&namespace, name, &variable("MY_POD_NAME").unwrap_or(machine))
    });
    let http = match args.http {
        HttpAddress::Off => None,
        HttpAddress::At(address) => Some(HttpSettings::all(address)),
    };
    Settings { most_syncs: args.parallel as usize, lease, http, ..Settings::default() }
}

async fn serve<H: Handler>(
    client: Client,
    config: OperatorConfig,
    handler: H,
    settings: Settings,
) -> Result<u8, CommandError> {
    let (signals, mut stop) = mpsc::unbounded_channel();
    hear_signals(signals)?;
    let name = config.name.clone();
    let operator =
        Operator::bind(client, config, handler, settings).await.map_err(|error| not_run(&error))?;
    let pages = operator.http_address().map(|address| format!("; health and metrics on http://{address}"));
    ui::say(&format!("the operator `{name}` runs{}; end it with Ctrl-C", pages.unwrap_or_default()));
    let stopped = async move {
        stop.recv().await;
    };
    operator.run(stopped).await.map_err(|error| not_run(&error))?;
    ui::say(&format!("the operator `{name}` has ended"));
    Ok(0)
}

fn not_run(error: &RuntimeError) -> CommandError {
    let kind = match error {
        RuntimeError::Config(_) | RuntimeError::Listen { .. } => Kind::Usage,
        RuntimeError::Task(_) => Kind::Internal,
    };
    let hint = matches!(error, RuntimeError::Listen { .. }).then_some("`--http off` opens no port");
    let command_error = CommandError::new(kind, error.to_string());
    match hint {
        Some(hint) => command_error.hint(hint),
        None => command_error,
    }
}

/// The calls of the handler of an operator file.
fn calls(
    args: &OperatorRunArgs,
    file: &OperatorFile,
    folder: &std::path::Path,
) -> Result<HandlerCalls, CommandError> {
    let grace = Duration::from_secs(args.grace);
    let program = handler_program(ProgramSource {
        handler_type: &file.handler,
        registry: &args.registry,
        launch: &args.launch,
        mark: program_mark(&file.config.name, b"operator"),
        grace,
    })?;
    let logs = folder.join("logs");
    std::fs::create_dir(&logs)?;
    let settings = CallSettings {
        limit: file.timeout,
        grace,
        folder: folder.to_owned(),
        // an instance in a container has its socket beside its log
        log: (!program.on.capabilities().uses_host_programs).then(|| logs.join("handler.log")),
    };
    Ok(HandlerCalls::new(program, settings, |line| ui::say(&format!("pop: {line}"))))
}

fn agenda_handler(args: &OperatorRunArgs, client: Client) -> Result<AgendaHandler, CommandError> {
    let Some(image) = &args.image else {
        let error = CommandError::new(Kind::Usage, "`--agendas` needs `--image`: the image of executor pods");
        return Err(error.hint("deploy/images builds one; the variable POP_EXECUTOR_IMAGE can name it"));
    };
    let defaults = ExecutorDefaults {
        command: args.executor_command.clone(),
        service_account: args.service_account.clone(),
        registry: args.registry_config_map.clone(),
        ..ExecutorDefaults::new(image)
    };
    let (loop_of_requests, kind) =
        (Handle::current(), KindConfig::namespaced("v1", "ConfigMap", "configmaps"));
    let surroundings = Surroundings {
        check: Box::new(faults_of),
        config_map: Box::new(move |namespace, name| {
            // a sync has a thread of its own
            loop_of_requests.block_on(read_object(&client, &kind, Some(namespace), name))
        }),
        now: Box::new(|| {
            let now = jiff::Timestamp::now();
            // times of the API have whole seconds
            now.round(jiff::Unit::Second).unwrap_or(now)
        }),
    };
    Ok(AgendaHandler::new(defaults, surroundings))
}
