//! `models`: the catalogue for people and machines.

mod check;
mod graph;
mod import;
mod list;
mod remove;
mod verify;

use super::{Exit, Failure, plain, print, print_json};
use crate::cli::Models;
use crate::config::Settings;

pub(super) fn models(settings: &Settings, command: Models) -> Result<(), Failure> {
    match command {
        Models::List(form) => list::list(settings, form),
        Models::Import(request) => import::import(settings, &request),
        Models::Check(request) => check::check(settings, &request),
        Models::Graph(request) => graph::graph(settings, &request),
        Models::Verify(form) => verify::verify(settings, form),
        Models::Remove { id } => remove::remove(settings, &id),
    }
}
