//! The payload of the built-in type `exec`: one command as a list of arguments, never a shell line.

use crate::exec_limits::{check_arguments, check_path, check_variables};
use crate::pod_config::{Cpu, Memory, quantity};
use pop_contract::{PARSED_LIMIT, VALUE_LIMIT, ValueError, read_value, utf8};
use pop_document::{Fault, Fields, Pointer, nearest};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const FIELDS: [&str; 9] =
    ["command", "image", "env", "cpu", "memory", "workingDirectory", "capture", "successCodes", "reports"];
/// Memory of one captured line besides its text, in bytes: the list item and the allocator's overhead.
const LINE_BYTES: usize = 2 * size_of::<Value>() + 16;

/// How the standard output of a program is captured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Capture {
    /// Not at all: standard output is log.
    #[default]
    Nothing,
    /// The result's `stdout` is the parsed JSON value.
    Json,
    /// The result's `stdout` is the text without one trailing line end.
    Text,
    /// The result's `stdout` is the exact text.
    Raw,
    /// The result's `stdout` is a list of lines.
    Lines,
}

impl Capture {
    const WORDS: [(&'static str, Self); 6] = [
        ("none", Self::Nothing),
        ("nothing", Self::Nothing),
        ("json", Self::Json),
        ("text", Self::Text),
        ("raw", Self::Raw),
        ("lines", Self::Lines),
    ];

    /// Converts captured output into the value of the result's `stdout`; none if nothing is captured.
    ///
    /// Bytes that are not UTF-8 and values beyond the limits are errors.
    pub fn value(self, output: Vec<u8>) -> Result<Option<Value>, ValueError> {
        if output.len() > VALUE_LIMIT {
            return Err(ValueError::too_long(output));
        }
        Ok(match self {
            Self::Nothing => None,
            Self::Text => Some(Value::String(without_line_end(utf8(output)?))),
            Self::Raw => Some(Value::String(utf8(output)?)),
            Self::Lines => Some(lines(utf8(output)?)?),
            Self::Json => Some(read_value(output)?),
        })
    }
}

/// Removes one trailing line end.
fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

fn lines(text: String) -> Result<Value, ValueError> {
    let size: usize = text.lines().map(|line| LINE_BYTES + line.len().next_multiple_of(16)).sum();
    if size > PARSED_LIMIT {
        return Err(ValueError::too_many_parts(text.into_bytes()));
    }
    Ok(text.lines().collect())
}

/// A payload of type `exec` with resolved references.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecPayload {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Container image, for launchers that need one.
    pub image: Option<String>,
    /// Additional environment variables.
    pub env: Vec<(String, String)>,
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
    /// Reads a payload whose references are resolved.
    pub fn parse(payload: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        Self::read(payload, at, false, faults)
    }

    /// Checks a payload with unresolved references; a reference passes where a list or an amount is expected.
    pub fn check(payload: &Value, at: Pointer, faults: &mut Vec<Fault>) {
        Self::read(payload, at, true, faults);
    }

    fn read(payload: &Value, at: Pointer, has_references: bool, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let mut fields = Fields::of(payload, at, "the payload of type `exec`", "wrong-type", faults)?;
        fields.warn_unknown("the payload of type `exec`", &FIELDS);
        let is_resolved = |fields: &Fields<'_, '_>, name: &str| {
            !has_references
                || !fields.any(name).and_then(Value::as_str).is_some_and(|text| text.contains("@<"))
        };
        let command = match fields.any("command") {
            Some(Value::String(token)) if has_references && token.starts_with("@<") => {
                Some(vec![token.clone()])
            }
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
        let env = fields.text_map("env").unwrap_or_default();
        check_arguments(&mut fields, "command", command.as_deref().unwrap_or_default());
        check_variables(&mut fields, "env", &env);
        for field in ["workingDirectory", "image"] {
            let text = fields.any(field).and_then(Value::as_str);
            check_path(&mut fields, field, text);
        }
        let payload = Self {
            command: command.unwrap_or_default(),
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
    use crate::exec_limits::ARGUMENT_LIMIT;
    use serde_json::json;

    #[test]
    fn fr_b7_captured_text_loses_one_line_end_raw_text_none() {
        let value = |capture: Capture, text: &str| capture.value(text.as_bytes().to_vec()).ok().flatten();
        for (printed, text) in
            [("4f2a91c\n", "4f2a91c"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a"), ("\n", ""), ("", "")]
        {
            assert_eq!(value(Capture::Text, printed), Some(json!(text)), "{printed:?}");
            assert_eq!(value(Capture::Raw, printed), Some(json!(printed)));
        }
    }

    #[test]
    fn f40_a_shell_line_is_a_fault_with_the_list_to_write() {
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
    fn an_amount_as_reference_passes_the_check_but_no_launch() {
        let payload = json!({"command": ["a"], "cpu": "@<size.out::/cpu>", "memory": "@<size.out>Mi"});
        let mut faults = Vec::new();
        ExecPayload::check(&payload, Pointer::root(), &mut faults);
        assert_eq!(faults, []);
        assert_eq!(ExecPayload::parse(&payload, Pointer::root(), &mut faults), None);
        let wrong = json!({"command": ["a"], "cpu": [], "memory": "1000m"});
        ExecPayload::check(&wrong, Pointer::root(), &mut faults);
        let found: Vec<_> = faults.iter().map(|f| (f.pointer(), f.code)).collect();
        let wrong = [("/cpu", "wrong-value"), ("/memory", "wrong-value"), ("/cpu", "wrong-type")];
        assert_eq!(found, [wrong[0], wrong[1], wrong[2], wrong[1]]);
    }

    #[test]
    fn every_fault_of_a_payload_is_reported() {
        let payload = json!({"command": [], "capture": "jsn", "successCodes": [300], "comand": 1});
        let mut faults = Vec::new();
        ExecPayload::parse(&payload, Pointer::root(), &mut faults);
        let at: Vec<_> = faults.iter().map(Fault::pointer).collect();
        assert_eq!(at, ["/comand", "/command", "/capture", "/successCodes/0"]);
    }

    #[test]
    fn fr_c7_a_command_that_can_never_start_is_a_fault() {
        let long = "x".repeat(ARGUMENT_LIMIT);
        let fits = &long[..ARGUMENT_LIMIT - 1];
        let many = vec![fits; 50];
        for (payload, at, message) in [
            (json!({"command": ["a", "b\0c"]}), "/command/1", "item 2 of `command` contains a NUL byte"),
            (json!({"command": ["a", null]}), "/command/1", "each item of `command` must be text, not null"),
            (json!({"command": ["a", long]}), "/command/1", "item 2 of `command` has 131072 bytes"),
            (
                json!({"command": many}),
                "/command",
                "`command` has 6554000 bytes; Linux takes at most 6291456",
            ),
            (
                json!({"command": ["a"], "env": {"": "x"}}),
                "/env/",
                "\"\" in `env` is not a valid variable name",
            ),
            (json!({"command": ["a"], "env": {"A=B": "x"}}), "/env/A=B", "\"A=B\" in `env` is not a valid"),
            (json!({"command": ["a"], "env": {"A\0": "x"}}), "/env/A\0", "\"A\\0\" in `env` is not a valid"),
            (json!({"command": ["a"], "env": {"A": "\0"}}), "/env/A", "`A` in `env` contains a NUL byte"),
            (json!({"command": ["a"], "env": {"A": fits}}), "/env/A", "`A` in `env` has 131073 bytes"),
            (json!({"command": ["a"], "env": {"A": null}}), "/env/A", "`A` in `env` must be text, not null"),
            (json!({"command": ["a"], "workingDirectory": ""}), "/workingDirectory", "is empty"),
            (
                json!({"command": ["a"], "workingDirectory": "a\0"}),
                "/workingDirectory",
                "contains a NUL byte",
            ),
            (json!({"command": ["a"], "image": ""}), "/image", "is empty"),
        ] {
            let mut faults = Vec::new();
            ExecPayload::check(&payload, Pointer::root(), &mut faults);
            let found: Vec<_> = faults.iter().map(|fault| (fault.pointer(), &fault.message)).collect();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].0 == at && found[0].1.contains(message), "{found:?}");
        }
        let mut faults = Vec::new();
        let payload = json!({"command": ["a", fits], "env": {"A": &fits[2..]}});
        ExecPayload::check(&payload, Pointer::root(), &mut faults);
        assert_eq!(faults, []);
    }

    #[test]
    fn fr_c3_a_resolved_value_too_long_for_a_program_is_a_fault() {
        let mut faults = Vec::new();
        let template = json!({"command": ["a"], "env": {"LIST": "@<find.out::/stdout>"}});
        ExecPayload::check(&template, Pointer::root(), &mut faults);
        assert_eq!(faults, []);
        let resolved = json!({"command": ["a"], "env": {"LIST": "x".repeat(200_000)}});
        assert_eq!(ExecPayload::parse(&resolved, Pointer::root(), &mut faults), None);
        assert_eq!(faults[0].message, "`LIST` in `env` has 200005 bytes; Linux takes at most 131071");
    }

    #[test]
    fn captured_output_becomes_a_value() {
        let value = |capture: Capture, output: &[u8]| capture.value(output.to_vec());
        assert_eq!(value(Capture::Lines, b"a\nb\n"), Ok(Some(json!(["a", "b"]))));
        assert_eq!(value(Capture::Json, b"{\"w\": 1}\n"), Ok(Some(json!({"w": 1}))));
        assert_eq!(value(Capture::Json, b"w").unwrap_err().code, "contract");
        assert_eq!(value(Capture::Text, "é".as_bytes()), Ok(Some(json!("é"))));
        assert_eq!(value(Capture::Nothing, b"\xff"), Ok(None));
    }

    #[test]
    fn fr_b4_captured_bytes_that_are_not_utf8_are_an_error() {
        for capture in [Capture::Lines, Capture::Text, Capture::Json] {
            let error = capture.value(b"a.txt\ncaf\xe9.txt\n".to_vec()).unwrap_err();
            assert_eq!(error.message, "this is not UTF-8: byte 9 (line 2) is 0xe9, after `caf`");
        }
    }

    #[test]
    fn fr_h15_captured_lines_are_bounded_in_size_and_number() {
        let code = |output: Vec<u8>| Capture::Lines.value(output).map(drop).map_err(|error| error.code);
        assert_eq!(code(vec![b'\n'; 16 << 20]), Err("too-large"));
        assert_eq!(code(vec![b'x'; (16 << 20) + 1]), Err("too-large"));
        assert_eq!(code([b"x".repeat(79).as_slice(), b"\n"].concat().repeat(200_000)), Ok(()));
    }

    #[test]
    fn fr_b2_reports_can_be_switched_off() {
        let ignores = |payload: Value| {
            let mut faults = Vec::new();
            let exec = ExecPayload::parse(&payload, Pointer::root(), &mut faults);
            assert_eq!(faults, []);
            exec.unwrap().ignores_reports
        };
        assert!(ignores(json!({"command": ["a"], "reports": false})));
        assert!(!ignores(json!({"command": ["a"], "reports": true})));
        assert!(!ignores(json!({"command": ["a"]})));
    }
}
