//! `pop handler ctl`: manages a handler that is served.

use crate::args::HandlerCtlArgs;
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_handler_server::{ControlError, control_folder, send_command, watch_events};
use serde_json::{Value, json};

/// Exit code if the handler refuses the command.
const REFUSED: u8 = 10;

pub(crate) fn control(args: &HandlerCtlArgs) -> Result<u8, CommandError> {
    let HandlerCtlArgs { id, command, what } = args;
    let folder = control_folder();
    let word = command.replace('_', "-");
    let wanted = match word.as_str() {
        "delete-instance" => Some("instance_id"),
        "close-part" | "run-part" => Some("part"),
        _ => None,
    };
    let parameters = match (wanted, what) {
        (Some(name), Some(what)) => json!({ name: what }),
        (None, None) => json!({}),
        (Some(name), None) => {
            let message =
                format!("`{command}` needs the {}", name.replace("instance_id", "id of an instance"));
            return Err(CommandError::new(Kind::Usage, message));
        }
        (None, Some(what)) => {
            return Err(CommandError::new(Kind::Usage, format!("`{command}` takes no `{what}`")));
        }
    };
    if word == "events" {
        watch_events(&folder, id, |line| {
            ui::print(&format!("{line}\n"));
            true
        })
        .map_err(|error| unreached(&error))?;
        return Ok(0);
    }
    let reply = send_command(&folder, id, command, &parameters).map_err(|error| unreached(&error))?;
    if reply["status"] == "OK" {
        ui::print(&format!("{:#}\n", reply["parameters"]));
        return Ok(0);
    }
    let message = reply["message"].as_str().map_or_else(|| Value::to_string(&reply), str::to_owned);
    ui::say(&format!("error: {message}"));
    Ok(REFUSED)
}

fn unreached(error: &ControlError) -> CommandError {
    let kind = match error {
        ControlError::Unknown { .. } => Kind::Usage,
        ControlError::Broken { .. } => Kind::Internal,
    };
    CommandError::new(kind, error.to_string())
}
