//! How the program of a registry entry starts and gets its payload, whoever launches it.

use crate::port::Program;
use pop_contract::{Blame, Failure, LaunchType, PLAIN_PAYLOAD_LIMIT, PayloadForm};
use pop_field_retriever::{names::environment as variable, payload};
use pop_registry::{Entry, PayloadDelivery, Secret};
use serde_json::{Map, Value, json};
use std::io;
use std::path::{Path, PathBuf};

/// Compressed payloads up to this length (bytes) are passed in variables, longer ones in a file.
const COMPRESSED_LIMIT: usize = 1_000_000;

/// Writes a file for a program.
pub type WriteFile<'w> = dyn Fn(&Path, &str) -> io::Result<()> + 'w;

/// The program of an entry: `command` under a launcher of programs of this machine, else the program that the image
/// starts. Its variables are those of the entry, with `properties` and the names of secrets.
pub fn handler_program(entry: &Entry, on: LaunchType, home: Option<&Path>) -> Program {
    let command = entry.command.as_ref().filter(|_| on.capabilities().uses_host_programs);
    let env = entry.env_vars.iter().cloned().chain(properties(entry)).chain(secret_names(&entry.secrets));
    Program {
        argv: command.cloned().unwrap_or_default(),
        home: home.map(Path::to_owned),
        env: env.collect(),
        working_directory: entry.working_directory.as_ref().map(PathBuf::from),
        secrets: entry.secrets.clone(),
        ..Program::default()
    }
}

/// The variable with the names of the variables that hold secrets.
fn secret_names(secrets: &[Secret]) -> Option<(String, String)> {
    let names: Vec<&str> = secrets.iter().map(|secret| secret.variable.as_str()).collect();
    (!names.is_empty()).then(|| (variable::SECRETS.to_owned(), names.join(",")))
}

/// The variable with the handler's `properties`.
fn properties(entry: &Entry) -> Option<(String, String)> {
    let given: Map<String, Value> =
        entry.properties.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    (!given.is_empty()).then(|| (variable::PROPERTIES.to_owned(), Value::Object(given).to_string()))
}

/// Passes the payload to the program of a registry entry, in the form that the entry or the handler's description asks for.
/// `file` is written with `write` if the form is a file or standard input.
pub fn pass_payload(
    program: &mut Program,
    text: &str,
    file: PathBuf,
    entry: &Entry,
    write: &WriteFile<'_>,
) -> Result<(), Failure> {
    if entry.payload == Some(PayloadDelivery::Stdin) {
        write(&file, text).map_err(|error| payload_not_passed(&error))?;
        program.stdin = Some(file);
        return Ok(());
    }
    let reads = |form| entry.reads(form).unwrap_or(true);
    let variables = payload_variables(text, &file, &reads, write)?;
    if variables.iter().any(|(name, _)| name == variable::PAYLOAD_FILE) {
        program.files.push(file);
    }
    program.env.extend(variables);
    Ok(())
}

fn payload_not_passed(error: &dyn std::error::Error) -> Failure {
    Failure::new(
        Blame::Platform,
        "storage",
        format!("the payload could not be passed to the program: {error}"),
    )
}

/// The payload for a program: in a variable if it is short, else compressed in several variables, else in a file. A
/// form that the program does not read is skipped.
fn payload_variables(
    text: &str,
    file: &Path,
    reads: &dyn Fn(PayloadForm) -> bool,
    write: &WriteFile<'_>,
) -> Result<Vec<(String, String)>, Failure> {
    let failed = payload_not_passed;
    let is_last_form = !reads(PayloadForm::CompressedEnvVar) && !reads(PayloadForm::File);
    let fits = text.len() <= PLAIN_PAYLOAD_LIMIT || (is_last_form && payload::fits_plain(text));
    if fits && reads(PayloadForm::EnvVar) {
        return payload::encode(text, payload::PayloadRule::Plain).map_err(|error| failed(&error));
    }
    if reads(PayloadForm::CompressedEnvVar) {
        let compressed =
            payload::encode(text, payload::PayloadRule::Compressed).map_err(|error| failed(&error))?;
        if compressed.iter().map(|(_, segment)| segment.len()).sum::<usize>() <= COMPRESSED_LIMIT {
            return Ok(compressed);
        }
    }
    if !reads(PayloadForm::File) {
        let message = format!(
            "the payload has {} bytes, too many for the forms that the handler reads (`payload` of its registry entry, `payloadForms` of its description)",
            text.len()
        );
        return Err(Failure::new(Blame::Handler, "payload", message));
    }
    write(file, text).map_err(|error| failed(&error))?;
    Ok(payload::encode_file(&file.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_field_retriever::Environment;

    const PLAIN_LIMIT: usize = PLAIN_PAYLOAD_LIMIT;

    fn write_file(file: &Path, text: &str) -> io::Result<()> {
        std::fs::write(file, text)
    }

    #[test]
    fn p10_a_payload_travels_plain_then_compressed_then_as_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p");
        let noise = |length: usize| -> String {
            let mut state = 1_u64;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'!' + ((state >> 40) % 90) as u8)
            };
            (0..length).map(|_| next()).collect()
        };
        for (text, wanted) in [
            ("x".repeat(PLAIN_LIMIT), "envVar"),
            ("x".repeat(PLAIN_LIMIT + 1), "compressedEnvVar"),
            (noise(2_000_000), "file"),
        ] {
            let variables = payload_variables(&text, &file, &|_| true, &write_file).unwrap();
            let environment = Environment::from_pairs(variables.clone());
            assert_eq!(environment.value(variable::PAYLOAD_TYPE), Some(wanted));
            let read = payload::decode(&environment, payload::MAX_PAYLOAD_BYTES).unwrap().unwrap();
            assert!(read.value == text, "{wanted}");
            assert!(variables.iter().all(|(name, value)| name.len() + value.len() < 128 * 1024));
        }
    }

    #[test]
    fn fr_c8_a_payload_travels_in_a_form_that_the_handler_reads() {
        use PayloadForm::{CompressedEnvVar, EnvVar, File};
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p");
        let form = |length: usize, forms: &[PayloadForm]| {
            let text = "x".repeat(length);
            let reads = |form| forms.contains(&form);
            let variables =
                payload_variables(&text, &file, &reads, &write_file).map_err(|failure| failure.code)?;
            let environment = Environment::from_pairs(variables);
            let read = payload::decode(&environment, payload::MAX_PAYLOAD_BYTES).unwrap().unwrap();
            assert_eq!(read.value, text);
            Ok(environment.value(variable::PAYLOAD_TYPE).unwrap_or_default().to_owned())
        };
        for (length, forms, wanted) in [
            (10, &[EnvVar, File][..], Ok("envVar")),
            (PLAIN_LIMIT + 1, &[EnvVar, File], Ok("file")),
            (PLAIN_LIMIT + 1, &[EnvVar, CompressedEnvVar], Ok("compressedEnvVar")),
            (PLAIN_LIMIT + 1, &[EnvVar], Ok("envVar")),
            (payload::MAX_PLAIN_BYTES + 1, &[EnvVar], Err("payload")),
            (10, &[File], Ok("file")),
            (10, &[CompressedEnvVar], Ok("compressedEnvVar")),
        ] {
            assert_eq!(
                form(length, forms),
                wanted.map(str::to_owned).map_err(str::to_owned),
                "{length} {forms:?}"
            );
        }
    }
}
