//! `pop cache`: lists and deletes cached results that runs share.

use super::saved_run::wall;
use crate::args::{CacheClearArgs, CacheCommand, CacheListArgs, Output};
use crate::error::CommandError;
use crate::ui;
use serde_json::json;

pub(crate) fn cache(command: &CacheCommand) -> Result<u8, CommandError> {
    match command {
        CacheCommand::List(args) => list(args),
        CacheCommand::Clear(args) => clear(args),
    }
}

fn list(args: &CacheListArgs) -> Result<u8, CommandError> {
    let host = args.host.of(&args.runs);
    let cached = host.kept(args.state.as_deref())?;
    if args.output == Output::Json {
        let list = cached.iter().map(|result| {
            let Some(about) = &result.about else {
                return json!({"file": result.file, "bytes": result.bytes, "readable": false});
            };
            json!({
                "state": about.state, "run": about.by.run, "operation": about.by.operation,
                "type": about.key.handler_type, "writtenTime": about.by.written, "key": about.key.digest(),
                "file": result.file, "bytes": result.bytes,
            })
        });
        ui::print(&format!("{:#}\n", list.collect::<serde_json::Value>()));
    } else if cached.is_empty() {
        ui::say(&format!("no cached results in `{}`", host.folder().display()));
    } else {
        let rows = cached.iter().map(|result| {
            let bytes = format!("{} bytes", result.bytes);
            match &result.about {
                Some(about) => [
                    about.state.clone(),
                    about.by.operation.clone(),
                    about.key.handler_type.clone(),
                    format!("{} by {}", wall(about.by.written), about.by.run),
                    bytes,
                ],
                None => ["unreadable".to_owned(), String::new(), String::new(), String::new(), bytes],
            }
        });
        ui::print(&ui::table(&rows.collect::<Vec<_>>()));
    }
    Ok(0)
}

fn clear(args: &CacheClearArgs) -> Result<u8, CommandError> {
    let count = args.host.of(&args.runs).invalidate(args.state.as_deref(), &args.operation)?;
    let results = if count == 1 { "result" } else { "results" };
    ui::say(&format!("{count} cached {results} deleted"));
    Ok(0)
}
