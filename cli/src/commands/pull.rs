//! `pop pull`: takes agendas from a service and starts an executor for each.

use super::go::{event_loop, guard_of, own_program, reach};
use super::handlers::checked_handlers;
use super::http_pages::serve_pages;
use super::machine::processors;
use super::signals::hear_signals;
use crate::args::{PullArgs, PullerArgs, RegistryArgs, StrictArg};
use crate::error::{CommandError, Kind};
use crate::launch_data::{launch_data, surroundings};
use crate::ui;
use pop_assembly::{ServedHandler, Surroundings};
use pop_field_retriever::names::{environment, property};
use pop_field_retriever::{DefaultLaunchData, FieldName, LaunchDataWrapper as _};
use pop_launchers::process::{EXECUTOR_VARIABLE, executor_identity};
use pop_launchers::{Setting, choose, make_private_folder};
use pop_puller::{ExecutorProgram, Health, Puller, PullerSettings, ServiceClient};
use pop_registry::Entry;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Operation type under which a registry has the executor.
const EXECUTOR: &str = "executor";
/// Address of a service on this machine.
const DEFAULT_SERVICE: &str = "http://127.0.0.1:7070/pop/resourcepool/service";
/// The insight that a new service has.
const DEFAULT_INSIGHT: &str = "default";

/// What a puller is made of.
pub(super) struct PullerSetup<'a> {
    /// Address of the service.
    pub(super) service: String,
    /// Token of the puller and its executors.
    pub(super) token: Option<String>,
    /// Folder of the service or the puller.
    pub(super) data: &'a Path,
    pub(super) puller: &'a PullerArgs,
}

pub(crate) fn pull(args: &PullArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.puller.launch, StrictArg::default())?;
    let runtime = event_loop()?;
    let _guard = runtime.enter();
    let of_property = text(&launch, property::PULLER_SERVICE_URL);
    let setup = PullerSetup {
        service: args.service.clone().or(of_property).unwrap_or_else(|| DEFAULT_SERVICE.to_owned()),
        token: std::env::var(environment::SERVICE_TOKEN).ok().filter(|token| !token.is_empty()),
        data: &args.data,
        puller: &args.puller,
    };
    let (puller, health) = puller_setup(&setup, &launch)?;
    let (signals, stop) = mpsc::unbounded_channel();
    hear_signals(signals)?;
    ui::say(&format!("taking agendas from {}; end it with Ctrl-C", setup.service));
    runtime.block_on(async {
        if let Some(address) = args.health {
            let listener = tokio::net::TcpListener::bind(address).await.map_err(|error| {
                CommandError::new(Kind::Usage, format!("cannot listen on {address}: {error}"))
            })?;
            tokio::spawn(serve_pages(listener, move |path| std::future::ready(health.page(&path))));
        }
        let ended = tokio::spawn(puller.run(stop)).await;
        ended.map(|()| 0).map_err(|error| CommandError::new(Kind::Internal, error.to_string()))
    })
}

/// A puller with its settings from the command line and the properties.
pub(super) fn puller_setup(
    setup: &PullerSetup<'_>,
    launch: &DefaultLaunchData,
) -> Result<(Puller, Health), CommandError> {
    let args = setup.puller;
    if let Some(file) = text(launch, property::PULLER_LOCAL_AGENDA_PATH) {
        let message = format!(
            "property {} = {file}: a puller only takes agendas of a service",
            property::PULLER_LOCAL_AGENDA_PATH
        );
        return Err(CommandError::new(Kind::Registry, message).hint("run that file with `pop run`"));
    }
    let on = launch.external_launch_type().value;
    let wait =
        Duration::from_secs(args.wait.map_or_else(|| number(launch, property::PULLER_PULL_WAIT, 30), Ok)?);
    let limit = match args.limit {
        Some(limit) => Some(limit),
        None => match number(launch, property::INSIGHT_EXECUTION_LIMIT, -1_i64)? {
            limit @ 1.. => u32::try_from(limit).ok(),
            _ if on.capabilities().uses_host_programs => Some(processors()),
            _ => None,
        },
    };
    let insight = args.insight.clone().or_else(|| text(launch, property::PULLER_INSIGHT_ID));
    let settings = PullerSettings {
        insight: insight.unwrap_or_else(|| DEFAULT_INSIGHT.to_owned()),
        count: args
            .count
            .map_or_else(|| number(launch, property::PULLER_AGENDA_REQUEST_COUNT, 1), Ok)?
            .max(1),
        wait,
        limit,
        name: args
            .name
            .clone()
            .unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned()),
        lease: Duration::from_secs(args.pull_lease),
        drain: Duration::from_secs(args.drain),
    };
    let alive = number(launch, property::MONITOR_ALIVE_LAST_REQUEST_MS, 30_000)?;
    // a request may wait that long without an answer
    let health = Health::new(Duration::from_millis(alive).max(wait + Duration::from_secs(10)));
    let client = ServiceClient::new(&setup.service, setup.token.as_deref())
        .map_err(|error| CommandError::new(Kind::Registry, error.to_string()))?;
    let program = executor(setup, launch)?;
    Ok((Puller::new(settings, client, program, health.clone(), ui::say), health))
}

/// The executor: type `executor` of the registry, else `pop run` on this machine.
fn executor(setup: &PullerSetup<'_>, launch: &DefaultLaunchData) -> Result<ExecutorProgram, CommandError> {
    let surroundings = surroundings()?;
    let on = launch.external_launch_type().value;
    let folder = std::path::absolute(setup.data.join("executors"))?;
    make_private_folder(&folder)?;
    let known = checked_handlers(&setup.puller.registry, launch, &surroundings)?;
    let identity = executor_identity();
    let grace = Duration::from_secs(setup.puller.grace);
    reach(launch, &surroundings)?;
    let (entry, home, mut setting, is_pop) = if known.catalog.entry(EXECUTOR).is_some() {
        let served = ServedHandler::of(&known, EXECUTOR, ("executors", &identity), on, &surroundings, launch);
        let served = served.map_err(|error| CommandError::new(Kind::Registry, error.to_string()))?;
        (served.entry, served.home, served.setting, false)
    } else if on.capabilities().uses_host_programs {
        let entry = Entry {
            id: EXECUTOR.to_owned(),
            name: EXECUTOR.to_owned(),
            command: Some(pop_run(setup)?),
            ..Entry::default()
        };
        (Arc::new(entry), None, own_setting(&surroundings, &identity), true)
    } else {
        let message = format!("the registry has no type `{EXECUTOR}`, which names the image of executors");
        return Err(CommandError::new(Kind::Registry, message));
    };
    // other pullers start executors, too: none of theirs is swept
    setting.run = None;
    setting
        .variables
        .retain(|(name, _)| [environment::LAUNCH_TYPE, environment::LOG_LEVEL].contains(&name.as_str()));
    setting.guard_command = Some(guard_of(&identity));
    setting.grace = Some(grace);
    let launcher = choose(on, setting);
    Ok(ExecutorProgram { entry, home, is_pop, launcher, on, folder, grace, token: setup.token.clone() })
}

/// The setting of executors on this machine.
fn own_setting(surroundings: &Surroundings, identity: &str) -> Setting {
    let own = (EXECUTOR_VARIABLE.into(), identity.into());
    Setting {
        surroundings: surroundings.for_programs().chain([own]).collect(),
        folder: surroundings.folder.clone(),
        ..Setting::default()
    }
}

/// The command `pop run`, with the folders of this command.
fn pop_run(setup: &PullerSetup<'_>) -> Result<Vec<String>, CommandError> {
    let path = |path: &Path| -> Result<String, CommandError> {
        let path = std::path::absolute(path)?;
        path.into_os_string().into_string().map_err(|path| {
            CommandError::new(Kind::Usage, format!("the path `{}` is not UTF-8", path.display()))
        })
    };
    let mut argv = vec![own_program(), "run".to_owned(), "--runs".to_owned(), path(&setup.puller.runs.runs)?];
    let RegistryArgs { registry, conf_d, handlers } = &setup.puller.registry;
    let named = [("--registry", registry), ("--conf-d", conf_d)].into_iter();
    let named = named.filter_map(|(option, path)| Some((option, path.as_ref()?)));
    for (option, named) in named.chain(handlers.iter().map(|folder| ("--handlers", folder))) {
        argv.extend([option.to_owned(), path(named)?]);
    }
    Ok(argv)
}

pub(super) fn text(launch: &DefaultLaunchData, name: &'static str) -> Option<String> {
    let found = launch.field(&FieldName::of_property(name))?;
    Some(found.value.trim().to_owned()).filter(|text| !text.is_empty())
}

pub(super) fn number<T: std::str::FromStr + Clone>(
    launch: &DefaultLaunchData,
    name: &'static str,
    default: T,
) -> Result<T, CommandError> {
    let Some(text) = text(launch, name) else { return Ok(default) };
    text.parse().map_err(|_| {
        CommandError::new(Kind::Registry, format!("property `{name}`: `{text}` is not a number in its range"))
    })
}
