//! `pop`: runs agendas, and shows and explains runs.

mod args;
mod commands;
mod completion;
mod developer_log;
mod error;
mod faults;
mod launch_data;
mod ui;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    developer_log::start();
    // a file at its size limit is an error to report; the signal would end the process
    pop_launchers::process::ignore_file_size_signal();
    if completion::answer() {
        return ExitCode::SUCCESS;
    }
    let args = match args::parse(std::env::args_os()) {
        Ok(args) => args,
        Err(code) => return code,
    };
    match commands::perform(args) {
        Ok(code) => ExitCode::from(code),
        Err(error) => error.print(),
    }
}
