//! From layers of single values to settings, with the rules that hold between values.

mod outputs;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::keys::{COLLECTION_KEYS, KEYS, Key, OUTPUT_PATH};
use super::layers::{Collection, Effective, Entries, Entry, Layers, Origin};
use super::machine::Machine;
use super::problems::{ConfigError, Place, Problem};
use super::settings::{
    CollectionSettings, DenoiseScope, DenoiseSettings, Loaded, ProfileSettings, SceneSettings, Settings, WorkerSettings,
};
use super::values::Value;
use crate::codec::DecodeLimits;
use crate::imaging::{Border, ExtentRules, Levels, Preprocessing};
use crate::inference::{EngineSettings, GuardBounds, Precision, ProviderChoice};
use crate::ingest::Ready;
use crate::job::RetryPolicy;
use crate::metadata::{self, SourceType};
use crate::routing::{RoutingRules, Scene};

/// Memory for which one more worker is started when their number is left to the machine, MiB: about what a 24-megapixel
/// scan of 16 bits takes at its peak.
const MEMORY_PER_WORKER: u64 = 700;

const PREPROCESSING: &str = "network.preprocessing";
const DENOISE: &str = "denoise.apply_to";
const SATURATION: &str = "output.saturation";
const COLOUR_SPACE: &str = "output.colour_space";
const FORMAT: &str = "output.format";

/// Builds settings, or tells every problem.
pub(super) fn build(layers: Layers, machine: &Machine) -> Result<Loaded, ConfigError> {
    let Layers { file, base, top, collections, mut problems } = layers;
    let written: BTreeSet<_> = problems.iter().map(|problem| problem.key.clone()).collect();
    let defaults = defaults(machine);
    let global = Scope { own: None, via: None, outputs: &[], top: &top, defaults: &defaults, base: &base, shown: String::new() };
    problems.extend(global.disagreements());
    problems.extend(global.coarse());
    let scopes: Vec<_> = collections.iter().map(|collection| global.over(collection)).collect();
    for scope in &scopes {
        let missing = scope.missing();
        // A value that was refused is not missing.
        problems.extend(missing.into_iter().filter(|one| !written.contains(&one.key)));
        problems.extend(scope.disagreements());
        problems.extend(scope.clashes());
        problems.extend(scope.coarse());
    }
    problems.extend(between(&scopes, &global.path("state")));
    if !problems.is_empty() {
        return Err(ConfigError::Unsound { file, problems });
    }
    let settings = Settings {
        file,
        state: global.path("state"),
        models: global.path("models"),
        collections: scopes.iter().map(Scope::collection).collect(),
        profile: global.profile(None),
        engine: global.engine(machine),
        workers: global.workers(machine),
        retry: RetryPolicy {
            attempts: global.small("retry.attempts"),
            base: global.duration("retry.base"),
            cap: global.duration("retry.cap"),
        },
        shutdown_deadline: global.duration("shutdown.deadline"),
    };
    let effective = effective(&global, &scopes, &settings);
    Ok(Loaded { settings, effective })
}

/// What holds when nobody says anything; required keys are not among it.
fn defaults(machine: &Machine) -> Entries {
    let entry = |name, value| (name, Entry { name, value, origin: Origin::Default });
    let mut defaults: Entries =
        KEYS.iter().chain(COLLECTION_KEYS).filter_map(|key| Some(entry(key.path, key.default()?))).collect();
    // A path that is not text comes from the executable's own place; shown with marks, it is found missing when used.
    let models = Value::Text(machine.models.to_string_lossy().into_owned());
    defaults.insert("models", entry("models", models).1);
    defaults
}

/// One place to look values up: the top level, or a collection over it.
struct Scope<'a> {
    own: Option<&'a Entries>,
    /// Of an output: what its collection says.
    via: Option<&'a Entries>,
    /// Of a collection: what its outputs say.
    outputs: &'a [Collection],
    top: &'a Entries,
    defaults: &'a Entries,
    base: &'a Path,
    /// Goes in front of names that are shown: `collection.NAME.`, or nothing.
    shown: String,
}

impl<'a> Scope<'a> {
    fn over(&self, collection: &'a Collection) -> Scope<'a> {
        Scope { own: Some(&collection.entries), outputs: &collection.outputs, shown: collection.shown.clone(), ..*self }
    }

    fn find(&self, path: &str) -> Option<&'a Entry> {
        let own = self.own.and_then(|own| own.get(path)).or_else(|| self.via.and_then(|via| via.get(path)));
        own.or_else(|| self.top.get(path)).or_else(|| self.defaults.get(path))
    }

    fn value(&self, path: &str) -> &'a Value {
        &self.find(path).expect("every key has a default, or its absence was found before").value
    }

    fn text(&self, path: &str) -> &'a str {
        match self.value(path) {
            Value::Text(text) => text,
            other => unreachable!("{path} takes text, and {other:?} passed its check"),
        }
    }

    fn integer(&self, path: &str) -> u64 {
        match self.value(path) {
            Value::Integer(value) => *value,
            other => unreachable!("{path} takes a whole number, and {other:?} passed its check"),
        }
    }

    fn small(&self, path: &str) -> u32 {
        u32::try_from(self.integer(path)).expect("the bounds of keys read so lie in 32 bits")
    }

    fn count(&self, path: &str) -> usize {
        usize::try_from(self.integer(path)).expect("the bounds of keys read so lie in 32 bits")
    }

    fn number(&self, path: &str) -> f64 {
        match self.value(path) {
            Value::Number(value) => *value,
            other => unreachable!("{path} takes a number, and {other:?} passed its check"),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "thresholds are small numbers that a person wrote")]
    fn threshold(&self, path: &str) -> f32 {
        self.number(path) as f32
    }

    fn switch(&self, path: &str) -> bool {
        matches!(self.value(path), Value::Switch(true))
    }

    fn duration(&self, path: &str) -> Duration {
        match self.value(path) {
            Value::Duration(value) => *value,
            other => unreachable!("{path} takes a duration, and {other:?} passed its check"),
        }
    }

    /// A path from the file's own directory, without `..` in the middle: it is printed in records and to people.
    ///
    /// Only leading `..` are taken away, and only from a base that links no further: after a link, `a/..` need not be here.
    fn path(&self, path: &str) -> PathBuf {
        let mut base = self.base.canonicalize().unwrap_or_else(|_| self.base.to_owned());
        let mut rest = std::path::Path::new(self.text(path));
        while let Ok(above) = rest.strip_prefix("..") {
            base.pop();
            rest = above;
        }
        base.join(rest)
    }

    fn word<T: Copy>(&self, path: &str, meanings: &[(&str, T)]) -> T {
        let text = self.text(path);
        let found = meanings.iter().find(|(word, _)| *word == text);
        found.expect("the key table allows only words that have a meaning here").1
    }

    fn collection(&self) -> CollectionSettings {
        const SCENES: &[(&str, Option<Scene>)] = &[
            ("auto", None),
            ("portrait", Some(Scene::Portrait)),
            ("architecture", Some(Scene::Architecture)),
            ("other", Some(Scene::Other)),
        ];
        CollectionSettings {
            name: self.text("name").to_owned(),
            ingest: self.path("ingest"),
            outputs: self.outputs(),
            rest: self.duration("ingest.rest"),
            rescan: self.duration("ingest.rescan"),
            ready: self.word("ready", &[("stable", Ready::Stable), ("marker", Ready::Marker)]),
            poll: self.switch("poll"),
            profile: self.profile(self.word("scene", SCENES)),
        }
    }

    fn profile(&self, scene_override: Option<Scene>) -> ProfileSettings {
        const SCOPES: &[(&str, DenoiseScope)] =
            &[("off", DenoiseScope::Off), ("network", DenoiseScope::Network), ("output", DenoiseScope::Output)];
        const SOURCE_TYPES: &[(&str, SourceType)] =
            &[(SourceType::Composite.word(), SourceType::Composite), (SourceType::Enhanced.word(), SourceType::Enhanced)];
        ProfileSettings {
            portrait: self.scene("scene.portrait.model", "scene.portrait.height.min", "scene.portrait.height.max"),
            architecture: self.scene(
                "scene.architecture.model",
                "scene.architecture.height.min",
                "scene.architecture.height.max",
            ),
            other: self.scene("scene.other.model", "scene.other.height.min", "scene.other.height.max"),
            rules: RoutingRules {
                scene_override,
                decision: None,
                min_side: self.small("routing.min_side"),
                min_score: self.threshold("routing.min_score"),
                colour_chroma: self.threshold("routing.colour_chroma"),
                tinted_share: self.threshold("routing.tinted_share"),
                blank_deviation: self.threshold("routing.blank_deviation"),
                document_score: self.threshold("routing.document_score"),
            },
            denoise: DenoiseSettings { apply_to: self.word(DENOISE, SCOPES), threshold: self.threshold("denoise.threshold") },
            preprocessing: self.word(PREPROCESSING, &[("fit", Preprocessing::Fit), ("parity", Preprocessing::Parity)]),
            border: self.word("network.border", &[("auto", Border::Auto), ("off", Border::Off)]),
            levels: self.word("network.levels", &[("auto", Levels::Auto), ("off", Levels::Off)]),
            precision: self.word("device.precision", &[("fp16", Precision::Fp16), ("fp32", Precision::Fp32)]),
            writing: self.writing(),
            saturation: self.threshold(SATURATION),
            metadata: metadata::Policy {
                strip_gps: self.switch("output.strip_gps"),
                source_type: self.word("output.digital_source_type", SOURCE_TYPES),
            },
            min_free_bytes: self.integer("output.min_free_mib") << 20,
            limits: DecodeLimits { max_pixels: self.integer("limits.max_megapixels") * 1_000_000 },
            max_file_bytes: self.integer("limits.max_file_mib") << 20,
        }
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 32 million, never negative")]
    fn scene(&self, model: &str, min: &str, max: &str) -> SceneSettings {
        let extent = ExtentRules {
            min_height: self.small(min),
            max_height: self.small(max),
            enlarge: self.switch("extent.enlarge"),
            max_area: (self.number("extent.max_megapixels") * 1e6).round() as u64,
        };
        SceneSettings { model: self.text(model).to_owned(), extent }
    }

    fn engine(&self, machine: &Machine) -> EngineSettings {
        const PROVIDERS: &[(&str, ProviderChoice)] =
            &[("auto", ProviderChoice::Auto), ("cuda", ProviderChoice::Cuda), ("cpu", ProviderChoice::Cpu)];
        let threads = self.count("device.threads");
        EngineSettings {
            provider: self.word("device.provider", PROVIDERS),
            memory_mib: self.integer("device.memory_mib"),
            // Three quarters of what the workers leave: the rest is for the system, its file cache and the small networks.
            model_memory_mib: (machine.memory_mib.saturating_sub(self.workers(machine).memory_mib) / 4 * 3).max(1),
            threads: if threads == 0 { machine.cores } else { threads },
            sessions: self.count("device.sessions"),
            guard: GuardBounds { chroma_min: self.number("guard.chroma_min") as f32, ab_max: self.number("guard.ab_max") as f32 },
        }
    }

    fn workers(&self, machine: &Machine) -> WorkerSettings {
        let memory_mib = match self.integer("workers.memory_mib") {
            0 => (machine.memory_mib / 2).max(1),
            written => written,
        };
        let bound = usize::try_from(memory_mib / MEMORY_PER_WORKER).unwrap_or(usize::MAX).max(1);
        let count = match self.count("workers.count") {
            0 => machine.cores.clamp(1, bound),
            written => written,
        };
        WorkerSettings { count, memory_mib }
    }

    /// Required keys that are not there.
    fn missing(&self) -> Vec<Problem> {
        let required: &[&str] = if self.outputs.is_empty() { &["name", "ingest", "output"] } else { &["name", "ingest"] };
        let absent = required.iter().filter(|key| self.find(key).is_none());
        let mut missing: Vec<_> = absent.map(|key| self.problem(key, None, "is required")).collect();
        let without = self.listed().into_iter().filter(|output| output.find("path").is_none());
        missing.extend(without.map(|output| output.problem("path", None, "is required")));
        missing
    }

    /// Pairs of values that exclude each other.
    fn disagreements(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        for scene in ["portrait", "architecture", "other"] {
            let (min, max) = (format!("scene.{scene}.height.min"), format!("scene.{scene}.height.max"));
            if self.says_something_about(&[&min, &max]) && self.integer(&min) > self.integer(&max) {
                let rule = format!("must not be larger than {} = {}{}", self.name(&max), self.integer(&max), self.by(&max));
                found.push(self.problem(&min, Some(format!("{}{}", self.integer(&min), self.by(&min))), &rule));
            }
        }
        let (base, cap) = ("retry.base", "retry.cap");
        if self.says_something_about(&[base, cap]) && self.duration(base) > self.duration(cap) {
            let written = |key| self.value(key).to_toml().to_string();
            let rule = format!("must not be longer than {} = {}{}", self.name(cap), written(cap), self.by(cap));
            found.push(self.problem(base, Some(format!("{}{}", written(base), self.by(base))), &rule));
        }
        let is_parity = self.text(PREPROCESSING) == "parity";
        if self.says_something_about(&[PREPROCESSING, DENOISE]) && is_parity && self.text(DENOISE) != "off" {
            let rule = format!(
                "the authors' pipeline does not denoise, so it needs {} = \"off\", not {:?}{}",
                self.name(DENOISE),
                self.text(DENOISE),
                self.by(DENOISE)
            );
            found.push(self.problem(PREPROCESSING, Some(format!("\"parity\"{}", self.by(PREPROCESSING))), &rule));
        }
        for (key, only) in [(SATURATION, Value::Number(1.0)), (COLOUR_SPACE, Value::Text("srgb".to_owned()))] {
            if self.says_something_about(&[PREPROCESSING, key]) && is_parity && *self.value(key) != only {
                let (name, written) = (self.name(key), self.value(key).to_toml());
                let rule = format!("the authors' pipeline knows only {name} = {}, not {written}{}", only.to_toml(), self.by(key));
                found.push(self.problem(PREPROCESSING, Some(format!("\"parity\"{}", self.by(PREPROCESSING))), &rule));
            }
        }
        found
    }

    /// Whether one of these keys is this scope's own: what it inherits is judged where it was written.
    fn says_something_about(&self, paths: &[&str]) -> bool {
        self.own.is_none_or(|own| paths.iter().any(|path| own.contains_key(path)))
    }

    /// A value that nobody wrote is called so: the person looks for it in vain otherwise.
    fn by(&self, path: &str) -> &'static str {
        match self.find(path).map(|entry| &entry.origin) {
            Some(Origin::Default) | None => " (default)",
            Some(Origin::File(_) | Origin::Variable(_)) => "",
        }
    }

    /// The key's name where a person finds it.
    fn name(&self, path: &str) -> String {
        match self.own.and_then(|own| own.get(path)) {
            Some(entry) => format!("{}{}", self.shown, entry.name),
            None if self.own.is_some() && COLLECTION_KEYS.iter().chain([&OUTPUT_PATH]).any(|key| key.path == path) => {
                format!("{}{path}", self.shown)
            }
            None => path.to_owned(),
        }
    }

    fn problem(&self, path: &str, value: Option<String>, rule: &str) -> Problem {
        Problem { key: self.name(path), value, place: Place::Nowhere, rule: rule.to_owned() }
    }
}

/// Rules between collections, and between them and the state directory.
fn between(scopes: &[Scope<'_>], state: &Path) -> Vec<Problem> {
    let mut names = BTreeSet::new();
    let mut problems = Vec::new();
    for scope in scopes {
        if scope.find("name").is_some() && !names.insert(scope.text("name")) {
            let value = scope.value("name").to_toml().to_string();
            problems.push(scope.problem("name", Some(value), "another collection has this name already"));
        }
        if scope.find("ingest").is_some() && state.starts_with(scope.path("ingest")) {
            let rule = "the state directory lies in it, and nothing is ever written into an ingest root";
            let value = scope.value("ingest").to_toml().to_string();
            problems.push(scope.problem("ingest", Some(value), rule));
        }
    }
    problems
}

/// Every key with what holds, for `config show`.
fn effective(global: &Scope<'_>, scopes: &[Scope<'_>], settings: &Settings) -> Vec<Effective> {
    let mut all: Vec<_> = KEYS.iter().map(|key| shown(global, key, settings)).collect();
    for scope in scopes {
        let inherits = |path: &str| scope.own.is_none_or(|own| !own.contains_key(path));
        let own = KEYS.iter().filter(|key| !inherits(key.path));
        let is_there = |key: &&Key| scope.find(key.path).is_some();
        all.extend(COLLECTION_KEYS.iter().filter(is_there).chain(own).map(|key| shown(scope, key, settings)));
        for output in scope.listed() {
            let says = |key: &&Key| output.own.is_some_and(|own| own.contains_key(key.path));
            all.extend([&OUTPUT_PATH].into_iter().chain(KEYS.iter().filter(says)).map(|key| shown(&output, key, settings)));
        }
    }
    all
}

fn shown(scope: &Scope<'_>, key: &Key, settings: &Settings) -> Effective {
    let path = key.path;
    let entry = scope.find(path).expect("every key has a default, or its absence was found before");
    let count = |value: usize| toml::Value::from(i64::try_from(value).unwrap_or(i64::MAX));
    let mebibytes = |value: u64| toml::Value::from(i64::try_from(value).unwrap_or(i64::MAX));
    let decided = match (path, &entry.value) {
        ("workers.count", Value::Integer(0)) => Some(count(settings.workers.count)),
        ("workers.memory_mib", Value::Integer(0)) => Some(mebibytes(settings.workers.memory_mib)),
        ("device.threads", Value::Integer(0)) => Some(count(settings.engine.threads)),
        _ => None,
    };
    let is_path = matches!(path, "state" | "models" | "ingest" | "output" | "path");
    let value = match &decided {
        Some(value) => value.clone(),
        None if is_path => scope.path(path).to_string_lossy().into_owned().into(),
        None => entry.value.to_toml(),
    };
    let note = decided.map(|_| "0: from the machine");
    Effective { key: scope.name(path), value, origin: entry.origin.clone(), note, meaning: key.meaning }
}
