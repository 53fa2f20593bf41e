//! The same on a PostgreSQL server that the test starts.

use super::overlap::overlaps;
use super::{
    Desk, agenda, each_agenda_once, ended, fence, life_of_agendas, lists_follow_decisions, times_come,
};
use crate::Store;
use crate::testing::PostgresServer;

async fn store(server: &PostgresServer, connections: usize) -> Store {
    let url = server.url();
    // the store waits for its connections on this thread, which must not be one of an event loop
    tokio::task::spawn_blocking(move || Store::postgres(&url, connections)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn agendas_live_in_postgres() {
    let server = PostgresServer::start();
    life_of_agendas(store(&server, 1).await).await;
    let server = PostgresServer::start();
    times_come(store(&server, 2).await).await;
    let server = PostgresServer::start();
    lists_follow_decisions(store(&server, 2).await).await;
    let server = PostgresServer::start();
    overlaps(store(&server, 2).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pullers_of_postgres_get_each_agenda_once() {
    let server = PostgresServer::start();
    each_agenda_once(store(&server, 4).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_postgres_loses_and_repeats_nothing() {
    let mut server = PostgresServer::start();
    let desk = Desk::new(store(&server, 2).await);
    desk.populate("RoundRobin").await;
    for _ in 0..3 {
        desk.create(1, agenda("a", 0)).await.unwrap();
    }
    let first = desk.pull(2, 1).await.unwrap();
    server.crash();
    let failed = desk.pull(3, 1).await.unwrap_err().to_string();
    assert!(failed.starts_with("the store failed"), "{failed}");
    server.restart();
    let second = loop {
        if let Ok(pulled) = desk.pull(4, 2).await {
            break pulled;
        }
    };
    assert_eq!(second.len(), 2);
    assert!(second.iter().all(|one| one.agenda.id() != first[0].agenda.id()));
    assert_eq!(desk.report(5, &fence(&first), ended("succeeded")).await.unwrap().ended.len(), 1);
}
