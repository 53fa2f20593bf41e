//! Orders for a handler that works outside of a run, for example for callers of a server or for an operator.

use crate::handler_program::{handler_program, pass_payload};
use crate::port::{LaunchOrder, Launcher, RunOnce, WarmOrder, label};
use crate::private_file::write_private;
use pop_contract::{Blame, Failure, LaunchType};
use pop_field_retriever::names::environment as variable;
use pop_registry::{Entry, WarmSettings};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Code of the failure that a program which does not serve many requests has when it is only to be started.
pub const NOT_WARM: &str = "not-warm";

/// The program of a handler, and how it starts.
#[derive(Clone)]
pub struct HandlerProgram {
    /// The handler.
    pub entry: Arc<Entry>,
    /// Starts its programs.
    pub launcher: Arc<dyn Launcher>,
    /// How the launcher launches.
    pub on: LaunchType,
    /// The registry's folder, against which its relative programs are resolved.
    pub home: Option<PathBuf>,
    /// The run that its containers belong to: the same for a process that takes the place of a killed one.
    pub mark: String,
    /// Beginning of the names of launches, unique among all processes.
    pub launch_name: String,
    /// Variables that every program of the handler gets besides those of its entry.
    pub variables: Vec<(String, String)>,
}

/// What one launch of a handler works on.
#[derive(Debug, Clone)]
pub struct HandlerTask {
    /// Number of the launch, unique in this process.
    pub number: u64,
    /// Instances of different lanes are separate.
    pub lane: Option<u32>,
    /// Variables of this launch.
    pub variables: Vec<(String, String)>,
    /// The payload, as JSON. Without one, only an instance is started.
    pub payload: Option<Arc<str>>,
    /// File for a payload that is passed in a file.
    pub file: PathBuf,
}

impl HandlerTask {
    /// A task with the name of an action and a payload.
    pub fn new(number: u64, action: &str, payload: &Value, file: PathBuf) -> Self {
        let variables =
            [(variable::OPERATION_NAME, action), (variable::ACTION, action), (variable::ATTEMPT, "1")];
        Self {
            number,
            lane: None,
            variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            payload: Some(payload.to_string().into()),
            file,
        }
    }

    /// The start of an instance.
    pub fn start(number: u64) -> Self {
        Self { number, lane: None, variables: Vec::new(), payload: None, file: PathBuf::new() }
    }
}

impl HandlerProgram {
    /// The settings of its instances, if its programs stay for many launches.
    pub fn warm(&self) -> Option<WarmSettings> {
        let warm = self.entry.warm?;
        self.on.capabilities().no_warm_instances.is_none().then_some(warm)
    }

    /// What all its orders have in common.
    pub fn order(&self, grace: Duration) -> LaunchOrder {
        let Self { entry, on, home, mark, variables, .. } = self;
        let labels = [(label::RUN, mark.as_str()), (label::OPERATION, &entry.name), (label::ATTEMPT, "1")];
        let mut program = handler_program(entry, *on, home.as_deref());
        program.env.extend(variables.iter().cloned());
        program.pod = on.capabilities().needs_image.then(|| Arc::clone(&entry.pod));
        LaunchOrder {
            program,
            labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            grace: Some(grace),
            ..LaunchOrder::default()
        }
    }

    /// Completes the order of a program that is run for one task. A task without a payload cannot be run once.
    fn run_once(&self, task: &HandlerTask) -> RunOnce {
        let (entry, task) = (Arc::clone(&self.entry), task.clone());
        Arc::new(move |order| {
            let Some(payload) = &task.payload else {
                let message = "the program does not stay to serve many requests";
                return Err(Failure::new(Blame::Handler, NOT_WARM, message));
            };
            let write = |file: &Path, text: &str| write_private(file, text.as_bytes());
            pass_payload(&mut order.program, payload, task.file.clone(), &entry, &write)?;
            order.program.env.extend(task.variables.iter().cloned());
            Ok(())
        })
    }

    /// An order for a task: for an instance with these limits, or else for a program that is run for this task.
    pub fn task_order(
        &self,
        template: &LaunchOrder,
        task: &HandlerTask,
        warm: Option<WarmSettings>,
    ) -> Result<LaunchOrder, Failure> {
        let mut order =
            LaunchOrder { name: format!("{}-{}", self.launch_name, task.number), ..template.clone() };
        let run_once = self.run_once(task);
        let Some(settings) = warm else {
            run_once(&mut order)?;
            return Ok(order);
        };
        order.warm = Some(Box::new(WarmOrder {
            settings,
            handler: self.entry.id.clone(),
            version: self.entry.version.clone(),
            subject: task.number,
            lane: task.lane,
            variables: task.variables.clone(),
            payload: task.payload.clone(),
            run_once,
        }));
        Ok(order)
    }
}
