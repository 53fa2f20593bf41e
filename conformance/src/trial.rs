//! One scripted launch: its input, what is done to it, and the expected end.

use crate::expect::Expect;
use crate::subject::Subject;
use crate::trial_input::TrialInput;
use pop_field_retriever::names::environment as variable;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

/// The content of a variable or a file.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A text.
    Text(String),
    /// A text followed by this number of spaces.
    Padded(String, usize),
    /// Two texts, with a byte between them that is not valid UTF-8.
    NotUtf8(String, String),
    /// The folder that the program starts in.
    Folder,
}

impl Content {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn bytes(&self, folder: &Path) -> OsString {
        match self {
            Self::Text(text) => text.into(),
            Self::Padded(text, spaces) => (text.clone() + &" ".repeat(*spaces)).into(),
            Self::NotUtf8(before, after) => {
                OsString::from_vec([before.as_bytes(), b"\xff", after.as_bytes()].concat())
            }
            Self::Folder => folder.into(),
        }
    }

    /// A shell command that prints it.
    fn printed(&self) -> String {
        match self {
            Self::Text(text) => format!("printf %s {}", quoted(text)),
            Self::Padded(text, spaces) => {
                format!("{{ printf %s {}; head -c {spaces} /dev/zero | tr '\\0' ' '; }}", quoted(text))
            }
            Self::NotUtf8(before, after) => {
                format!("printf '%s\\377%s' {} {}", quoted(before), quoted(after))
            }
            Self::Folder => "pwd".to_owned(),
        }
    }

    /// The content as a shell word.
    fn word(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            other => format!("\"$({})\"", other.printed()),
        }
    }
}

/// Quotes a text for a shell.
fn quoted(text: &str) -> String {
    // a zero byte has no form in a shell, and no argument can contain one
    shlex::try_quote(text).map_or_else(|_| text.replace('\0', ""), Into::into)
}

/// One scripted launch.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    /// What is done, as a phrase: "launched ...".
    pub(crate) done: String,
    pub(crate) expect: Expect,
    /// Arguments after the program's own.
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(String, Content)>,
    pub(crate) files: Vec<(&'static str, Content)>,
    /// A shell script that executes the program.
    pub(crate) wrapper: Option<&'static str>,
    /// Whether it gets SIGTERM at its first progress report, or after a while without one.
    pub(crate) is_asked_to_stop: bool,
}

impl Trial {
    /// A launch with the variables that pop always sets, and without a payload.
    pub(crate) fn new(input: &TrialInput, expect: Expect, done: impl Into<String>) -> Self {
        let texts = [
            (variable::RUN_ID, input.run.as_str()),
            (variable::ATTEMPT, "1"),
            (variable::AGENDA_ID, &input.run),
            (variable::CID, &input.run),
            (variable::OPERATION_NAME, "conformance"),
            (variable::LAUNCH_TYPE, "local"),
            (variable::EXTERNAL_LAUNCH_TYPE, "local"),
            (variable::LOG_LEVEL, "INFO"),
        ];
        let texts = texts.map(|(name, text)| (name.to_owned(), Content::text(text)));
        let home = ("HOME".to_owned(), Content::Folder);
        Self {
            done: done.into(),
            expect,
            arguments: Vec::new(),
            variables: std::iter::once(home).chain(texts).collect(),
            files: Vec::new(),
            wrapper: None,
            is_asked_to_stop: false,
        }
    }

    /// Adds the payload in one variable.
    pub(crate) fn plain(self, input: &TrialInput) -> Self {
        self.with_all(&input.plain)
    }

    pub(crate) fn with_all(self, variables: &[(String, String)]) -> Self {
        variables.iter().fold(self, |trial, (name, value)| trial.with(name, Content::text(value)))
    }

    /// Sets a variable; replaces one of the same name.
    pub(crate) fn with(mut self, name: &str, content: Content) -> Self {
        self = self.without(name);
        self.variables.push((name.to_owned(), content));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(input, _)| input != name);
        self
    }

    pub(crate) fn file(mut self, name: &'static str, content: Content) -> Self {
        self.files.push((name, content));
        self
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|&argument| argument.to_owned()));
        self
    }

    pub(crate) fn wrapped(mut self, script: &'static str) -> Self {
        self.wrapper = Some(script);
        self
    }

    pub(crate) fn asked_to_stop(mut self) -> Self {
        self.is_asked_to_stop = true;
        self
    }

    /// The program with all its arguments.
    pub(crate) fn argv(&self, subject: &Subject) -> Vec<String> {
        let wrapper = self.wrapper.into_iter().flat_map(|script| ["sh", "-c", script, "sh"]);
        let wrapper = wrapper.map(str::to_owned);
        wrapper.chain(subject.argv.iter().cloned()).chain(self.arguments.iter().cloned()).collect()
    }

    /// A shell command that repeats it.
    pub(crate) fn command_line(&self, subject: &Subject) -> String {
        let mut steps = vec!["cd \"$(mktemp -d)\"".to_owned()];
        for (name, content) in &self.files {
            steps.push(format!("{} > {name}", content.printed()));
        }
        let mut words = vec!["env -i PATH=\"$PATH\"".to_owned()];
        words.extend(self.variables.iter().map(|(name, content)| format!("{name}={}", content.word())));
        words.extend(self.argv(subject).iter().map(|word| quoted(word)));
        steps.push(words.join(" "));
        let line = steps.join(" && ");
        if self.is_asked_to_stop { format!("{line} & sleep 1; kill $!; wait $!") } else { line }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt as _;
    use std::process::Command;

    #[test]
    fn shell_commands_produce_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        for content in [
            Content::text("it's {\"a\": \"%s\\n\"}"),
            Content::Padded("{}".into(), 1_000),
            Content::NotUtf8("{\"a\":\"b".into(), "\"}".into()),
            Content::Folder,
        ] {
            for script in [content.printed(), format!("printf %s {}", content.word())] {
                let output = Command::new("sh").args(["-c", &script]).current_dir(&folder).output().unwrap();
                let wanted = content.bytes(&folder);
                // command substitution drops only trailing newlines; `pwd` prints one
                assert_eq!(output.stdout.trim_ascii_end(), wanted.as_bytes().trim_ascii_end(), "{script}");
            }
        }
    }
}
