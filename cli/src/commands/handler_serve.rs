//! `pop handler serve`: serves a handler to callers outside of a run.

use super::go::event_loop;
use super::handler_program::{ProgramSource, handler_program, program_mark};
use super::http_pages::{handler_page, serve_pages};
use super::machine::processors;
use super::signals::hear_signals;
use crate::args::{HandlerServeArgs, Output};
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_handler_server::{
    ControlSocket, DependencyError, Endpoint, ServeError, ServeKind, ServeSettings, Server, control_folder,
    dependency_variables, free_id,
};
use pop_launchers::HandlerProgram;
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
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
    let program = if args.kind.runs_program() { Some(served_program(args, &folder, &id)?) } else { None };
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
    let metrics = args.metrics.map(|address| runtime.block_on(listen(address))).transpose()?;
    announce(args, &id, &server, metrics.as_ref().and_then(|listener| listener.local_addr().ok()));
    let (sender, controls) = mpsc::channel(16);
    let ended = runtime.block_on(async {
        if let Some(listener) = metrics {
            let controls = sender.clone();
            tokio::spawn(serve_pages(listener, move |path| handler_page(path, controls.clone())));
        }
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

async fn listen(address: SocketAddr) -> Result<TcpListener, CommandError> {
    TcpListener::bind(address).await.map_err(|error| {
        CommandError::new(Kind::Usage, format!("cannot listen on {address} for --metrics: {error}"))
    })
}

fn announce(args: &HandlerServeArgs, id: &str, server: &Server, metrics: Option<SocketAddr>) {
    match args.output {
        Output::Json => {
            let mut line = json!({
                "id": id, "kind": args.kind.as_str(), "endpoint": server.endpoint().to_string(), "pid": std::process::id(),
            });
            if let Some(endpoint) = server.send_endpoint() {
                line["broadcast"] = endpoint.to_string().into();
            }
            if let Some(address) = metrics {
                line["metrics"] = address.to_string().into();
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
            if let Some(address) = metrics {
                ui::say(&format!("metrics: http://{address}/metrics"));
            }
            ui::say(&format!("manage it with `pop handler ctl {id} status`; end it with Ctrl-C"));
        }
    }
}

/// The handler, checked, and its launcher.
fn served_program(args: &HandlerServeArgs, folder: &Path, id: &str) -> Result<HandlerProgram, CommandError> {
    let source = ProgramSource {
        handler_type: &args.handler_type,
        registry: &args.registry,
        launch: &args.launch,
        mark: mark(folder, id),
        grace: Duration::from_secs(args.grace),
    };
    let program = handler_program(source)?;
    let variables = dependency_variables(&program.entry, &args.dependencies).map_err(|error| {
        let hint = match &error {
            DependencyError::Missing(names) => {
                let options = names.iter().map(|name| format!("--dependency {name}=ENDPOINT"));
                format!("serve it, and add: {}", options.collect::<Vec<_>>().join(" "))
            }
            _ => "`actions` of the registry entry lists the dependencies of each action".to_owned(),
        };
        CommandError::new(Kind::Usage, error.to_string()).hint(hint)
    })?;
    Ok(HandlerProgram { variables, ..program })
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
    program_mark(id, folder.as_os_str().as_encoded_bytes())
}

/// A text as part of a file name.
fn plain(text: &str) -> String {
    let keeps = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    let plain: String =
        text.chars().map(|character| if keeps(character) { character } else { '-' }).collect();
    plain.trim_start_matches('.').to_owned()
}

fn not_served(error: &ServeError) -> CommandError {
    let kind = match error {
        ServeError::Bind { .. } | ServeError::Manager { .. } => Kind::Usage,
        ServeError::Folder(_) | ServeError::Start(_) => Kind::Internal,
    };
    CommandError::new(kind, error.to_string())
}
