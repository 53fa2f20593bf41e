//! Finds the pool of an order, and starts the instances of a pool.

use super::super::follow::{Connection, follow};
use super::super::instance::Instance;
use super::super::mounted_socket::MountedSocket;
use super::super::{SocketPassing, sockets_beside};
use super::{HandlerPool, Turn};
use crate::log::Log;
use crate::port::{InstanceSocket, LaunchId, LaunchOrder, MOUNTED_SOCKET, StdoutUse, WarmOrder, label};
use crate::process::{AsyncDescriptor, SOCKET_DESCRIPTOR};
use pop_warm::{InstanceId, Pool, SOCKET_VARIABLE};
use std::collections::BTreeMap;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};

/// The numbers of instances' launches begin here; those of operations are lower, those of external programs higher.
const FIRST_INSTANCE: u64 = 1 << 62;

impl Turn<'_> {
    /// The pool for an order: handler, version, lane, settings, environment, secrets and working directory are the same.
    pub(super) fn pool(&mut self, warm: &WarmOrder, order: &LaunchOrder) -> usize {
        let passing = self.shared.passing;
        let pools = &mut self.state.pools;
        let is_its = |pool: &HandlerPool| {
            pool.handler == warm.handler
                && pool.version == warm.version
                && pool.lane == warm.lane
                && pool.settings == warm.settings
                && pool.program == order.program
        };
        pools.iter().position(is_its).unwrap_or_else(|| {
            let pool = Pool::new(warm.settings);
            let is_of_run = |(name, _): &&(String, String)| name == label::RUN;
            pools.push(HandlerPool {
                handler: warm.handler.clone(),
                version: warm.version.clone(),
                lane: warm.lane,
                settings: warm.settings,
                program: order.program.clone(),
                secrets: self.shared.secrets.values(&order.program.secrets).unwrap_or_default(),
                launch_name: order.name.clone(),
                logs: order.log.as_ref().and_then(|log| log.parent()).map(Into::into),
                grace: order.grace,
                pending: order.pending,
                labels: order.labels.iter().filter(is_of_run).cloned().collect(),
                pool: match passing {
                    SocketPassing::Inherited => pool,
                    SocketPassing::Mounted => pool.with_pending_phase(),
                },
                instances: BTreeMap::new(),
                failed_start: None,
            });
            pools.len() - 1
        })
    }

    /// The socket of the instance with this number: our side and that of its program.
    fn socket(&self, pool: usize, number: u64) -> io::Result<(Connection, InstanceSocket)> {
        match self.shared.passing {
            SocketPassing::Inherited => {
                let (ours, theirs) = UnixStream::pair()?;
                ours.set_nonblocking(true)?;
                let stream = Arc::new(AsyncDescriptor::new(ours)?);
                Ok((Connection::Connected(stream), InstanceSocket::Inherited(Arc::new(theirs.into()))))
            }
            SocketPassing::Mounted => {
                let logs = self.state.pools[pool].logs.as_ref();
                let logs = logs.ok_or_else(|| io::Error::other("the run has no folder"))?;
                let socket = MountedSocket::listen(&sockets_beside(logs), &number.to_string())?;
                let path = socket.path().to_owned();
                Ok((Connection::Listening(socket), InstanceSocket::Mounted(path)))
            }
        }
    }

    /// Starts the process of an instance, and a task that follows it.
    pub(super) fn start(&mut self, pool: usize, id: InstanceId) -> io::Result<()> {
        self.state.started += 1;
        let number = self.state.started;
        let (connection, socket) = self.socket(pool, number)?;
        let (stream, place) = match &connection {
            Connection::Connected(stream) => (Some(Arc::clone(stream)), SOCKET_DESCRIPTOR.to_string()),
            Connection::Listening(_) => (None, MOUNTED_SOCKET.to_owned()),
        };
        let launch = LaunchId(FIRST_INSTANCE + number);
        let of = &mut self.state.pools[pool];
        let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
        let name: Box<str> = format!("{}-{number}", of.handler).into();
        let file_name = format!("warm-{}.log", name.chars().map(plain).collect::<String>());
        let log = Log::new(of.logs.as_ref().map(|folder| folder.join(file_name)));
        let mut program = of.program.clone();
        program.env.push((SOCKET_VARIABLE.to_owned(), place));
        let order = LaunchOrder {
            name: format!("{}-instance-{number}", of.launch_name),
            program,
            captured: StdoutUse::Lines,
            grace: of.grace,
            pending: of.pending,
            labels: of.labels.clone(),
            socket: Some(socket),
            ..LaunchOrder::default()
        };
        let changed = Arc::new(Notify::new());
        let instance = Instance::new(launch, name, stream, Arc::clone(&changed), log);
        of.instances.insert(id, instance);
        let (events, updates) = mpsc::channel(64);
        self.shared.inner.launch(launch, order, &events);
        tokio::spawn(follow(Arc::clone(self.shared), (pool, id), connection, changed, updates));
        Ok(())
    }
}
