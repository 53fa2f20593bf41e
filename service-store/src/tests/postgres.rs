//! The same on a PostgreSQL server that the test starts.

use super::{
    Desk, agenda, each_agenda_once, ended, fence, life_of_agendas, lists_follow_decisions, times_come,
};
use crate::Store;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A server with its data in a temporary folder, and a socket there.
struct Server {
    folder: TempDir,
    process: Child,
}

/// A program of PostgreSQL. It refuses to be root.
fn program(name: &str, folder: &Path) -> Command {
    let found = std::fs::read_dir("/usr/lib/postgresql").ok().and_then(|versions| {
        let programs = versions.filter_map(|version| Some(version.ok()?.path().join("bin").join(name)));
        programs.filter(|path| path.exists()).max()
    });
    let mut command = Command::new(found.unwrap_or_else(|| PathBuf::from(name)));
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        let id = |of: &str| -> u32 {
            let said = Command::new("id").args([of, "postgres"]).output().unwrap().stdout;
            String::from_utf8(said).unwrap().trim().parse().expect("install Debian's package postgresql")
        };
        let (user, group) = (id("-u"), id("-g"));
        chown(folder, Some(user), Some(group)).unwrap();
        command.uid(user).gid(group);
    }
    command.current_dir("/").stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let data = folder.path().join("data");
        let made = program("initdb", folder.path())
            .args(["--auth=trust", "--no-sync", "-U", "pop", "-D"])
            .arg(&data)
            .status();
        assert!(made.expect("install Debian's package postgresql").success());
        let process = Self::launch(folder.path());
        Self { folder, process }
    }

    fn launch(folder: &Path) -> Child {
        let mut command = program("postgres", folder);
        command.arg("-D").arg(folder.join("data")).arg("-k").arg(folder).args(["-c", "listen_addresses="]);
        command.spawn().unwrap()
    }

    fn url(&self) -> String {
        format!("host={} user=pop dbname=postgres", self.folder.path().display())
    }

    /// Connects as soon as the server is ready.
    async fn store(&self, connections: usize) -> Store {
        loop {
            let url = self.url();
            // the store waits for its connections on this thread, which must not be one of an event loop
            let opened =
                tokio::task::spawn_blocking(move || Store::postgres(&url, connections)).await.unwrap();
            match opened {
                Ok(store) => return store,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Ends the server at once, as a crash would.
    fn crash(&mut self) {
        let quit = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status().unwrap();
        assert!(quit.success());
        self.process.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().ok();
        self.process.wait().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agendas_live_in_postgres() {
    let server = Server::start();
    life_of_agendas(server.store(1).await).await;
    let server = Server::start();
    times_come(server.store(2).await).await;
    let server = Server::start();
    lists_follow_decisions(server.store(2).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pullers_of_postgres_get_each_agenda_once() {
    let server = Server::start();
    each_agenda_once(server.store(4).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_postgres_loses_and_repeats_nothing() {
    let mut server = Server::start();
    let desk = Desk::new(server.store(2).await);
    desk.populate("RoundRobin").await;
    for _ in 0..3 {
        desk.create(1, agenda("a", 0)).await.unwrap();
    }
    let first = desk.pull(2, 1).await.unwrap();
    server.crash();
    let failed = desk.pull(3, 1).await.unwrap_err().to_string();
    assert!(failed.starts_with("the store failed"), "{failed}");
    server.process = Server::launch(server.folder.path());
    let second = loop {
        if let Ok(pulled) = desk.pull(4, 2).await {
            break pulled;
        }
    };
    assert_eq!(second.len(), 2);
    assert!(second.iter().all(|one| one.agenda.id() != first[0].agenda.id()));
    assert_eq!(desk.report(5, &fence(&first), ended("succeeded")).await.unwrap().ended.len(), 1);
}
