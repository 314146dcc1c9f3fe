//! `route`: an archivist's decision about one scan.

use std::fs::File;
use std::path::Path;

use super::look::nothing_known;
use super::{Exit, Failure, plain, print};
use crate::cli::Route;
use crate::config::Settings;
use crate::daemon;
use crate::digest::Digest;
use crate::job::{JobState, Recipes};
use crate::pipeline::now;
use crate::routing::{Decision, Origin, Verdict};
use crate::store::{Decided, Store, Subject};

pub(super) async fn route(settings: &Settings, request: &Route) -> Result<(), Failure> {
    let verdict = request.wanted.0;
    // Taking back wants an author and a reason as well.
    let given = Decision::new(verdict.unwrap_or(Verdict::Skip), &request.by, &request.why, Origin::Command);
    let given = given.map_err(|error| Failure::text(Exit::Usage, format!("--{}", error.to_string().replace('`', "")), None))?;
    let store = Store::open_beside_daemon(&settings.state).await?;
    if !store.has_decisions().await? {
        let hint = "start `autochrome run` or `once` of this version once: that brings it up to date".to_owned();
        return Err(Failure::text(Exit::Failed, "the ledger was written by an earlier version, which knows no decisions", hint));
    }
    let subject = subject(&store, &request.what).await?;
    let (_, profiles) = daemon::profiles(settings)?;
    let profile = profiles.get(&subject.collection).ok_or_else(|| {
        let message = format!("collection {}, in which the scan lies, is not configured", plain(&subject.collection));
        Failure::text(Exit::Failed, message, "name its configuration with --config".to_owned())
    })?;
    let recipes = Recipes::of(&profile.recipe);
    let decided = store.decide(&subject, verdict, &given.by, &given.why, &recipes, now()).await?;
    store.close().await;
    print(&told(&subject, verdict, &given, &decided))
}

/// The scan that was named, by its job or by its file.
async fn subject(store: &Store, what: &str) -> Result<Subject, Failure> {
    if let Ok(id) = what.parse::<i64>() {
        return store.subject_of_job(id).await?.ok_or_else(|| crate::store::StoreError::NoSuchJob(id).into());
    }
    let path = std::path::absolute(Path::new(what))?;
    let path = path.canonicalize().unwrap_or(path);
    let Some((collection, relative)) = store.locate(&path).await? else {
        let message = format!("{} lies in no ingest root", plain(path.display()));
        let hint = "name the scan itself, not its derivative or a copy, or its job: `autochrome show FILE` has the number";
        return Err(Failure::text(Exit::Failed, message, hint.to_owned()));
    };
    let subject = store.subject_of_file(&collection, &relative).await?.ok_or_else(|| nothing_known(what))?;
    // A decision is about what somebody saw: these bytes, not those that lay here before.
    if let Ok(file) = File::open(&path)
        && Digest::of_reader(file)?.0 != subject.source
    {
        let message = format!("{} has changed since it was recorded", plain(path.display()));
        return Err(Failure::text(Exit::Failed, message, "decide when it has rested and `autochrome show` knows it".to_owned()));
    }
    Ok(subject)
}

fn told(subject: &Subject, verdict: Option<Verdict>, given: &Decision, decided: &Decided) -> String {
    let Decided { holds, job, state, cancelled, running, kept } = decided;
    let scan = format!("{} ({})", plain(subject.relative.display()), plain(&subject.collection));
    let mut text = match verdict {
        Some(_) => format!("{scan}: {given}\n"),
        None => format!("{scan}: the decision is taken back by {}: {}\n", given.by, given.why),
    };
    match (verdict, holds) {
        (None, Some(Ok(decision))) => text.push_str(&format!("what the sidecar beside it says holds: {decision}\n")),
        (None, Some(Err(reason))) => text.push_str(&format!("it waits for its sidecar to be mended: {}\n", plain(reason))),
        _ => {}
    }
    for id in cancelled {
        text.push_str(&format!("job {id} waited and is cancelled\n"));
    }
    for id in running {
        text.push_str(&format!("job {id} is being worked on and is not disturbed; what it makes stays\n"));
    }
    for (id, derivative) in kept {
        let is_wanted = id == job && verdict != Some(Verdict::Skip);
        let own = if is_wanted { "has been made so already" } else { "stays: nothing is ever deleted" };
        text.push_str(&format!("the derivative of job {id}, {}, {own}\n", plain(derivative.display())));
    }
    match state {
        JobState::Pending => text.push_str(&format!("job {job} follows the decision and waits for its turn\n")),
        JobState::Running => text.push_str(&format!("job {job} follows the decision and is being worked on\n")),
        JobState::Completed | JobState::Skipped | JobState::Rejected | JobState::Exhausted | JobState::Cancelled => {
            text.push_str(&format!("job {job} is {state}\n"));
        }
    }
    text
}
