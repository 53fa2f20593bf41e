//! The payload of the built-in type `exec`: one command as a list of arguments, or a shell script.

use crate::capture::{Capture, capture};
use crate::exec_limits::{check_path, check_total, text_fault, variable_fault};
use crate::program_text::{ProgramText, ProgramTexts, content};
use pop_document::{Fault, Fields, Pointer};
use pop_policy::{Cpu, EXEC_FIELDS, Level, Memory, quantity};
use serde_json::Value;

/// Program and options that run a script of the field `shell`.
const SHELL: [&str; 3] = ["sh", "-eu", "-c"];
/// Letters that only a shell interprets.
const SHELL_LETTERS: &[char] = &[
    ';', '|', '&', '<', '>', '$', '`', '"', '\'', '\\', '*', '?', '~', '#', '(', ')', '{', '}', '[', ']',
    '\n',
];
const AS_FILE: &str = "write `{file: …}` in its place: pop passes the path of a file with the value";

/// A payload of type `exec` with resolved references.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecPayload {
    /// Program and arguments.
    pub command: Vec<ProgramText>,
    /// Content of standard input; none for an empty one.
    pub stdin: Option<String>,
    /// Container image, for launchers that need one.
    pub image: Option<String>,
    /// Additional environment variables.
    pub env: Vec<(String, ProgramText)>,
    /// CPU: both request and limit.
    pub cpu: Option<Cpu>,
    /// Memory: both request and limit.
    pub memory: Option<Memory>,
    /// Working directory.
    pub working_directory: Option<String>,
    /// How standard output is captured.
    pub capture: Capture,
    /// Exit statuses that mean success; empty means only 0.
    pub success_codes: Vec<i32>,
    /// Whether report lines are treated as log.
    pub ignores_reports: bool,
}

impl ExecPayload {
    /// Reads a payload whose references are resolved; `template` is the payload as written.
    pub fn parse(payload: &Value, template: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        Self::read(payload, &ProgramTexts { template, has_references: false }, at, faults)
    }

    /// Checks a payload with unresolved references; a reference passes where a list or an amount is expected. Returns the
    /// payload unless it has faults.
    pub fn check(payload: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        Self::read(payload, &ProgramTexts { template: payload, has_references: true }, at, faults)
    }

    /// Whether a file of this machine must reach the program.
    pub fn needs_file(&self) -> bool {
        let texts = self.command.iter().chain(self.env.iter().map(|(_, text)| text));
        self.stdin.is_some() || texts.into_iter().any(|text| text.text().is_none())
    }

    fn read(payload: &Value, texts: &ProgramTexts<'_>, at: Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let mut fields = Fields::of(payload, at, "the payload of type `exec`", "wrong-type", faults)?;
        Level::Exec.warn_unknown(&mut fields, |key| EXEC_FIELDS.contains(&key));
        let is_resolved = |fields: &Fields<'_, '_>, name: &str| {
            !texts.has_references
                || !fields.any(name).and_then(Value::as_str).is_some_and(|text| text.contains("@<"))
        };
        let command = command(&mut fields, texts);
        let env = texts.variables(&mut fields).unwrap_or_default();
        check_lengths(&mut fields, command.as_deref().unwrap_or_default(), &env);
        for field in ["workingDirectory", "image"] {
            let text = fields.any(field).and_then(Value::as_str);
            check_path(&mut fields, field, text);
        }
        let payload = Self {
            command: command.unwrap_or_default(),
            stdin: fields.any("stdin").map(content),
            image: fields.text("image").map(str::to_owned),
            env,
            cpu: is_resolved(&fields, "cpu").then(|| quantity(&mut fields, "cpu")).flatten(),
            memory: is_resolved(&fields, "memory").then(|| quantity(&mut fields, "memory")).flatten(),
            working_directory: fields.text("workingDirectory").map(str::to_owned),
            capture: capture(&mut fields),
            success_codes: success_codes(&mut fields),
            ignores_reports: fields.boolean("reports") == Some(false),
        };
        let is_good = !faults[before..].iter().any(Fault::is_error);
        is_good.then_some(payload)
    }
}

/// Reads `command` or `shell`.
fn command(fields: &mut Fields<'_, '_>, texts: &ProgramTexts<'_>) -> Option<Vec<ProgramText>> {
    match (fields.any("command"), fields.any("shell")) {
        (None, None) => {
            let at = fields.pointer();
            let message = "the payload of type `exec` needs a `command` or a `shell` script";
            fields.faults().push(Fault::value("missing-field", at, message));
            None
        }
        (Some(_), Some(_)) => {
            let at = fields.at("shell");
            let fault = Fault::key("wrong-value", at, "`shell` and `command` exclude each other");
            fields.faults().push(fault.hint("pass values to the script in `env`"));
            None
        }
        (None, Some(_)) => {
            let script = fields.text("shell")?;
            if script.trim().is_empty() {
                let at = fields.at("shell");
                fields.faults().push(Fault::value("wrong-value", at, "`shell` is empty"));
            }
            let argv = SHELL.into_iter().chain([script]);
            Some(argv.map(|text| ProgramText::Text(text.to_owned())).collect())
        }
        (Some(Value::String(token)), None) if texts.has_references && token.starts_with("@<") => {
            Some(vec![ProgramText::Text(token.clone())])
        }
        (Some(Value::String(line)), None) => {
            let at = fields.at("command");
            let message = "`command` must be a list of arguments, not a shell line";
            let fault = Fault::value("wrong-type", at, message);
            fields.faults().push(fault.hint(list_hint(line)));
            None
        }
        (Some(_), None) => {
            let argv = texts.arguments(fields)?;
            if let [ProgramText::Text(line)] = argv.as_slice()
                && is_shell_line(line)
            {
                let message = format!("`{line}` is one item of `command`, so it is the name of a program");
                let fault = Fault::value("shell-line", fields.at("command").join(0), message).warning();
                fields.faults().push(fault.hint(list_hint(line)));
            }
            let is_program = |first: &ProgramText| first.text().is_none_or(|name| !name.is_empty());
            // a spread reference may be empty only in the template
            let is_open = texts.has_references && !fields.list("command").is_some_and(Vec::is_empty);
            if !argv.first().map_or(is_open, is_program) {
                let at = fields.at("command");
                fields.faults().push(Fault::value("wrong-value", at, "`command` must begin with a program"));
            }
            Some(argv)
        }
    }
}

/// Whether the only item of a command is a line with several words, not the path of a program with spaces in its name.
fn is_shell_line(line: &str) -> bool {
    let program = line.split_whitespace().next().unwrap_or_default();
    line.trim().contains(char::is_whitespace) && !program.contains('/') && !line.contains("@<")
}

/// The hint for a command that is one text: the script or the list to write.
fn list_hint(line: &str) -> String {
    if line.contains(SHELL_LETTERS) {
        let line = Value::from(line);
        return format!("write `shell: {line}`, or `command: [sh, -c, {line}]`");
    }
    let argv: Vec<&str> = line.split_whitespace().collect();
    format!("write it as {}", Value::from(argv))
}

/// Adds a fault for each argument and variable that the kernel rejects.
fn check_lengths(fields: &mut Fields<'_, '_>, command: &[ProgramText], env: &[(String, ProgramText)]) {
    let is_script = fields.any("shell").is_some();
    let count = fields.any("command").and_then(Value::as_array).map_or(0, Vec::len);
    for (index, text) in command.iter().enumerate() {
        let Some(text) = text.text() else { continue };
        let place = || match () {
            () if is_script => ("`shell`".to_owned(), fields.at("shell")),
            // with a spread list, arguments are not items
            () if count != command.len() => ("an argument of `command`".to_owned(), fields.at("command")),
            () => (format!("item {} of `command`", index + 1), fields.at("command").join(index)),
        };
        let hint = if is_script { "write it into a file, and run `sh FILE` as `command`" } else { AS_FILE };
        let fault = text_fault(text, text.len(), place, hint);
        fields.faults().extend(fault);
    }
    check_total(fields, "command", command.iter().filter_map(ProgramText::text));
    for (name, text) in env {
        let text = text.text().unwrap_or_default();
        let fault = variable_fault(("env", || fields.at("env")), name, text, AS_FILE);
        fields.faults().extend(fault);
    }
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
mod tests;
