//! `pop handler check`: tests a program against the handler contract.

use super::go::event_loop;
use super::signals::hear_signals;
use crate::args::{HandlerCheckArgs, Output};
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_agenda::CancelReason;
use pop_conformance::{CheckVerdict, Finding, Subject, examine, examine_warm};
use pop_field_retriever::MAX_PAYLOAD_BYTES;
use pop_launchers::process::resolve;
use pop_launchers::read_regular_file;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::sync::mpsc;

/// Time between SIGTERM and SIGKILL: the default of `pop run`.
const GRACE: Duration = Duration::from_secs(10);
/// Exit code if a promise is broken; the same as for a failed operation.
const BROKEN: u8 = 10;

pub(crate) fn check(args: &HandlerCheckArgs) -> Result<u8, CommandError> {
    let subject = subject(args)?;
    let (sender, mut cancels) = mpsc::unbounded_channel();
    hear_signals(sender)?;
    let runtime = event_loop()?;
    let findings = runtime.block_on(async {
        tokio::select! {
            findings = examine(&subject), if !args.warm => Ok(findings),
            findings = examine_warm(&subject), if args.warm => Ok(findings),
            Some(reason) = cancels.recv() => Err(reason),
        }
    });
    let findings = match findings {
        Ok(findings) => findings?,
        Err(CancelReason::Interrupted) => return Ok(130),
        Err(_) => return Ok(143),
    };
    match args.output {
        Output::Text => print(&findings),
        Output::Json => {
            let list: Vec<Value> = findings.iter().map(as_json).collect();
            ui::print(&format!("{:#}\n", json!(list)));
        }
    }
    let is_broken = findings.iter().any(|finding| matches!(finding.verdict, CheckVerdict::Broken(_)));
    Ok(if is_broken { BROKEN } else { 0 })
}

fn subject(args: &HandlerCheckArgs) -> Result<Subject, CommandError> {
    let path = std::env::var_os("PATH");
    let program = resolve(Path::new(&args.program), &std::env::current_dir()?, path.as_deref());
    let program = program.map_err(|error| CommandError::new(Kind::Usage, error.to_string()))?;
    let program = std::path::absolute(program)?.into_os_string().into_string();
    let program = program.map_err(|path| {
        CommandError::new(Kind::Usage, format!("the path `{}` is not UTF-8", path.display()))
    })?;
    let limit = Duration::from_millis(args.timeout_ms);
    Ok(Subject {
        argv: std::iter::once(program).chain(args.arguments.iter().cloned()).collect(),
        payload: args.payload.as_deref().map_or_else(|| Ok("{}".to_owned()), read)?,
        bad_payload: args.bad_payload.as_deref().map(read).transpose()?,
        limit,
        grace: GRACE.min(limit),
        path,
    })
}

fn read(file: &Path) -> Result<String, CommandError> {
    let unreadable = |why: &dyn std::fmt::Display| {
        CommandError::new(Kind::Usage, format!("cannot read the payload `{}`: {why}", file.display()))
    };
    let bytes = read_regular_file(file, MAX_PAYLOAD_BYTES).map_err(|error| unreadable(&error))?;
    String::from_utf8(bytes).map_err(|_| unreadable(&"it is not UTF-8"))
}

fn print(findings: &[Finding]) {
    let head = ["CHECK", "PROMISE", "VERDICT"].map(str::to_owned);
    let rows = findings.iter().map(|Finding { check, verdict }| {
        let verdict = match verdict {
            CheckVerdict::Kept => "kept".to_owned(),
            CheckVerdict::Broken(_) => "broken".to_owned(),
            CheckVerdict::NotApplicable(why) => format!("not applicable: {why}"),
        };
        [check.id.to_owned(), check.promise.to_owned(), verdict]
    });
    let mut text = ui::table(std::iter::once(head).chain(rows));
    for Finding { check, verdict } in findings {
        if let CheckVerdict::Broken(broken) = verdict {
            let lines = [
                format!("\n{} is broken", check.id),
                format!("  action:  {}", broken.done),
                format!("  result:  {}", broken.seen),
                format!("  fix:     {}", check.hint),
                format!("  repeat:  {}\n", broken.command),
            ];
            text.push_str(&lines.join("\n"));
        }
    }
    ui::print(&text);
    let count =
        |is: fn(&CheckVerdict) -> bool| findings.iter().filter(|finding| is(&finding.verdict)).count();
    ui::say(&format!(
        "{} kept, {} broken, {} not applicable",
        count(|verdict| *verdict == CheckVerdict::Kept),
        count(|verdict| matches!(verdict, CheckVerdict::Broken(_))),
        count(|verdict| matches!(verdict, CheckVerdict::NotApplicable(_))),
    ));
}

fn as_json(Finding { check, verdict }: &Finding) -> Value {
    let (word, seen, hint, command) = match verdict {
        CheckVerdict::Kept => ("kept", None, None, None),
        CheckVerdict::NotApplicable(why) => ("notApplicable", Some((*why).to_owned()), None, None),
        CheckVerdict::Broken(broken) => {
            let seen = format!("{}: {}", broken.done, broken.seen);
            ("broken", Some(seen), Some(check.hint), Some(&broken.command))
        }
    };
    json!({
        "check": check.id, "promise": check.promise, "verdict": word, "seen": seen, "hint": hint, "command": command,
    })
}
