//! `/health`, `/ready` and `/metrics`.

use crate::world::{HANG, Maps, Running, World, config};
use pop_operator::{KindConfig, OperatorConfig};
use pop_operator_runtime::{HttpSettings, Operator, RuntimeError, Settings};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

async fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn o24_o25_endpoints_tell_health_readiness_and_metrics() {
    let world = World::start().await;
    let http = HttpSettings::all("127.0.0.1:0".parse().unwrap());
    let settings = Settings { http: Some(http.clone()), ..Settings::default() };
    let operator = Running::start(&world.client, config(), Maps::default(), settings).await;
    let address = operator.address.unwrap();
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    assert!(get(address, "/health").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/ready").await.starts_with("HTTP/1.1 200"));
    assert!(get(address, "/other").await.starts_with("HTTP/1.1 404"));
    for words in [
        "pop_operator_sync_seconds_count{phase=\"new\"} 1\n",
        "pop_operator_watch_events_total{kind=\"Site.x.dev\",type=\"modified\"}",
        "pop_operator_api_request_seconds_count{verb=\"create\",outcome=\"success\"} 1\n",
        "pop_operator_parents 1\n",
        "pop_operator_is_leading 1\n",
    ] {
        // the last watch event may still be on its way
        let found = async { while !get(address, "/metrics").await.contains(words) {} };
        assert!(
            timeout(HANG, found).await.is_ok(),
            "{words} is missing in\n{}",
            get(address, "/metrics").await
        );
    }
    operator.stop().await;
    let settings =
        Settings { http: Some(HttpSettings { has_metrics: false, ..http }), ..Settings::default() };
    let operator = Running::start(&world.client, config(), Maps::default(), settings).await;
    assert!(get(operator.address.unwrap(), "/metrics").await.starts_with("HTTP/1.1 404"));
    operator.stop().await;
}

#[tokio::test]
async fn wrong_settings_are_refused_before_the_start() {
    let world = World::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = HttpSettings::all(taken.local_addr().unwrap());
    let settings = Settings { http: Some(http), ..Settings::default() };
    let refused =
        Operator::bind(world.client.clone(), config(), Maps::default(), settings).await.unwrap_err();
    assert!(matches!(refused, RuntimeError::Listen { .. }), "{refused}");
    let wrong = OperatorConfig::new("No Name", KindConfig::namespaced("x.dev/v1", "Site", "sites"));
    let settings = Settings::default();
    let refused = Operator::bind(world.client.clone(), wrong, Maps::default(), settings).await.unwrap_err();
    assert!(refused.to_string().contains("`No Name` is no operator name"), "{refused}");
}
