//! The commands of the manager, with the replies of SDS.

use super::Server;
use crate::control::Control;
use crate::dispatcher::{Input, InstanceState, Refusal};
use crate::instances::{name, named};
use crate::message::{Reply, Request};
use crate::peers::Endpoint;
use serde_json::{Value, json};

/// A part of a handler that can be closed and run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Frontend,
    InstanceManager,
    Broadcaster,
}

impl Part {
    fn as_str(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::InstanceManager => "instance_manager",
            Self::Broadcaster => "broadcaster",
        }
    }
}

/// The commands of [`Server::command`], for messages.
const COMMANDS: &str = "status, parts, message-amount, instance-amount, instances, config, add-instance, delete-instance, close-part, run-part, close, events";

impl Server {
    /// The manager got a command.
    pub(super) fn control(&mut self, control: Control) {
        match control {
            // the asker may be gone
            Control::Command(request, reply) => drop(reply.send(self.command(&request))),
            Control::Metrics(reply) => drop(reply.send(self.metrics())),
            Control::Events(reply) => drop(reply.send((self.present(), self.events.subscribe()))),
        }
    }

    /// Carries out a command. Words are separated by `-` or `_`.
    fn command(&mut self, request: &Request) -> Reply {
        let parameters = &request.parameters;
        match request.command.replace('_', "-").as_str() {
            "status" => Reply::ok(self.status()),
            "parts" => {
                let parts: Vec<&str> = self.parts().iter().map(|part| part.as_str()).collect();
                let amounts = self.message_amount();
                let types: Vec<&String> =
                    amounts.as_object().into_iter().flatten().map(|(name, _)| name).collect();
                Reply::ok(json!({"parts": parts, "message_types": types}))
            }
            "message-amount" => Reply::ok(self.message_amount()),
            "instance-amount" => Reply::ok(json!({"instance_amount": self.dispatcher.present()})),
            "instances" => Reply::ok(self.present()),
            "config" => Reply::ok(json!({"config": self.config()})),
            "add-instance" => self.add_instance(),
            "delete-instance" => match text(parameters, "instance_id") {
                Ok(id) => self.delete_instance(id),
                Err(missing) => missing,
            },
            "close-part" => self.with_part(parameters, Self::close_part),
            "run-part" => self.with_part(parameters, Self::run_part),
            "close" => {
                self.begin_close();
                Reply::ok(json!({}))
            }
            other => Reply::fail(format!("the manager has no command `{other}`; it has: {COMMANDS}")),
        }
    }

    /// The present instances and their states.
    fn present(&self) -> Value {
        let word = |state| match state {
            InstanceState::Starting => "starting",
            InstanceState::Ready => "ready",
            InstanceState::Handling(_) => "handling",
            InstanceState::Ending => "ending",
        };
        let of = |(id, state): &(_, _)| json!({"instance_id": name(*id), "status": word(*state)});
        let instances: Vec<Value> = self.dispatcher.instances().iter().map(of).collect();
        json!({"instances": instances})
    }

    fn parts(&self) -> &'static [Part] {
        if self.settings.kind.runs_program() {
            &[Part::Frontend, Part::InstanceManager]
        } else {
            &[Part::Frontend, Part::Broadcaster]
        }
    }

    fn is_running(&self, part: Part) -> bool {
        match part {
            Part::Frontend => self.front.is_listening(),
            Part::InstanceManager => !self.dispatcher.is_stopped(),
            Part::Broadcaster => self.outbox.is_open(),
        }
    }

    fn status(&self) -> Value {
        if self.parts().iter().all(|part| self.is_running(*part)) {
            return json!({"status": "ready"});
        }
        let word = |part: Part| match (self.is_running(part), part) {
            (true, _) => "running",
            (false, Part::Frontend) => self.frontend_problem.as_deref().unwrap_or("created"),
            (false, _) => "idle",
        };
        let parts: Value =
            self.parts().iter().map(|part| (part.as_str().to_owned(), json!(word(*part)))).collect();
        json!({"status": "incomplete", "parts": parts})
    }

    fn message_amount(&self) -> Value {
        let waiting = self.dispatcher.waiting();
        let mut amounts = json!({"queue_length": waiting, "processing_length": self.dispatcher.in_hand()});
        if !self.settings.kind.runs_program() {
            amounts["broadcasting_length"] = self.outbox.len().into();
        }
        amounts
    }

    fn config(&self) -> Value {
        let settings = &self.settings;
        let port = |endpoint: &Endpoint| match endpoint {
            Endpoint::Tcp(address) => address.port(),
            Endpoint::Ipc(_) => 0,
        };
        let mut config = json!({
            "category": settings.category, "id": settings.id, "type": settings.kind.sds_word(),
            "instance_amount": settings.instances, "port": port(&self.endpoint),
            "endpoint": self.endpoint.to_string(), "queue": settings.queue, "pid": std::process::id(),
        });
        if let Some(send) = &self.send_endpoint {
            config["broadcast_port"] = port(send).into();
            config["broadcast_endpoint"] = send.to_string().into();
        }
        config
    }

    fn add_instance(&mut self) -> Reply {
        if !self.settings.kind.runs_program() {
            return Reply::fail(format!("a {} has no instances", self.settings.kind));
        }
        match self.dispatcher.add() {
            Ok((id, actions)) => {
                self.perform(actions);
                Reply::ok(json!({"instance_id": name(id)}))
            }
            Err(Refusal::Limit(1)) => Reply::fail(format!("a {} has only one instance", self.settings.kind)),
            Err(Refusal::Limit(most)) => {
                Reply::fail(format!("there are {most} instances, the maximum amount"))
            }
            Err(Refusal::Stopped | Refusal::Unknown) => Reply::fail("the instance manager is not running"),
        }
    }

    fn delete_instance(&mut self, id: &str) -> Reply {
        let deleted = named(id).ok_or(Refusal::Unknown).and_then(|id| self.dispatcher.delete(id));
        match deleted {
            Ok(actions) => {
                self.perform(actions);
                Reply::ok(json!({}))
            }
            Err(_) => Reply::fail(format!("there is no instance `{id}`")),
        }
    }

    fn with_part(&mut self, parameters: &Value, act: fn(&mut Self, Part) -> Reply) -> Reply {
        let word = match text(parameters, "part") {
            Ok(word) => word.replace('-', "_"),
            Err(missing) => return missing,
        };
        match self.parts().iter().find(|part| part.as_str() == word) {
            Some(part) => act(self, *part),
            None => {
                let known: Vec<&str> = self.parts().iter().map(|part| part.as_str()).collect();
                Reply::fail(format!("there is no part `{word}`; the parts are: {}", known.join(", ")))
            }
        }
    }

    fn close_part(&mut self, part: Part) -> Reply {
        if !self.is_running(part) {
            return Reply::fail(format!("the part `{}` is not running", part.as_str()));
        }
        match part {
            Part::Frontend => self.front.stop_listening(),
            Part::InstanceManager => {
                let actions = self.dispatcher.step(Input::StopInstances);
                self.perform(actions);
            }
            Part::Broadcaster => self.outbox.set_open(false),
        }
        self.emit(json!({"event": "part_closed", "part": part.as_str()}));
        Reply::ok(json!({}))
    }

    fn run_part(&mut self, part: Part) -> Reply {
        if self.closing.is_some() {
            return Reply::fail(super::CLOSED);
        }
        if self.is_running(part) {
            return Reply::fail(format!("the part `{}` is running", part.as_str()));
        }
        match part {
            Part::Frontend => {
                if let Err(error) = self.front.listen(&self.endpoint) {
                    let problem = format!("cannot listen on {}: {error}", self.endpoint);
                    self.frontend_problem = Some(problem.clone());
                    return Reply::fail(problem);
                }
                self.frontend_problem = None;
            }
            Part::InstanceManager => {
                let actions = self.dispatcher.step(Input::StartInstances);
                self.perform(actions);
            }
            Part::Broadcaster => {
                self.outbox.set_open(true);
                self.flush_outbox();
            }
        }
        self.emit(json!({"event": "part_running", "part": part.as_str()}));
        Reply::ok(json!({}))
    }
}

/// A parameter of a command.
fn text<'v>(parameters: &'v Value, name: &str) -> Result<&'v str, Reply> {
    parameters
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| Reply::fail(format!("the command needs `{name}`")))
}
