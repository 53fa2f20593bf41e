//! `pop cache`: lists and deletes cached results that runs share.

use super::saved_run::wall;
use crate::args::{CacheClearArgs, CacheCommand, CacheListArgs, CachePruneArgs, CacheSizeArgs, Output};
use crate::error::CommandError;
use crate::ui;
use pop_executor::FILES_LIMIT;
use pop_reporters::run::size_text;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) fn cache(command: &CacheCommand) -> Result<u8, CommandError> {
    match command {
        CacheCommand::List(args) => list(args),
        CacheCommand::Clear(args) => clear(args),
        CacheCommand::Size(args) => size(args),
        CacheCommand::Prune(args) => prune(args),
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
                "file": result.file, "bytes": result.bytes, "files": about.files,
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
        ui::print(&ui::table(rows));
    }
    Ok(0)
}

fn clear(args: &CacheClearArgs) -> Result<u8, CommandError> {
    let host = args.host.of(&args.runs);
    let count = host.invalidate(args.state.as_deref(), &args.operation)?;
    // no result is left that could have a file put back
    let is_all = args.state.is_none() && args.operation.is_empty();
    let files = if is_all { host.evict_files(0, None)?.len() } else { 0 };
    let results = if count == 1 { "result" } else { "results" };
    let files = match files {
        0 => String::new(),
        1 => " and 1 stored file".to_owned(),
        count => format!(" and {count} stored files"),
    };
    ui::say(&format!("{count} cached {results}{files} deleted"));
    Ok(0)
}

fn size(args: &CacheSizeArgs) -> Result<u8, CommandError> {
    let host = args.host.of(&args.runs);
    let (results, files) = (host.kept(None)?, host.stored_files()?);
    let result_bytes: u64 = results.iter().map(|result| result.bytes).sum();
    let file_bytes: u64 = files.iter().map(|file| file.bytes).sum();
    ui::print(&match args.output {
        Output::Json => format!(
            "{:#}\n",
            json!({
                "results": {"count": results.len(), "bytes": result_bytes},
                "files": {"count": files.len(), "bytes": file_bytes},
            })
        ),
        Output::Text => ui::table(&[
            ["results".to_owned(), results.len().to_string(), size_text(result_bytes)],
            ["files".to_owned(), files.len().to_string(), size_text(file_bytes)],
        ]),
    });
    Ok(0)
}

fn prune(args: &CachePruneArgs) -> Result<u8, CommandError> {
    let host = args.host.of(&args.runs);
    let before = args.older_than.map(|age| SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH));
    let limit = args.size.unwrap_or(if before.is_some() { 0 } else { FILES_LIMIT });
    let removed = host.evict_files(limit, before)?;
    let bytes = removed.iter().map(|file| file.bytes).sum();
    let files = if removed.len() == 1 { "file" } else { "files" };
    ui::say(&format!("{} stored {files} deleted ({})", removed.len(), size_text(bytes)));
    Ok(0)
}
