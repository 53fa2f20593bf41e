//! `pop-stand-in`: the stand-in for a Kubernetes API server as a program, for manual use and for tests not in Rust. It
//! runs until SIGTERM or SIGINT.

use anyhow::Context as _;
use clap::Parser;
use pop_stand_in::{Backend, Config, Kind, StandIn};
use serde_json::Value;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Serve the Kubernetes API and run pods until SIGTERM or SIGINT. Prints `ready` and the path of a kubeconfig when it
/// accepts requests.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// How pods run.
    #[arg(long, value_enum, default_value_t)]
    backend: BackendName,
    /// Write the kubeconfig to this file.
    #[arg(long, default_value = "stand-in.kubeconfig")]
    kubeconfig: PathBuf,
    /// Listen on this port; 0 selects a free one.
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
    /// Additional namespaces, besides `pop` and those of every cluster.
    #[arg(long)]
    namespace: Vec<String>,
    /// Additional kinds: `GROUP/VERSION/PLURAL/KIND`, then `:status` for a `status` subresource and `:cluster` for a
    /// kind outside namespaces
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<Kind>,
    /// File with CustomResourceDefinitions, as YAML or JSON. Their kinds are served from the start.
    #[arg(long, value_name = "FILE")]
    crd: Vec<PathBuf>,
    /// Additional names or addresses of the certificate.
    #[arg(long)]
    name: Vec<String>,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum BackendName {
    /// Local processes.
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
    Kind::parse(text).ok_or("expected GROUP/VERSION/PLURAL/KIND, optionally with :status and :cluster")
}

/// The CustomResourceDefinitions in a file with one or more documents.
fn definitions(file: &Path) -> anyhow::Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(&std::fs::read_to_string(file)?)?;
    for document in &documents {
        let kind = document["kind"].as_str().unwrap_or_default();
        anyhow::ensure!(
            kind == "CustomResourceDefinition",
            "expected a CustomResourceDefinition, found {kind:?}"
        );
    }
    Ok(documents)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // without stderr there is no other way to report it
            writeln!(io::stderr(), "pop-stand-in: {error:#}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    // before `ready` is printed, so that no signal is missed
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
    for file in &arguments.crd {
        let read = definitions(file).with_context(|| format!("cannot read {}", file.display()))?;
        config.definitions.extend(read);
    }
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
