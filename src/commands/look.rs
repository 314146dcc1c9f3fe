//! `status`, `jobs` and `show`: reads of the ledger, for people and machines.

use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, Failure, plain, print, print_json};
use crate::cli::Form;
use crate::config::Settings;
use crate::digest::Digest;
use crate::job::{JobState, UnixMillis};
use crate::store::{Counts, DaemonRow, Further, JobDetail, JobFilter, JobRow, RootRow, Store, StoreError, StoreLock};

/// Opens the ledger for reading; `None` when no work was ever begun here.
pub(super) async fn open(settings: &Settings) -> Result<Option<Store>, Failure> {
    match Store::open_read_only(&settings.state).await {
        Ok(store) => Ok(Some(store)),
        Err(StoreError::Absent { .. }) if settings.file.is_none() => {
            let here = plain(settings.state.display());
            let hint = "name it with --config FILE or $AUTOCHROME_CONFIG, or go to its directory".to_owned();
            Err(Failure::text(
                Exit::Configuration,
                format!("no configuration file was found, and there is no ledger in {here}"),
                hint,
            ))
        }
        Err(StoreError::Absent { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn status(settings: &Settings, form: Form) -> Result<(), Failure> {
    let (mut counts, mut roots, mut row) = (Counts::default(), Vec::new(), None);
    if let Some(store) = open(settings).await? {
        (counts, roots, row) = (store.counts().await?, store.roots().await?, store.daemon().await?);
    }
    // The lock, not the row, says whether somebody is at work: a row outlives its process.
    let holder = StoreLock::holder(&settings.state);
    let row = row.filter(|_| holder.is_some());
    if form.json {
        print_json(&status_json(&counts, &roots, holder.as_ref(), row.as_ref()))
    } else {
        print(&status_text(&counts, &roots, holder.as_ref(), row.as_ref()))
    }
}

fn status_json(counts: &Counts, roots: &[RootRow], holder: Option<&(String, String)>, row: Option<&DaemonRow>) -> Value {
    let jobs: serde_json::Map<_, _> = JobState::ALL.iter().map(|&state| (state.to_string(), json!(counts.of(state)))).collect();
    let roots: Vec<_> = roots
        .iter()
        .map(|root| {
            json!({
                "collection": root.collection, "path": root.path.to_string_lossy(), "state": root.state, "reason": root.reason,
                "mode": root.mode, "waiting": root.waiting, "waiting_files": root.sample,
            })
        })
        .collect();
    let device = row.and_then(|row| serde_json::from_str::<Value>(row.device.as_ref()?).ok());
    let paused = row.and_then(|row| row.paused.clone());
    let daemon = holder.map(|(pid, since)| json!({ "pid": pid.parse::<u32>().ok(), "since": since, "paused": paused }));
    json!({ "version": env!("CARGO_PKG_VERSION"), "jobs": jobs, "roots": roots, "daemon": daemon, "device": device })
}

/// Waiting files that `status` names for each root.
const SHOWN: usize = 5;

fn status_text(counts: &Counts, roots: &[RootRow], holder: Option<&(String, String)>, row: Option<&DaemonRow>) -> String {
    let mut text = match (holder, row) {
        (Some((pid, since)), row) => {
            let command = row.map_or("run", |row| row.command.as_str());
            format!("autochrome {command} is at work (pid {pid}, since {since})\n")
        }
        (None, _) => "autochrome is not running\n".to_owned(),
    };
    if let Some(reason) = row.and_then(|row| row.paused.as_ref()) {
        text.push_str(&format!("paused: {}\n", plain(reason)));
    }
    if let Some(device) = row.and_then(|row| serde_json::from_str::<Value>(row.device.as_ref()?).ok()) {
        let word = |key: &str| device[key].as_str().unwrap_or("unknown").to_owned();
        text.push_str(&format!("device: {} ({})\n", word("provider"), word("name")));
    }
    text.push_str(&format!("\njobs: {}\n", counts.total()));
    for state in JobState::ALL {
        text.push_str(&format!("  {state:<10} {}\n", counts.of(state)));
    }
    if !roots.is_empty() {
        text.push_str("\ningest roots:\n");
    }
    for root in roots {
        let mode = root.mode.as_deref().unwrap_or("not looked at yet");
        text.push_str(&format!(
            "  {}  {}  {} ({mode}), {} waiting\n",
            root.collection,
            root.path.display(),
            root.state,
            root.waiting
        ));
        if let Some(reason) = &root.reason {
            text.push_str(&format!("    {}\n", plain(reason)));
        }
        for file in root.sample.iter().take(SHOWN) {
            text.push_str(&format!("    waits: {}: {}\n", plain(&file.path), plain(&file.reason)));
        }
        if root.waiting > SHOWN as u64 {
            text.push_str(&format!("    and {} more\n", root.waiting - SHOWN as u64));
        }
    }
    text
}

pub(super) async fn jobs(
    settings: &Settings,
    state: Option<JobState>,
    collection: Option<String>,
    limit: Option<u32>,
    form: Form,
) -> Result<(), Failure> {
    let jobs = match open(settings).await? {
        Some(store) => store.jobs(&JobFilter { state, collection, limit, after: None }).await?,
        None => Vec::new(),
    };
    if form.json {
        return print_json(&jobs.iter().map(job_json).collect());
    }
    if jobs.is_empty() {
        return print("no jobs\n");
    }
    let lines: String = jobs
        .iter()
        .map(|job| {
            let reason = job.reason.as_ref().map(|reason| format!("  {}", plain(reason))).unwrap_or_default();
            let name = plain(job.relative.display());
            format!("{:>6}  {:<9}  {}  {name}{reason}\n", job.id, job.state, job.collection)
        })
        .collect();
    print(&lines)
}

fn job_json(job: &JobRow) -> Value {
    json!({
        "id": job.id, "state": job.state.as_str(), "collection": job.collection,
        "path": job.relative.to_string_lossy(), "source_sha256": job.source, "bytes": job.bytes,
        "recipe_sha256": job.recipe, "claims": job.claim_no, "failures": job.failures,
        "recorded_at": job.recorded_at.to_string(), "not_before": job.not_before.to_string(),
        "finished_at": job.finished_at.map(|at| at.to_string()), "stage": job.stage, "reason": job.reason, "hint": job.hint,
        "derivative": job.derivative.as_ref().map(|path| path.to_string_lossy()), "derivative_sha256": job.derivative_digest,
    })
}

pub(super) async fn show(settings: &Settings, what: &str, form: Form) -> Result<(), Failure> {
    let store = open(settings).await?.ok_or_else(|| nothing_known(what))?;
    let mut details = Vec::new();
    if let Ok(id) = what.parse::<i64>() {
        details.push(store.job(id).await?.ok_or(StoreError::NoSuchJob(id))?);
    } else {
        for job in jobs_of_file(&store, Path::new(what)).await? {
            details.extend(store.job(job.id).await?);
        }
    }
    if details.is_empty() {
        return Err(nothing_known(what));
    }
    if form.json {
        let mut values: Vec<_> = details.iter().map(detail_json).collect();
        return print_json(&if values.len() == 1 { values.remove(0) } else { values.into() });
    }
    print(&details.iter().map(detail_text).collect::<Vec<_>>().join("\n"))
}

pub(super) fn nothing_known(what: &str) -> Failure {
    let hint = "`autochrome jobs` lists what the ledger knows; a file counts once it has rested in an ingest root";
    Failure::text(Exit::Failed, format!("nothing is known of {}", plain(what)), hint.to_owned())
}

/// The jobs of a file: by its bytes when it can be read (a source or a derivative), else by where it lay.
pub(super) async fn jobs_of_file(store: &Store, file: &Path) -> Result<Vec<JobRow>, Failure> {
    let path = std::path::absolute(file)?;
    let path = path.canonicalize().unwrap_or(path);
    if let Ok(handle) = std::fs::File::open(&path)
        && handle.metadata().is_ok_and(|metadata| metadata.is_file())
    {
        let (digest, _) = Digest::of_reader(handle)?;
        let found = store.jobs_of_digest(digest).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    match store.locate(&path).await? {
        Some((collection, relative)) => Ok(store.jobs_of_sighting(&collection, &relative).await?),
        None => Ok(Vec::new()),
    }
}

fn detail_json(detail: &JobDetail) -> Value {
    let parse = |text: &str| serde_json::from_str(text).unwrap_or(Value::Null);
    let mut value = job_json(&detail.job);
    value["sightings"] = detail
        .sightings
        .iter()
        .map(
            |place| json!({ "collection": place.collection, "path": place.relative.to_string_lossy(), "current": place.current }),
        )
        .collect();
    value["events"] = detail
        .events
        .iter()
        .map(|event| {
            json!({
                "seq": event.seq, "at": UnixMillis(event.at).to_string(), "claim": event.claim_no, "kind": event.kind, "details": parse(&event.body),
            })
        })
        .collect();
    value["decision"] = detail.said.as_ref().map_or(Value::Null, |said| match said {
        Ok(one) => json!({ "as": one.verdict.as_str(), "by": one.by, "why": one.why, "origin": one.origin.as_str() }),
        Err(reason) => json!({ "as": null, "why": reason, "origin": "sidecar" }),
    });
    let further = |Further { root, derivative }: &Further| {
        json!({
            "derivative": root.join(&derivative.relative).to_string_lossy(), "derivative_sha256": derivative.digest,
            "record": parse(&derivative.record),
        })
    };
    value["further"] = detail.further.iter().map(further).collect();
    value["record"] = detail.job.record.as_deref().map_or(Value::Null, parse);
    value
}

fn detail_text(detail: &JobDetail) -> String {
    let job = &detail.job;
    let mut text = format!("job {}  {}  {}\n", job.id, job.state, plain(job.relative.display()));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<11} {value}\n"));
    line("collection", job.collection.clone());
    line("source", format!("{} ({} bytes)", job.source, job.bytes));
    line("recipe", job.recipe.to_string());
    for place in &detail.sightings {
        let gone = if place.current { "" } else { " (other bytes lie there now)" };
        line("seen at", format!("{}: {}{gone}", place.collection, plain(place.relative.display())));
    }
    if let (Some(path), Some(digest)) = (&job.derivative, &job.derivative_digest) {
        line("derivative", plain(path.display()));
        line("", digest.to_string());
    }
    for Further { root, derivative } in &detail.further {
        line("and", plain(root.join(&derivative.relative).display()));
        line("", derivative.digest.to_string());
    }
    if let Some(reason) = &job.reason {
        let stage = job.stage.as_ref().map(|stage| format!(" (in stage {stage})")).unwrap_or_default();
        line("what", format!("{}{stage}", plain(reason)));
    }
    line("why", meaning(job));
    if let Some(said) = &detail.said {
        line("decision", plain(said.as_ref().map_or_else(ToString::to_string, ToString::to_string)));
    }
    if let Some(action) = job.hint.clone().or_else(|| what_to_do(job)) {
        line("what to do", plain(action));
    }
    text.push_str("  history\n");
    for event in &detail.events {
        let claim = event.claim_no.map(|number| format!(" #{number}")).unwrap_or_default();
        let body = if event.body == "{}" { String::new() } else { format!("  {}", plain(&event.body)) };
        text.push_str(&format!("    {}  {}{claim}{body}\n", UnixMillis(event.at), event.kind));
    }
    text
}

/// What the state means for this scan.
fn meaning(job: &JobRow) -> String {
    let failures = job.failures;
    match job.state {
        JobState::Pending if failures > 0 => {
            format!("failed attempts: {failures}; it is tried again not before {}", job.not_before)
        }
        JobState::Pending => "it waits for its turn".to_owned(),
        JobState::Running => "it is being worked on, or the program ended over it and has not been started again".to_owned(),
        JobState::Completed => "the derivative and its record are in the output tree".to_owned(),
        JobState::Skipped => "there is nothing to colour; the scan was left alone".to_owned(),
        JobState::Rejected => "the same bytes would fail in the same way again, so it is not tried again".to_owned(),
        JobState::Exhausted => format!("failed attempts: {failures}, as many as the configuration allows"),
        JobState::Cancelled => "it was taken out of the queue".to_owned(),
    }
}

fn what_to_do(job: &JobRow) -> Option<String> {
    let retry = format!("`autochrome retry {}` puts it back into the queue", job.id);
    match job.state {
        JobState::Rejected => Some(format!("put a sound scan under the same name, or, if the cause is gone, {retry}")),
        JobState::Exhausted | JobState::Cancelled => Some(retry),
        JobState::Skipped => Some(format!(
            "nothing; if it is wrong, `autochrome route {} --as other --by NAME --why TEXT` has this scan coloured; `scene` or the thresholds of its collection are another recipe, with which the whole collection is looked at again; without such a change, {retry}",
            job.id
        )),
        JobState::Pending | JobState::Running | JobState::Completed => None,
    }
}
