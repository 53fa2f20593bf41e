//! `pop serve`: the agenda service, with or without a puller in the same process.

use super::go::event_loop;
use super::pull::{PullerSetup, puller_setup};
use super::signals::hear_signals;
use crate::args::{NewToken, Output, ServeArgs, StrictArg};
use crate::error::{CommandError, Kind};
use crate::launch_data::{launch_data, surroundings, text_files};
use crate::ui;
use pop_agenda_server::{
    AgendaCheck, AgendaServer, AuditLog, Scope, ServerError, ServerSettings, Tls, TlsError, WebhookRequest,
    admit_token, issue_token,
};
use pop_assembly::{KnownHandlers, TextFaults};
use pop_document::Fault;
use pop_field_retriever::LaunchDataWrapper as _;
use pop_field_retriever::names::environment;
use pop_launchers::make_private_folder;
use pop_service::Rules;
use pop_service_store::{Store, StoreError};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Connections to PostgreSQL.
#[cfg(feature = "postgres")]
const CONNECTIONS: usize = 4;
/// Variable with a token of scope `admin` that the service admits.
const ADMIN_TOKEN: &str = "POP_ADMIN_TOKEN";
/// How often a waiting request looks for agendas that another service has queued in the same database.
const RECHECK: Duration = Duration::from_secs(1);

pub(crate) fn serve(args: &ServeArgs) -> Result<u8, CommandError> {
    make_private_folder(&args.data)?;
    let store = store(args)?;
    let runtime = event_loop()?;
    if let Some(NewToken { name, scopes }) = &args.issue_token {
        let secret = runtime.block_on(issue_token(store, name, scopes));
        let secret = secret.map_err(|error| CommandError::new(Kind::Internal, error.to_string()))?;
        ui::print(&format!("{secret}\n"));
        return Ok(0);
    }
    for (variable, scope) in [(environment::SERVICE_TOKEN, Scope::Pull), (ADMIN_TOKEN, Scope::Admin)] {
        if let Some(secret) = std::env::var(variable).ok().filter(|secret| !secret.is_empty()) {
            let admitted = runtime.block_on(admit_token(store.clone(), variable, &secret, &[scope]));
            admitted.map_err(|error| CommandError::new(Kind::Registry, error.to_string()))?;
        }
    }
    let _guard = runtime.enter();
    let launch = launch_data(&args.puller.launch, StrictArg::default())?;
    let check = check(args)?;
    let audit = args.data.join("audit.jsonl");
    let tls = match (&args.tls_certificate, &args.tls_key) {
        (Some(certificate), Some(key)) => {
            Some(Tls::read(certificate, key).map_err(|error| unusable_tls(&error))?)
        }
        _ => None,
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    let settings = ServerSettings {
        listen: args.listen,
        // the certificate names another host than this machine
        listens_locally: tls.is_some() && args.with_puller,
        tls,
        needs_token: args.require_token,
        longest_body: usize::try_from(args.max_body).unwrap_or(usize::MAX),
        rate: args.rate,
        hides_status: args.status_200,
        rules: Rules { lease: args.lease.saturating_mul(1_000), ..Rules::default() },
        recheck: args.postgres.is_some().then_some(RECHECK),
        send_webhook: Some(Arc::new(|WebhookRequest { url, headers, body }| {
            Box::pin(async move { pop_puller::post(&url, &headers, body).await })
        })),
        audit: Some(AuditLog::open(&audit).map_err(|error| not_written(&audit, &error))?),
    };
    let server = runtime.block_on(AgendaServer::bind(settings, store.clone(), check)).map_err(not_served)?;
    let address = server.address();
    let (signals, mut stop) = mpsc::unbounded_channel();
    hear_signals(signals)?;
    let puller = if args.with_puller {
        let local = server.local_address().unwrap_or_else(|| reachable(address));
        let service = format!("http://{local}/pop/resourcepool/service");
        let token = if args.require_token || !address.ip().is_loopback() {
            let issued = runtime.block_on(issue_token(store, "the puller of this service", &[Scope::Pull]));
            Some(issued.map_err(|error| CommandError::new(Kind::Internal, error.to_string()))?)
        } else {
            None
        };
        let setup = PullerSetup { service, token, data: &args.data, puller: &args.puller };
        let (puller, health) = puller_setup(&setup, &launch)?;
        server.append_metrics(move || health.metrics());
        Some(puller)
    } else {
        None
    };
    match args.output {
        Output::Json => {
            ui::print(&format!(
                "{}\n",
                json!({"address": format!("{scheme}://{address}"), "pid": std::process::id()})
            ));
        }
        Output::Text => ui::say(&format!("serving agendas on {scheme}://{address}; end it with Ctrl-C")),
    }
    runtime.block_on(async {
        let (ended, end) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.serve(async move {
            // the puller has dropped its end, or sent the stop
            end.await.ok();
        }));
        match puller {
            // executors report to the service until they have ended
            Some(puller) => drop(tokio::spawn(puller.run(stop)).await),
            None => drop(stop.recv().await),
        }
        drop(ended);
        serving.await.ok();
    });
    Ok(0)
}

fn unusable_tls(error: &TlsError) -> CommandError {
    let reason = match error {
        TlsError::Pair(source) => format!("{error}: {source}"),
        TlsError::File { .. } => error.to_string(),
    };
    CommandError::new(Kind::Registry, reason)
        .hint("`--tls-certificate` and `--tls-key` are PEM files, as `openssl req -x509 -nodes` makes them")
}

/// An address at which this machine reaches a listener.
fn reachable(address: std::net::SocketAddr) -> std::net::SocketAddr {
    let mut reached = address;
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr = if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        reached.set_ip(loopback);
    }
    reached
}

fn store(args: &ServeArgs) -> Result<Store, CommandError> {
    if let Some(url) = &args.postgres {
        return postgres(url);
    }
    Store::sqlite(&args.data.join("pop.db")).map_err(|error| {
        let hint = "the folder must be on a file system of this machine: `--data DIR` names another one";
        unusable_store(error).hint(hint)
    })
}

#[cfg(feature = "postgres")]
fn postgres(url: &str) -> Result<Store, CommandError> {
    Store::postgres(url, CONNECTIONS).map_err(unusable_store)
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &str) -> Result<Store, CommandError> {
    let message = "this program was built without PostgreSQL";
    Err(CommandError::new(Kind::Usage, message).hint("build it with `--features postgres`"))
}

fn unusable_store(error: StoreError) -> CommandError {
    CommandError::new(Kind::Unreachable, format!("{:#}", anyhow::Error::from(error)))
}

fn not_written(path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::new(Kind::Internal, format!("cannot write `{}`: {error}", path.display()))
}

fn not_served(error: ServerError) -> CommandError {
    let is_open = matches!(error, ServerError::NoToken(_));
    let error = CommandError::new(Kind::Usage, format!("{:#}", anyhow::Error::from(error)));
    if is_open {
        return error
            .hint("make one: `pop serve --issue-token admin=admin`, with the same --data or --postgres");
    }
    error
}

/// The check of agendas, with the handlers of the registry if there is one.
fn check(args: &ServeArgs) -> Result<AgendaCheck, CommandError> {
    let launch = launch_data(&args.puller.launch, StrictArg::default())?;
    let surroundings = surroundings()?;
    let files = text_files(&args.puller.registry, &launch, &surroundings);
    let mut faults = TextFaults::default();
    let known = KnownHandlers::read(&files, Path::new(""), &mut faults)?;
    let mut found = Vec::new();
    let check = AgendaCheck::new(known.registry.as_ref(), launch.external_launch_type().value, &mut found);
    if let Some(registry) = &known.registry
        && found.iter().any(Fault::is_error)
    {
        ui::print_faults(registry, &found);
        return Err(CommandError::printed(Kind::Registry));
    }
    Ok(check)
}
