//! Operator `{{name}}`.

use pop_operator_runtime::{Client, HttpSettings, Settings, run};
use tokio::signal::unix::{SignalKind, signal};

use {{crate}}::{config, sync};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    // KUBECONFIG, ~/.kube/config, or the service account of the pod
    let client = Client::try_default().await?;
    let http = Some(HttpSettings::all(([0, 0, 0, 0], 8080).into()));
    // with several replicas, set `lease` too
    let settings = Settings {
        http,
        ..Settings::default()
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    run(client, config(), sync, settings, stop).await?;
    Ok(())
}
