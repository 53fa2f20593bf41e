//! A PostgreSQL server for tests, from the programs of this machine (Debian's package `postgresql`).
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "what tests use may panic")]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A server with its data in a temporary folder, and a socket there.
pub struct PostgresServer {
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

impl PostgresServer {
    /// Makes a data folder, starts a server on it, and waits until it answers.
    ///
    /// # Panics
    ///
    /// Panics if the programs are missing or fail.
    pub fn start() -> Self {
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
        let process = command.spawn().unwrap();
        while !program("pg_isready", folder).arg("-h").arg(folder).status().unwrap().success() {
            std::thread::sleep(Duration::from_millis(20));
        }
        process
    }

    /// Starts the server again after a crash, and waits until it answers.
    pub fn restart(&mut self) {
        self.process = Self::launch(self.folder.path());
    }

    /// The address for `Store::postgres`.
    pub fn url(&self) -> String {
        format!("postgresql:///postgres?user=pop&host={}", self.folder.path().display())
    }

    /// Ends the server at once, as a crash would.
    ///
    /// # Panics
    ///
    /// Panics if it has ended already.
    pub fn crash(&mut self) {
        let quit = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status().unwrap();
        assert!(quit.success());
        self.process.wait().unwrap();
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        Command::new("kill").args(["-INT", &self.process.id().to_string()]).status().ok();
        self.process.wait().ok();
    }
}
