//! `pop handler serve`: serves a handler to callers outside of a run.

use super::go::{event_loop, guard_of, processors, reach};
use super::handlers::{refuse_faulty_registry, unknown_type};
use super::signals::hear_signals;
use crate::args::{HandlerServeArgs, Output, StrictArg};
use crate::error::{CommandError, Kind};
use crate::faults::print_handler_faults;
use crate::launch_data::{launch_data, surroundings, text_files};
use crate::ui;
use pop_assembly::{KnownHandlers, NotServable, ServedHandler, TextFaults};
use pop_field_retriever::LaunchDataWrapper as _;
use pop_handler_server::{
    ControlSocket, DependencyError, Endpoint, HandlerProgram, ServeError, ServeKind, ServeSettings, Server,
    control_folder, dependency_variables, free_id,
};
use pop_launchers::choose;
use pop_launchers::process::executor_identity;
use pop_registry::Catalog;
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

/// Exit code if no instance starts; the same as for a failed operation.
const FAILED: u8 = 10;

pub(crate) fn serve(args: &HandlerServeArgs) -> Result<u8, CommandError> {
    let folder = control_folder();
    let id = args.id.clone().unwrap_or_else(|| free_id(&folder, &plain(&args.handler_type)));
    if id != plain(&id) {
        let message = format!("the id `{id}` may have letters, digits, `.`, `-` and `_` only");
        return Err(CommandError::new(Kind::Usage, message));
    }
    let max_instances = max_instances(args)?;
    let runtime = event_loop()?;
    let _guard = runtime.enter();
    let program = if args.kind.runs_program() { Some(handler_program(args, &folder, &id)?) } else { None };
    let (signals, stop) = mpsc::unbounded_channel();
    hear_signals(signals)?;
    let logs = args.logs.clone();
    if let Some(logs) = &logs {
        std::fs::create_dir_all(logs)?;
    }
    let settings = ServeSettings {
        id: id.clone(),
        category: args.handler_type.clone(),
        kind: args.kind,
        bind: args.bind.clone().unwrap_or(Endpoint::LOOPBACK),
        send_to: args.broadcast.clone().unwrap_or(Endpoint::LOOPBACK),
        instances: args.instances,
        max_instances,
        queue: args.queue as usize,
        limit: args.timeout_ms.map(Duration::from_millis),
        grace: Duration::from_secs(args.grace),
        logs,
        program,
    };
    let server = Server::bind(settings, |line| ui::say(&format!("pop: {line}")))
        .map_err(|error| not_served(&error))?;
    let manager = ControlSocket::bind(&folder, &id).map_err(|error| not_served(&error))?;
    announce(args, &id, &server);
    let (sender, controls) = mpsc::channel(16);
    let ended = runtime.block_on(async {
        tokio::spawn(manager.serve(sender));
        tokio::spawn(server.run(controls, stop)).await
    });
    match ended.map_err(|error| CommandError::new(Kind::Internal, error.to_string()))? {
        Ok(()) => Ok(0),
        Err(ServeError::Start(failure)) => {
            ui::say(&format!("error: no instance of `{}` starts: {}", args.handler_type, failure.message));
            failure.log_tail.iter().for_each(|line| ui::say(&format!("  {line}")));
            Ok(FAILED)
        }
        Err(error) => Err(not_served(&error)),
    }
}

fn announce(args: &HandlerServeArgs, id: &str, server: &Server) {
    match args.output {
        Output::Json => {
            let mut line = json!({
                "id": id, "kind": args.kind.as_str(), "endpoint": server.endpoint().to_string(), "pid": std::process::id(),
            });
            if let Some(endpoint) = server.send_endpoint() {
                line["broadcast"] = endpoint.to_string().into();
            }
            ui::print(&format!("{line}\n"));
        }
        Output::Text => {
            let HandlerServeArgs { handler_type, kind, .. } = args;
            ui::say(&format!("serving `{handler_type}` as {kind} on {}", server.endpoint()));
            if let Some(endpoint) = server.send_endpoint() {
                let who = if *kind == ServeKind::Publisher { "subscribers" } else { "receivers" };
                ui::say(&format!("{who} connect to {endpoint}"));
            }
            ui::say(&format!("manage it with `pop handler ctl {id} status`; end it with Ctrl-C"));
        }
    }
}

/// The handler, checked, and its launcher.
fn handler_program(args: &HandlerServeArgs, folder: &Path, id: &str) -> Result<HandlerProgram, CommandError> {
    let launch = launch_data(&args.launch, StrictArg::default())?;
    let surroundings = surroundings()?;
    let on = launch.external_launch_type().value;
    if !on.capabilities().reads_host_files {
        let message = "a handler is served as processes or containers of this machine, not as pods";
        return Err(CommandError::new(Kind::Usage, message).hint("omit `--on`, or write `--on docker`"));
    }
    let files = text_files(&args.registry, &launch, &surroundings);
    let mut faults = TextFaults::default();
    let known = KnownHandlers::read(&files, Path::new(""), &mut faults)?;
    print_handler_faults(&faults, known.registry.as_ref());
    refuse_faulty_registry(&faults)?;
    let executor = executor_identity();
    let mark = mark(folder, id);
    // pid and start time: no other process of this boot has both
    let process: Vec<&str> = executor.split('-').take(2).collect();
    let launch_name = format!("{mark}-{}", process.join("-"));
    let handler =
        ServedHandler::of(&known, &args.handler_type, (&mark, &executor), on, &surroundings, &launch);
    let ServedHandler { entry, home, mut setting } =
        handler.map_err(|error| not_servable(error, &args.handler_type, &known.catalog))?;
    let dependencies = dependency_variables(&entry, &args.dependencies).map_err(|error| {
        let hint = match &error {
            DependencyError::Missing(names) => {
                let options = names.iter().map(|name| format!("--dependency {name}=ENDPOINT"));
                format!("serve it, and add: {}", options.collect::<Vec<_>>().join(" "))
            }
            _ => "`actions` of the registry entry lists the dependencies of each action".to_owned(),
        };
        CommandError::new(Kind::Usage, error.to_string()).hint(hint)
    })?;
    reach(&launch, &surroundings)?;
    setting.guard_command = Some(guard_of(&executor));
    setting.grace = Some(Duration::from_secs(args.grace));
    let launcher = choose(on, setting);
    Ok(HandlerProgram { entry, launcher, on, home, mark, launch_name, dependencies })
}

fn max_instances(args: &HandlerServeArgs) -> Result<u32, CommandError> {
    let most = args.max_instances.unwrap_or_else(|| processors().max(args.instances));
    if args.instances > most {
        let message = format!("--instances {} is more than --max-instances {most}", args.instances);
        return Err(CommandError::new(Kind::Usage, message));
    }
    Ok(most)
}

/// What all servers with this id on this machine have in common, and no others that use the same Docker Engine.
fn mark(folder: &Path, id: &str) -> String {
    let machine = rustix::system::uname();
    let place = [machine.nodename().to_bytes(), folder.as_os_str().as_encoded_bytes()].join(&0);
    format!("{id}-{}", &blake3::hash(&place).to_hex()[..12])
}

/// A text as part of a file name.
fn plain(text: &str) -> String {
    let keeps = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    let plain: String =
        text.chars().map(|character| if keeps(character) { character } else { '-' }).collect();
    plain.trim_start_matches('.').to_owned()
}

fn not_servable(error: NotServable, handler_type: &str, catalog: &Catalog) -> CommandError {
    let words = error.to_string();
    match error {
        NotServable::Settings(error) => error.into(),
        NotServable::Unknown(_) => unknown_type(handler_type, catalog),
        NotServable::BuiltIn(_) => CommandError::new(Kind::Usage, words),
        NotServable::Missing { .. } | NotServable::Program(..) | NotServable::Secret(..) => {
            CommandError::new(Kind::Registry, words)
        }
    }
}

fn not_served(error: &ServeError) -> CommandError {
    let kind = match error {
        ServeError::Bind { .. } | ServeError::Manager { .. } => Kind::Usage,
        ServeError::Folder(_) | ServeError::Start(_) => Kind::Internal,
    };
    CommandError::new(kind, error.to_string())
}
