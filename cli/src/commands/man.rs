//! `pop man`: prints the manual page, or writes a page for each command.

use crate::args::grammar;
use crate::error::{CommandError, Kind};
use crate::ui;
use std::fs;
use std::path::Path;

pub(crate) fn man(into: Option<&Path>) -> Result<u8, CommandError> {
    let Some(folder) = into else {
        let mut page = Vec::new();
        clap_mangen::Man::new(grammar()).render(&mut page)?;
        ui::print_bytes(&page);
        return Ok(0);
    };
    let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(grammar(), folder));
    written.map_err(|error| {
        let message = format!("cannot write manual pages into `{}`: {error}", folder.display());
        CommandError::new(Kind::Internal, message)
    })?;
    ui::say(&format!(
        "wrote the manual pages into `{0}`; read one with `man -l {0}/pop-run.1`",
        folder.display()
    ));
    Ok(0)
}
