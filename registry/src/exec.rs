//! The payload of the built-in type `exec`: one command, never a shell line.

use crate::contract::read_json;
use crate::pod_config::quantity;
use crate::{Cpu, Memory};
use pop_document::{Fault, Fields, Pointer, nearest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const FIELDS: [&str; 8] =
    ["command", "image", "env", "cpu", "memory", "workingDirectory", "capture", "successCodes"];

/// What becomes of the standard output of a program.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Capture {
    /// It is log.
    #[default]
    Nothing,
    /// The result's `stdout` is the JSON value that it is.
    Json,
    /// The result's `stdout` is it, as text.
    Text,
    /// The result's `stdout` is the list of its lines.
    Lines,
}

impl Capture {
    const WORDS: [(&'static str, Self); 4] =
        [("nothing", Self::Nothing), ("json", Self::Json), ("text", Self::Text), ("lines", Self::Lines)];

    /// Turns captured output into the value of the result's `stdout`.
    pub fn value(self, output: &[u8]) -> Result<Option<Value>, String> {
        let text = || String::from_utf8_lossy(output);
        Ok(match self {
            Self::Nothing => None,
            Self::Text => Some(Value::String(text().into_owned())),
            Self::Lines => Some(text().lines().collect()),
            Self::Json => Some(read_json(output)?),
        })
    }
}

/// A payload of type `exec`, references resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecPayload {
    /// The argv.
    pub command: Vec<String>,
    /// The image that holds the program, for launchers that need one.
    pub image: Option<String>,
    /// More environment.
    pub env: Vec<(String, String)>,
    /// How much CPU it is given: both asked for and the limit.
    pub cpu: Option<Cpu>,
    /// How much memory it is given: both asked for and the limit.
    pub memory: Option<Memory>,
    /// The folder in which it starts.
    pub working_directory: Option<String>,
    /// What becomes of its standard output.
    pub capture: Capture,
    /// The exit statuses that mean success; none: 0.
    pub success_codes: Vec<i32>,
}

impl ExecPayload {
    /// Reads a payload whose references are filled.
    pub fn parse(payload: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        Self::read(payload, at, false, faults)
    }

    /// Checks a payload as it is written; a reference that will become a list or an amount passes.
    pub fn check(payload: &Value, at: Pointer, faults: &mut Vec<Fault>) {
        Self::read(payload, at, true, faults);
    }

    fn read(payload: &Value, at: Pointer, is_unfilled: bool, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let mut fields = Fields::of(payload, at, "the payload of type `exec`", "wrong-type", faults)?;
        fields.warn_unknown("the payload of type `exec`", &FIELDS);
        let is_filled = |fields: &Fields<'_, '_>, name: &str| {
            !is_unfilled || !fields.any(name).and_then(Value::as_str).is_some_and(|text| text.contains("@<"))
        };
        let command = match fields.any("command") {
            Some(Value::String(token)) if is_unfilled && token.starts_with("@<") => Some(vec![token.clone()]),
            Some(Value::String(line)) => {
                let at = fields.at("command");
                let message = "`command` must be a list of arguments, not a shell line";
                let argv: Vec<&str> = line.split_whitespace().collect();
                let fault = Fault::value("wrong-type", at, message);
                fields.faults().push(fault.hint(format!("write it as {}", Value::from(argv))));
                None
            }
            _ => fields.texts("command"),
        };
        if fields.any("command").is_none() {
            let at = fields.pointer().clone();
            fields.faults().push(Fault::value(
                "missing-field",
                at,
                "the payload of type `exec` needs a `command`",
            ));
        } else if command.as_ref().is_some_and(|argv| argv.first().is_none_or(String::is_empty)) {
            let at = fields.at("command");
            fields.faults().push(Fault::value("wrong-value", at, "`command` must begin with a program"));
        }
        let payload = Self {
            command: command.unwrap_or_default(),
            image: fields.text("image").map(str::to_owned),
            env: fields.text_map("env").unwrap_or_default(),
            cpu: is_filled(&fields, "cpu").then(|| quantity(&mut fields, "cpu")).flatten(),
            memory: is_filled(&fields, "memory").then(|| quantity(&mut fields, "memory")).flatten(),
            working_directory: fields.text("workingDirectory").map(str::to_owned),
            capture: capture(&mut fields),
            success_codes: success_codes(&mut fields),
        };
        let good = !faults[before..].iter().any(Fault::is_error);
        good.then_some(payload)
    }
}

fn capture(fields: &mut Fields<'_, '_>) -> Capture {
    let Some(word) = fields.text("capture") else { return Capture::Nothing };
    if let Some((_, capture)) = Capture::WORDS.iter().find(|(name, _)| *name == word) {
        return *capture;
    }
    let message = format!("`capture` must be json, text, lines or nothing, not `{word}`");
    let near = nearest(word, Capture::WORDS.iter().map(|(name, _)| *name));
    let at = fields.at("capture");
    fields.faults().push(Fault::value("wrong-value", at, message).did_you_mean(near));
    Capture::Nothing
}

fn success_codes(fields: &mut Fields<'_, '_>) -> Vec<i32> {
    let Some(list) = fields.list("successCodes") else { return Vec::new() };
    let mut codes = Vec::with_capacity(list.len());
    for (index, item) in list.iter().enumerate() {
        match item.as_u64().filter(|code| *code <= 255) {
            Some(code) => codes.push(code as i32),
            None => {
                let at = fields.at("successCodes").join(index);
                let message = format!("an exit status is a number from 0 to 255, not `{item}`");
                fields.faults().push(Fault::value("wrong-value", at, message));
            }
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn f40_a_shell_line_is_refused_with_the_list_to_write() {
        let mut faults = Vec::new();
        let payload = json!({"command": "rm -rf $HOME; ls"});
        assert_eq!(ExecPayload::parse(&payload, Pointer::root(), &mut faults), None);
        assert_eq!(faults[0].hint.as_deref(), Some(r#"write it as ["rm","-rf","$HOME;","ls"]"#));
    }

    #[test]
    fn a_full_payload_is_read() {
        let payload = json!({"command": ["ffprobe", 1], "image": "media/ffmpeg:7", "env": {"A": 1}, "cpu": 2,
            "memory": "1Gi", "workingDirectory": "w", "capture": "json", "successCodes": [0, 3]});
        let mut faults = Vec::new();
        let exec = ExecPayload::parse(&payload, Pointer::root(), &mut faults).unwrap();
        assert!(faults.is_empty());
        assert_eq!(exec.command, ["ffprobe", "1"]);
        assert_eq!((exec.cpu, exec.capture), (Some(Cpu::from_millis(2_000)), Capture::Json));
        assert_eq!(exec.memory.map(Memory::bytes), Some(1 << 30));
        assert_eq!(exec.success_codes, [0, 3]);
    }

    #[test]
    fn an_amount_that_is_still_to_come_passes_a_check_and_no_launch() {
        let payload = json!({"command": ["a"], "cpu": "@<size.out::/cpu>", "memory": "@<size.out>Mi"});
        let mut faults = Vec::new();
        ExecPayload::check(&payload, Pointer::root(), &mut faults);
        assert_eq!(faults, []);
        assert_eq!(ExecPayload::parse(&payload, Pointer::root(), &mut faults), None);
        let wrong = json!({"command": ["a"], "cpu": [], "memory": "1000m"});
        ExecPayload::check(&wrong, Pointer::root(), &mut faults);
        let said: Vec<_> = faults.iter().map(|f| (f.pointer(), f.code)).collect();
        let wrong = [("/cpu", "wrong-value"), ("/memory", "wrong-value"), ("/cpu", "wrong-type")];
        assert_eq!(said, [wrong[0], wrong[1], wrong[2], wrong[1]]);
    }

    #[test]
    fn every_fault_of_a_payload_is_said() {
        let payload = json!({"command": [], "capture": "jsn", "successCodes": [300], "comand": 1});
        let mut faults = Vec::new();
        ExecPayload::parse(&payload, Pointer::root(), &mut faults);
        let at: Vec<_> = faults.iter().map(Fault::pointer).collect();
        assert_eq!(at, ["/comand", "/command", "/capture", "/successCodes/0"]);
    }

    #[test]
    fn captured_output_becomes_a_value() {
        assert_eq!(Capture::Lines.value(b"a\nb\n"), Ok(Some(json!(["a", "b"]))));
        assert_eq!(Capture::Json.value(b"{\"w\": 1}\n"), Ok(Some(json!({"w": 1}))));
        assert!(Capture::Json.value(b"w").is_err());
        assert_eq!(Capture::Text.value(b"\xff"), Ok(Some(json!("\u{fffd}"))));
    }
}
