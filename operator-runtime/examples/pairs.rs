//! Gives each Site two ConfigMaps and a status; for `bench/operator`.
//!
//! `cargo run -p pop-operator-runtime --example pairs`

use pop_operator::{Error, KindConfig, OperatorConfig, Strategy, SyncRequest, SyncResponse};
use pop_operator_runtime::{Client, Settings, run};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

fn sync(request: &SyncRequest) -> Result<SyncResponse, Error> {
    let mut response = SyncResponse::from_status(json!({"children": request.children.len()}))?;
    for side in ["left", "right"] {
        response.add_child(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"side": side},
            "metadata": {"name": format!("{}-{side}", request.parent_name()), "namespace": request.parent_namespace()},
        }))?;
    }
    Ok(response)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = OperatorConfig::new("pairs", KindConfig::namespaced("x.dev/v1", "Site", "sites"))
        .child(KindConfig::namespaced("v1", "ConfigMap", "configmaps"), Strategy::Replace);
    let config = OperatorConfig { watches_only_labelled: true, ..config };
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = async move {
        terminate.recv().await;
    };
    run(Client::try_default().await?, config, sync, Settings::default(), stop).await?;
    Ok(())
}
