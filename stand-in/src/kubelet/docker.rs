//! Containers of the local Docker Engine. The containers of a pod share the network of its pause container.
//!
//! Each container has a label with the process that created it, so the next stand-in removes what a killed one left
//! behind.

use super::order::{ContainerOrder, Exit, Mount, RunningContainer, Sandbox, StartFailure, Stop};
use super::pause;
use crate::log::ContainerLog;
use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateImageOptionsBuilder, KillContainerOptionsBuilder, ListContainersOptionsBuilder, LogsOptionsBuilder,
    RemoveContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use rustix::process::Signal;
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::oneshot;

const LABEL: &str = "pop.stand-in";
const PAUSE: &str = "pop-stand-in-pause:1";

/// The Engine, and the server's address for its containers.
#[derive(Debug)]
pub(crate) struct DockerEngine {
    docker: Docker,
    pub(crate) host: String,
    owner: String,
}

/// A handle of a container.
#[derive(Debug, Clone)]
struct Handle {
    docker: Docker,
    id: String,
}

impl Stop for Handle {
    fn signal(&self, signal: Signal) {
        let name = if signal == Signal::KILL { "SIGKILL" } else { "SIGTERM" };
        let handle = self.clone();
        tokio::spawn(async move {
            let options = KillContainerOptionsBuilder::new().signal(name).build();
            handle.docker.kill_container(&handle.id, Some(options)).await.ok();
        });
    }
}

impl DockerEngine {
    /// Connects to the Engine, imports the pause image, and removes containers of killed stand-ins.
    pub(crate) async fn open() -> Result<Self, Error> {
        let docker = Docker::connect_with_socket_defaults()?.negotiate_version().await?;
        let host = gateway(&docker).await?;
        let engine = Self { docker, host, owner: uuid::Uuid::new_v4().to_string() };
        engine.import_pause().await?;
        engine
            .sweep(|label| {
                label.split_once(' ').is_some_and(|(pid, _)| !Path::new("/proc").join(pid).exists())
            })
            .await;
        Ok(engine)
    }

    async fn import_pause(&self) -> Result<(), Error> {
        if self.docker.inspect_image(PAUSE).await.is_ok() {
            return Ok(());
        }
        let (repository, tag) = PAUSE.split_once(':').unwrap_or((PAUSE, ""));
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).build();
        let body = bollard::body_full(pause::archive().into());
        let mut steps = std::pin::pin!(self.docker.create_image(Some(options), Some(body), None));
        while let Some(step) = steps.next().await {
            step?;
        }
        Ok(())
    }

    fn label(&self) -> String {
        format!("{} {}", std::process::id(), self.owner)
    }

    fn labels(&self) -> HashMap<String, String> {
        HashMap::from([(LABEL.to_owned(), self.label())])
    }

    /// Creates the pause container, which holds the network of a pod.
    pub(crate) async fn open_pod(&self, name: &str) -> Result<Sandbox, String> {
        let failure = |why: Error| format!("Failed to create pod sandbox: {why}");
        let host = HostConfig {
            extra_hosts: Some(vec![
                format!("kubernetes.default.svc:{}", self.host),
                format!("kubernetes.default:{}", self.host),
                format!("kubernetes:{}", self.host),
            ]),
            ipc_mode: Some("shareable".to_owned()),
            ..HostConfig::default()
        };
        let body = ContainerCreateBody {
            image: Some(PAUSE.to_owned()),
            entrypoint: Some(vec!["/pause".to_owned()]),
            hostname: Some(name.chars().take(63).collect()),
            labels: Some(self.labels()),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        };
        let id = self.docker.create_container(None, body).await.map_err(failure)?.id;
        self.docker.start_container(&id, None).await.map_err(failure)?;
        let found = self.docker.inspect_container(&id, None).await.map_err(failure)?;
        let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let ip = networks.into_values().find_map(|network| network.ip_address).unwrap_or_default();
        Ok(Sandbox { ip, id })
    }

    /// Removes a container, running or not.
    pub(crate) async fn remove(&self, id: &str) {
        remove(&self.docker, id).await;
    }

    /// The id of a local image.
    pub(crate) async fn find(&self, image: &str) -> Option<String> {
        self.docker.inspect_image(image).await.ok()?.id
    }

    pub(crate) async fn start(
        &self,
        order: ContainerOrder,
        log: Arc<ContainerLog>,
    ) -> Result<RunningContainer, StartFailure> {
        let image_id = self.find(&order.image).await.unwrap_or_default();
        let termination = order.folder.join("termination-log");
        create_writable(&termination).map_err(|why| failed("CreateContainerError", &why))?;
        let body = self.body(order);
        let created = self.docker.create_container(None, body).await;
        let id = created.map_err(|why| failed("CreateContainerError", &why))?.id;
        if let Err(why) = self.docker.start_container(&id, None).await {
            self.remove(&id).await;
            let message = match why {
                Error::DockerResponseServerError { message, .. } => message,
                other => other.to_string(),
            };
            return Err(StartFailure::Broken {
                message: format!("failed to create containerd task: {message}"),
            });
        }
        let (ended, exit) = oneshot::channel();
        let (docker, own) = (self.docker.clone(), id.clone());
        tokio::spawn(async move {
            follow(&docker, &own, &log).await;
            let code = wait(&docker, &own).await;
            log.close();
            let found = docker.inspect_container(&own, None).await.ok();
            let is_out_of_memory = found.and_then(|found| found.state?.oom_killed).unwrap_or(false);
            let message = fs::read_to_string(termination).unwrap_or_default();
            remove(&docker, &own).await;
            // the worker of the pod may have ended
            ended.send(Exit { code, is_out_of_memory, message }).ok();
        });
        let stopper = Arc::new(Handle { docker: self.docker.clone(), id: id.clone() });
        Ok(RunningContainer { id: format!("docker://{id}"), image_id, stopper, exit })
    }

    fn body(&self, order: ContainerOrder) -> ContainerCreateBody {
        let bind = |mount: &Mount| {
            let mode = if mount.is_read_only { ":ro" } else { "" };
            format!("{}:{}{mode}", mount.source.display(), mount.target)
        };
        let network = format!("container:{}", order.sandbox);
        let host = HostConfig {
            binds: Some(order.mounts.iter().map(bind).collect()),
            network_mode: Some(network.clone()),
            pid_mode: order.shares_processes.then(|| network.clone()),
            ipc_mode: Some(network),
            nano_cpus: order.cpu.and_then(|thousandths| i64::try_from(thousandths * 1_000_000).ok()),
            memory: order.memory.and_then(|thousandths| i64::try_from(thousandths / 1_000).ok()),
            memory_swap: order.memory.and_then(|thousandths| i64::try_from(thousandths / 1_000).ok()),
            privileged: Some(order.is_privileged),
            ..HostConfig::default()
        };
        let some = |list: Vec<String>| (!list.is_empty()).then_some(list);
        ContainerCreateBody {
            image: Some(order.image),
            entrypoint: some(order.command),
            cmd: some(order.arguments),
            env: Some(order.variables.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            working_dir: order.working_folder,
            user: order.user,
            labels: Some(self.labels()),
            host_config: Some(host),
            ..ContainerCreateBody::default()
        }
    }

    /// Removes all containers of this stand-in.
    pub(crate) async fn end(&self) {
        let own = self.label();
        self.sweep(|label| label == own).await;
    }

    async fn sweep(&self, is_due: impl Fn(&str) -> bool) {
        let filters = HashMap::from([("label", vec![LABEL])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.docker.list_containers(Some(options)).await.unwrap_or_default();
        for container in found {
            let label = container.labels.as_ref().and_then(|labels| labels.get(LABEL));
            if let (true, Some(id)) = (label.is_some_and(|label| is_due(label.as_str())), container.id) {
                self.remove(&id).await;
            }
        }
    }
}

fn failed(reason: &'static str, why: &dyn std::fmt::Display) -> StartFailure {
    StartFailure::Waiting { reason, message: why.to_string() }
}

/// Creates a file that every user of a container may write.
fn create_writable(termination: &Path) -> std::io::Result<()> {
    fs::create_dir_all(termination.parent().unwrap_or(termination))?;
    fs::write(termination, "")?;
    fs::set_permissions(termination, fs::Permissions::from_mode(0o666))
}

async fn remove(docker: &Docker, id: &str) {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    // the container may be removed already
    docker.remove_container(id, Some(options)).await.ok();
}

async fn follow(docker: &Docker, id: &str, log: &ContainerLog) {
    let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
    let mut output = std::pin::pin!(docker.logs(id, Some(options)));
    while let Some(Ok(piece)) = output.next().await {
        log.append(Timestamp::now(), &piece.into_bytes());
    }
}

async fn wait(docker: &Docker, id: &str) -> i64 {
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    let mut answers = std::pin::pin!(docker.wait_container(id, Some(options)));
    match answers.next().await {
        Some(Ok(answer)) => answer.status_code,
        Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
        Some(Err(_)) | None => 255,
    }
}

/// The address of this machine in the containers' network.
async fn gateway(docker: &Docker) -> Result<String, Error> {
    let network = docker.inspect_network("bridge", None).await?;
    let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let first_of = |subnet: &str| {
        let base: std::net::Ipv4Addr = subnet.split('/').next()?.parse().ok()?;
        Some(std::net::Ipv4Addr::from_bits(base.to_bits() + 1).to_string())
    };
    let found = configs.into_iter().find_map(|config| {
        config.gateway.filter(|gateway| !gateway.is_empty()).or_else(|| first_of(config.subnet.as_deref()?))
    });
    Ok(found.unwrap_or_else(|| "172.17.0.1".to_owned()))
}
