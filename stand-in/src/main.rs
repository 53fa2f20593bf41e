//! `pop-stand-in`: a stand-in for a Kubernetes API server by hand and for tests that are no Rust; it runs until it is
//! asked to end.

use clap::Parser;
use pop_stand_in::{Backend, Config, Kind, StandIn};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Serves the Kubernetes API and runs pods; prints `ready` and the path of a kubeconfig, and runs until it is told to
/// end by a signal.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What pods are run as.
    #[arg(long, value_enum, default_value_t)]
    backend: BackendName,
    /// Where to write the kubeconfig.
    #[arg(long, default_value = "stand-in.kubeconfig")]
    kubeconfig: PathBuf,
    /// Port to listen on; 0 for any that is free.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// CPUs of the node.
    #[arg(long, default_value = "64")]
    node_cpu: String,
    /// Memory of the node.
    #[arg(long, default_value = "64Gi")]
    node_memory: String,
    /// Labels of the node, `key=value`.
    #[arg(long, value_parser = label)]
    node_label: Vec<(String, String)>,
    /// Namespaces besides `pop` and those that every cluster has.
    #[arg(long)]
    namespace: Vec<String>,
    /// Kinds besides those that are always there: `GROUP/VERSION/PLURAL/KIND`, with `:status` for a subresource `status`
    /// and `:cluster` for a kind outside namespaces
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<Kind>,
    /// Names or addresses of the certificate besides its own.
    #[arg(long)]
    name: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum BackendName {
    /// Processes of this machine.
    #[default]
    Process,
    /// Containers of the local Docker Engine.
    Docker,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn kind(text: &str) -> Result<Kind, &'static str> {
    Kind::parse(text).ok_or("expected GROUP/VERSION/PLURAL/KIND, with :status and :cluster if they apply")
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // with stderr gone there is nobody to tell
            writeln!(io::stderr(), "pop-stand-in: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    // before it says that it is ready, so that no signal is missed
    let (mut terminated, mut interrupted) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut config = Config { port: arguments.port, names: arguments.name, ..Config::default() };
    config.backend = match arguments.backend {
        BackendName::Process => Backend::Process,
        BackendName::Docker => Backend::Docker,
    };
    config.node.cpu = arguments.node_cpu;
    config.node.memory = arguments.node_memory;
    config.node.labels = arguments.node_label.into_iter().collect();
    config.namespaces.extend(arguments.namespace);
    config.kinds = arguments.kind;
    let stand_in = StandIn::start(config).await?;
    std::fs::write(&arguments.kubeconfig, stand_in.kubeconfig())?;
    writeln!(io::stdout(), "ready {}", arguments.kubeconfig.display())?;
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
    }
    drop(stand_in);
    Ok(())
}
