//! What each command does. People read standard output, machines read it with `--json`, logs go to standard error.

mod audit;
mod bench;
mod colorize;
mod configuration;
mod decide;
mod doctor;
mod look;
mod models;
mod route;
mod sample;
mod scratch;
mod setup;
mod sheet;
mod work;
mod workflow;

use std::io::Write as _;

pub use crate::failure::{Exit, Failure};

use crate::cli::{Audit, Cli, Command, Config, Workflow};
use crate::config::Settings;

/// Runs a command to its end.
pub async fn run(cli: Cli) -> Result<(), Failure> {
    let load = || Settings::load(cli.config.as_deref(), std::env::vars_os());
    let settings = || -> Result<Settings, Failure> { Ok(load()?.settings) };
    match cli.command {
        Command::Setup { cuda } => setup::setup(cuda),
        Command::Run => work::run(settings()?).await,
        Command::Once => work::once(settings()?).await,
        Command::Colorize(request) => colorize::colorize(settings()?, &request).await,
        Command::Status(form) => look::status(&settings()?, form).await,
        Command::Jobs { state, collection, limit, form } => look::jobs(&settings()?, state, collection, limit, form).await,
        Command::Show { what, form } => look::show(&settings()?, &what, form).await,
        Command::Retry(which) => decide::retry(&settings()?, which).await,
        Command::Cancel(which) => decide::cancel(&settings()?, which).await,
        Command::Route(request) => route::route(&settings()?, &request).await,
        Command::Audit(Audit::Show { file, form }) => audit::show(&settings()?, &file, form).await,
        Command::Models(command) => models::models(&settings()?, command),
        Command::Workflow(Workflow::Import { file }) => workflow::import(&settings()?, &file),
        Command::Doctor(form) => doctor::doctor(load().map_err(Failure::from), form).await,
        Command::Config(Config::Check) => configuration::check(&load()?),
        Command::Config(Config::Show(form)) => configuration::show(&load()?, form),
        Command::Bench { quality: Some(directory), csv, form, .. } => {
            bench::quality(&settings()?, &directory, csv.as_deref(), form).await
        }
        Command::Bench { runs, grid, form, .. } if grid.networks => bench::networks(&settings()?, grid, runs, form).await,
        Command::Bench { whole, form, .. } if whole.line.is_some() => bench::line(&settings()?, whole, form).await,
        Command::Bench { large: true, form, .. } => bench::large(&settings()?, form).await,
        Command::Bench { runs, form, .. } => bench::bench(&settings()?, runs, form).await,
        Command::Sheet { output, collection, limit } => sheet::sheet(&settings()?, &output, collection, limit).await,
    }
}

/// Writes to standard output. A reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Failure::from),
    }
}

/// Prints a value as JSON, indented.
fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    print(&format!("{value:#}\n"))
}

/// Text from outside (file names, error texts) on one line of a terminal: control characters become escapes, and so does what is not
/// seen but changes what is.
fn plain(text: impl std::fmt::Display) -> String {
    let escape = |character: char| match character.is_control() || is_unseen(character) {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.to_string().chars().map(escape).collect()
}

/// Marks, overrides and isolates of writing direction (Unicode, UAX 9), line and paragraph separators, and signs without width. The two
/// joiners U+200C and U+200D stay: Persian and Indic names are written with them.
const fn is_unseen(character: char) -> bool {
    matches!(
        character,
        '\u{61C}' | '\u{200B}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}'
    )
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn no_name_changes_how_a_line_is_read() {
        assert_eq!(plain("a\nb\u{1B}[31m"), "a\\nb\\u{1b}[31m");
        let unseen =
            "\u{202A}\u{202B}\u{202C}\u{202D}\u{202E}\u{2066}\u{2067}\u{2068}\u{2069}\u{200E}\u{200F}\u{2028}\u{2029}\u{FEFF}";
        assert_eq!(plain("scan\u{202E}gnp.exe"), "scan\\u{202e}gnp.exe");
        assert!(plain(unseen).is_ascii(), "{}", plain(unseen).escape_unicode());
        for name in ["Börse 12.tif", "میخ\u{200C}ها", "写真 №4"] {
            assert_eq!(plain(name), name);
        }
    }
}
