//! How the payload reaches the program of a registry entry.

use pop_contract::PayloadForm;
use pop_document::{Fault, Fields, nearest};
use std::fmt;

/// The way of a payload to a program, if the entry sets it (`payload`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadDelivery {
    /// In the variable `PAYLOAD`.
    Environment,
    /// In a file; `POP_PAYLOAD_FILE` is its path.
    File,
    /// As standard input.
    Stdin,
}

impl PayloadDelivery {
    const ALL: [Self; 3] = [Self::Environment, Self::File, Self::Stdin];

    /// The word in a registry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::File => "file",
            Self::Stdin => "stdin",
        }
    }

    /// Whether payloads are delivered in this form.
    pub fn reads(self, form: PayloadForm) -> bool {
        match self {
            Self::Environment => form == PayloadForm::EnvVar,
            Self::File => form == PayloadForm::File,
            Self::Stdin => false,
        }
    }

    /// Reads the field `payload` of an entry.
    pub(crate) fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let word = fields.text("payload")?;
        let found = Self::ALL.into_iter().find(|known| known.as_str() == word);
        if found.is_none() {
            let at = fields.at("payload");
            let message = format!("`payload` must be environment, file or stdin, not `{word}`");
            let near = nearest(word, Self::ALL.map(Self::as_str));
            fields.faults().push(Fault::value("wrong-value", at, message).did_you_mean(near));
        }
        found
    }
}

impl fmt::Display for PayloadDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
