//! The binary: parse, start logging, dispatch, exit code.

use std::process::ExitCode;

use autochrome::cli::{Cli, LogForm};
use autochrome::{commands, telemetry};
use clap::Parser as _;

fn main() -> ExitCode {
    // First of all, while there is one thread.
    autochrome::inference::choose_cublas_workspaces();
    let cli = Cli::parse();
    telemetry::start(cli.log == LogForm::Json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().worker_threads(2).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime cannot start: {error}");
            return ExitCode::from(1);
        }
    };
    let ended = runtime.block_on(commands::run(cli));
    // Nothing is left running on purpose; a thread stuck in a system call must not hold the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit as u8)
        }
    }
}
