//! `pop operator`: the operator of Agendas, and operators whose handlers are programs.

mod agenda_check;
mod manifests;
mod run;

use crate::args::{OperatorCommand, OperatorSource};
use crate::error::CommandError;
use crate::launch_data::{read_document, refused};
use crate::ui;
use pop_operator::OperatorConfig;
use pop_operator_program::OperatorFile;
use serde_json::Value;

pub(crate) fn operator(command: &OperatorCommand) -> Result<u8, CommandError> {
    match command {
        OperatorCommand::Run(args) => run::run(args),
        OperatorCommand::Crd(args) => manifests::crd(args),
        OperatorCommand::Rbac(args) => manifests::rbac(args),
    }
}

/// The operator of a command.
enum Chosen {
    /// That of Agendas.
    Agendas,
    /// That of a file.
    File(Box<OperatorFile>),
}

impl Chosen {
    /// Reads the operator file, if one is given.
    fn of(source: &OperatorSource) -> Result<Self, CommandError> {
        let Some(path) = &source.config else { return Ok(Self::Agendas) };
        let (text, root) = read_document(path, "operator file")?;
        let mut faults = Vec::new();
        match OperatorFile::read(&root, &mut faults) {
            Some(file) => {
                ui::print_faults(&text, &faults);
                Ok(Self::File(Box::new(file)))
            }
            None => Err(refused(&text, &faults)),
        }
    }

    fn config(&self) -> OperatorConfig {
        match self {
            Self::Agendas => pop_agenda_operator::config(),
            Self::File(file) => file.config.clone(),
        }
    }

    fn definition(&self) -> Value {
        match self {
            Self::Agendas => pop_agenda_operator::definition(),
            Self::File(file) => file.definition(),
        }
    }
}
