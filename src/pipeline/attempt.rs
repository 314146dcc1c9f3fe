//! One attempt at one scan: read, make, publish. Decides nothing about the job.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::cost::cost_mib;
use super::record::{Made, ScanFile, assemble};
use super::{MemoryBudget, Output, Preparation, Profile, StageError, Stopwatch, finish, ladder, prepare};
use crate::codec::{self, ScanHeader};
use crate::digest::Digest;
use crate::imaging;
use crate::inference::{self, Engine};
use crate::ingest::{self, RootIdentity};
use crate::provenance::{JobRecord, Record};
use crate::publish::{self, Existing, Publication};
use crate::routing::{self, Scene};
use crate::store::{ClaimedJob, Derivative, Further};

/// What making a derivative needs besides the scan and its profile.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The networks.
    pub engine: Engine,
}

/// Where the scans of every collection come from and what they are processed with.
#[derive(Debug)]
pub struct Workplace {
    /// The networks.
    pub shop: Workshop,
    /// Profiles by collection.
    pub profiles: BTreeMap<String, Profile>,
    /// What each root was when it was last seen online.
    pub identities: Mutex<BTreeMap<String, RootIdentity>>,
    /// Memory shared by all workers.
    pub budget: MemoryBudget,
}

impl Workplace {
    /// A workplace whose workers share `memory_mib`; what the roots are is learnt when they are seen online.
    pub fn new(shop: Workshop, profiles: BTreeMap<String, Profile>, memory_mib: u64) -> Self {
        Self { shop, profiles, identities: Mutex::default(), budget: MemoryBudget::new(memory_mib) }
    }
}

/// How an attempt that did not fail ended.
#[derive(Debug)]
pub enum Attempt {
    /// The derivative is in place.
    Published {
        /// What the ledger remembers.
        derivative: Derivative,
        /// Those in the collection's other outputs.
        further: Vec<Further>,
        /// Whether all of it was already there.
        adopted: bool,
    },
    /// Left alone; words for a registrar.
    Skipped(String),
}

/// A scan was turned into a derivative, or left alone.
#[derive(Debug)]
pub enum Outcome<T = Box<Made>> {
    /// File and record, or several.
    Derivative(T),
    /// Words for a registrar.
    Skipped(String),
}

/// Makes the first derivative of one scan in memory, whose `bytes` are let go once they were decoded. `relative` is where it is going
/// to be published.
pub fn make(
    shop: &Workshop,
    profile: &Profile,
    scan: &ScanFile<'_>,
    bytes: Vec<u8>,
    relative: &Path,
    watch: &mut Stopwatch,
) -> Result<Outcome, StageError> {
    let header = codec::read_header(&bytes, &profile.limits)?;
    Ok(match make_all(shop, profile, scan, (&header, bytes), &[(profile.main(), relative)], watch)? {
        Outcome::Derivative(mut made) => Outcome::Derivative(Box::new(made.remove(0))),
        Outcome::Skipped(reason) => Outcome::Skipped(reason),
    })
}

/// Makes derivatives of one scan in memory, as many as there are outputs; beside each, where it is going to be published.
fn make_all(
    shop: &Workshop,
    profile: &Profile,
    scan: &ScanFile<'_>,
    (header, bytes): (&ScanHeader, Vec<u8>),
    outputs: &[(&Output, &Path)],
    watch: &mut Stopwatch,
) -> Result<Outcome<Vec<Made>>, StageError> {
    if let Some(skip) = routing::too_small(header.size, &profile.rules) {
        return Ok(Outcome::Skipped(skip.to_string()));
    }
    let mut prepared = match prepare::prepare(shop, profile, bytes, watch)? {
        Preparation::Ready(prepared) => prepared,
        Preparation::Skip(reason) => return Ok(Outcome::Skipped(reason)),
    };
    crate::faults::point("network");
    let coloured = ladder::colour(shop, profile, &mut prepared, watch)?;
    let chroma_p99 = inference::chroma_p99(&coloured.chroma);
    let chroma = imaging::crop_chroma(coloured.chroma, &prepared.copy.extent);
    let (made_at, common) = (super::now(), watch.clone());
    let mut all = Vec::with_capacity(outputs.len());
    for &(output, relative) in outputs {
        let facts = assemble::Facts {
            scan,
            profile,
            output,
            prepared: &prepared,
            said: &coloured.said,
            chroma_p99,
            precision: &coloured.precision,
            setbacks: &coloured.setbacks,
            device: shop.engine.device(),
            relative,
            made_at,
        };
        // Each record tells what its own derivative took.
        let mut own = common.clone();
        let finished = finish::finish(&facts, &chroma, &mut own)?;
        *watch = own.clone();
        let record = assemble::record(&facts, &finished, own.into_millis());
        all.push(Made { finished, record });
    }
    Ok(Outcome::Derivative(all))
}

/// Works on a claimed job until its derivative is published or the scan is left alone.
pub(super) fn attempt(place: &Workplace, claim: &ClaimedJob) -> Result<Attempt, StageError> {
    let mut watch = Stopwatch::default();
    let decided;
    let profile = match plan(place, claim)? {
        Plan::Make(profile) => profile,
        Plan::Decided(profile) => {
            decided = profile;
            &*decided
        }
        Plan::Leave(reason) => return Ok(Attempt::Skipped(reason)),
    };
    require_room(profile)?;
    let (root, relative, bytes) = watch.time("read", || read(place, claim, profile))?;
    let header = codec::read_header(&bytes, &profile.limits)?;
    // An earlier process may have died between publishing and settling, or between one output and the next.
    let mut places = Vec::with_capacity(profile.outputs.len());
    for output in &profile.outputs {
        let target = derivative_path(output, claim, &header);
        let there = adopt(&output.root, &target, &claim.source, &claim.recipe)?;
        places.push((output, target, there));
    }
    if places.iter().all(|(.., there)| there.is_some()) {
        return Ok(published(places, Vec::new()));
    }
    let _share = place.budget.acquire(cost_mib(&header, bytes.len() as u64, profile));
    let job = JobRecord {
        id: Some(claim.id),
        claim: Some(claim.claim_no),
        failures: claim.failures,
        collection: Some(claim.collection.clone()),
    };
    let scan = ScanFile { root: Some(&root), relative: &relative, length: bytes.len() as u64, digest: claim.source, job };
    let missing: Vec<(&Output, &Path)> =
        places.iter().filter(|(.., there)| there.is_none()).map(|(output, target, _)| (*output, target.as_path())).collect();
    let made = match make_all(&place.shop, profile, &scan, (&header, bytes), &missing, &mut watch)? {
        Outcome::Derivative(made) => made,
        Outcome::Skipped(reason) => return Ok(Attempt::Skipped(reason)),
    };
    crate::faults::point("publish");
    let records: Vec<String> = made.iter().map(|made| made.record.to_json()).collect();
    let fence = format!("{}-{}", claim.id, claim.claim_no);
    let publications = missing.iter().zip(made.iter().zip(&records)).map(|((output, relative), (made, record))| Publication {
        output_root: &output.root,
        relative,
        image: &made.finished.bytes,
        record: record.as_bytes(),
        fence: &fence,
        min_free_bytes: profile.min_free_bytes,
    });
    publish::publish_all(&publications.collect::<Vec<_>>())?;
    crate::faults::point("settle");
    let fresh = made.iter().zip(records).map(|(made, record)| (made.finished.digest, record)).collect();
    Ok(published(places, fresh))
}

/// Every derivative in its place: those that were there, and `fresh` ones, digest and record, for the rest in order.
fn published(places: Vec<(&Output, PathBuf, Option<Derivative>)>, fresh: Vec<(Digest, String)>) -> Attempt {
    let adopted = fresh.is_empty();
    let mut fresh = fresh.into_iter();
    let mut all = places.into_iter().map(|(output, relative, there)| {
        let derivative = there.unwrap_or_else(|| {
            let (digest, record) = fresh.next().expect("what was not there was made");
            Derivative { relative, digest, record }
        });
        Further { root: output.root.clone(), derivative }
    });
    let first = all.next().expect("a profile has an output").derivative;
    Attempt::Published { derivative: first, further: all.collect(), adopted }
}

/// What a job comes to before its scan is read.
enum Plan<'a> {
    /// With the collection's profile.
    Make(&'a Profile),
    /// With the profile of one scan.
    Decided(Box<Profile>),
    /// Words for a registrar.
    Leave(String),
}

/// The profile of a job's recipe, unless a person decided against the job.
fn plan<'a>(place: &'a Workplace, claim: &ClaimedJob) -> Result<Plan<'a>, StageError> {
    let base = place.profiles.get(&claim.collection);
    let base = base.ok_or_else(|| StageError::not_configured(&claim.collection))?;
    let is_base = base.recipe.digest() == claim.recipe;
    match &claim.said {
        Some(Err(reason)) => Err(StageError::sidecar(reason.clone())),
        Some(Ok(decision)) => {
            let Some(scene) = decision.verdict.scene() else { return Ok(Plan::Leave(decision.to_string())) };
            let decided = base.decided(scene, decision);
            if decided.recipe.digest() == claim.recipe {
                return Ok(Plan::Decided(Box::new(decided)));
            }
            // It ran while that was decided, and came back into the queue.
            let other = is_base || is_variant(base, claim);
            let left = || Plan::Leave(format!("another job follows the decision about this scan: {decision}"));
            other.then(left).ok_or_else(|| StageError::not_configured(&claim.collection))
        }
        None if is_base => Ok(Plan::Make(base)),
        None if is_variant(base, claim) => {
            Ok(Plan::Leave("the decision that asked for this job was taken back, and another job follows".to_owned()))
        }
        None => Err(StageError::not_configured(&claim.collection)),
    }
}

fn is_variant(base: &Profile, claim: &ClaimedJob) -> bool {
    Scene::COLOURED.into_iter().any(|scene| base.recipe.for_scene(scene).digest() == claim.recipe)
}

/// A full output volume is found before a picture is made, not after; one that cannot be written is publish's to name.
fn require_room(profile: &Profile) -> Result<(), StageError> {
    for Output { root, .. } in &profile.outputs {
        // A root that cannot be asked is publish's to name.
        let Ok(free) = publish::free_bytes(root) else { continue };
        if free < profile.min_free_bytes {
            return Err(StageError::no_room(root, free >> 20, profile.min_free_bytes >> 20));
        }
    }
    Ok(())
}

/// Reads the scan from the first place that still holds its bytes.
fn read(place: &Workplace, claim: &ClaimedJob, profile: &Profile) -> Result<(PathBuf, PathBuf, Vec<u8>), StageError> {
    let own = [(claim.collection.clone(), claim.relative.clone())];
    let places = if claim.places.is_empty() { &own[..] } else { &claim.places };
    let (mut offline, mut first_error) = (None, None);
    for (collection, relative) in places {
        let Some(root) = place.profiles.get(collection).map(|profile| &profile.ingest_root) else { continue };
        match ingest::read_verified(root, relative, &claim.source, profile.max_file_bytes) {
            Ok(bytes) => return Ok((root.clone(), relative.clone(), bytes)),
            // Neither absence nor other bytes mean anything in a directory that is not the root.
            Err(_) if !is_online(place, collection, root) => offline = offline.or_else(|| Some(StageError::offline(root))),
            Err(error) => first_error = first_error.or_else(|| Some(StageError::from(error))),
        }
    }
    Err(offline.or(first_error).unwrap_or_else(|| StageError::not_configured(&claim.collection)))
}

/// Whether the root is the directory it was when it was last seen: an empty mount point is not.
fn is_online(place: &Workplace, collection: &str, root: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(found) = std::fs::metadata(root) else { return false };
    let identities = place.identities.lock().unwrap_or_else(PoisonError::into_inner);
    identities.get(collection).is_none_or(|known| (known.device, known.inode) == (found.dev(), found.ino()))
}

fn derivative_path(output: &Output, claim: &ClaimedJob, header: &ScanHeader) -> PathBuf {
    let extension = output.format.of(header.format).extension();
    publish::derivative_path(&claim.relative, &claim.source, &claim.recipe, extension)
}

/// A pair already in place that was made of this scan by this recipe.
pub fn adopt(output_root: &Path, target: &Path, source: &Digest, recipe: &Digest) -> Result<Option<Derivative>, StageError> {
    let (digest, record) = match publish::existing(output_root, target)? {
        Existing::Both { image_digest, record } => (image_digest, record),
        // A record alone is replaced by `publish`; an image alone is a conflict that `publish` reports.
        Existing::Nothing | Existing::RecordOnly | Existing::ImageOnly { .. } => return Ok(None),
    };
    let Ok(found) = Record::from_json(&record) else { return Ok(None) };
    let ours = found.source.sha256 == *source && found.recipe.sha256 == *recipe && found.derivative.sha256 == digest;
    let record = || String::from_utf8_lossy(&record).into_owned();
    Ok(ours.then(|| Derivative { relative: target.to_owned(), digest, record: record() }))
}

/// Runs work on a scan so that a panic is a failed attempt and nothing more.
pub fn caught<T>(work: impl FnOnce() -> Result<T, StageError>) -> Result<T, StageError> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Err(StageError::panicked(text.as_deref().unwrap_or("no message")))
    })
}
