//! The command line: what can be typed. What it does is in `commands/`.

mod cell;
mod route;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::codec::Format;
use crate::inference::{Precision, Provider};
use crate::job::JobState;
use crate::routing::Scene;

pub use cell::Cell;
pub use route::{Route, Wanted};

/// Colours scanned black-and-white photographs and records what made every derivative.
#[derive(Debug, Parser)]
#[command(name = "autochrome", version, about, disable_help_subcommand = true)]
pub struct Cli {
    /// Configuration file; else $AUTOCHROME_CONFIG, ./autochrome.toml, /etc/autochrome/autochrome.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Form of the log on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogForm::Text)]
    pub log: LogForm,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Print for machines.
#[derive(Debug, Clone, Copy, Args)]
pub struct Form {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch the pinned ONNX Runtime; a second run does nothing
    Setup {
        /// The build for NVIDIA GPUs
        #[arg(long)]
        cuda: bool,
    },
    /// Run the daemon: watch the ingest roots until told to stop
    Run,
    /// Look at every ingest root once, work until nothing can be claimed, exit
    Once,
    /// Colour pictures now: no ledger, no daemon, the record beside the result
    Colorize(Colorize),
    /// Jobs by state, roots, device
    Status(Form),
    /// List jobs, newest first
    Jobs {
        /// Only jobs in this state
        #[arg(long, value_name = "STATE")]
        state: Option<JobState>,
        /// Only this collection
        #[arg(long, value_name = "NAME")]
        collection: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Form of the answer
        #[command(flatten)]
        form: Form,
    },
    /// One job: every attempt, what happened, why, what to do
    Show {
        /// Job number, or a source or derivative file
        #[arg(value_name = "ID|FILE")]
        what: String,
        /// Form of the answer
        #[command(flatten)]
        form: Form,
    },
    /// Put jobs back into the queue
    Retry(Which),
    /// Take waiting jobs out of the queue
    Cancel(Which),
    /// Decide about one scan: what it is, or that it is left alone
    Route(Route),
    /// Ask what made a derivative
    #[command(subcommand)]
    Audit(Audit),
    /// The catalogue of models
    #[command(subcommand)]
    Models(Models),
    /// Node graphs of ComfyUI
    #[command(subcommand)]
    Workflow(Workflow),
    /// What works, what does not, what to do
    Doctor(Form),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(Config),
    /// Speed and memory on this machine; or, with --quality, how near the colours come to known ones
    Bench {
        /// Pictures a measurement; medians are printed
        #[arg(long, default_value_t = 3, value_name = "N")]
        runs: u32,
        /// Grey the colour photographs of this directory, colour them, and compare
        #[arg(long, value_name = "DIR", conflicts_with = "runs")]
        quality: Option<PathBuf>,
        /// Write a row for every picture to this file
        #[arg(long, value_name = "FILE", requires = "quality")]
        csv: Option<PathBuf>,
        /// Which colour networks at which sizes, and nothing else
        #[command(flatten)]
        grid: NetworkGrid,
        /// Whole scans, and nothing else
        #[command(flatten)]
        whole: WholeLine,
        /// One scan of 200 megapixels, RGB of 16 bits, through the whole line, and nothing else: time and memory. Takes 2 GiB of it
        #[arg(long, conflicts_with_all = ["quality", "networks", "line", "runs"])]
        large: bool,
        /// Form of the answer
        #[command(flatten)]
        form: Form,
    },
    /// Write a contact sheet of derivatives, one HTML file that opens offline
    Sheet {
        /// Where to
        #[arg(short, long, value_name = "FILE", default_value = "contact-sheet.html")]
        output: PathBuf,
        /// Only this collection
        #[arg(long, value_name = "NAME")]
        collection: Option<String>,
        /// At most so many, newest first
        #[arg(long, value_name = "N", default_value_t = 200)]
        limit: u32,
    },
}

/// Which pictures, and how.
#[derive(Debug, Args)]
pub struct Colorize {
    /// Scans; they are read, never changed
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// A directory for the results, or, of one scan, the file to write; default: the directory you are in
    #[arg(short, long, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,
    /// What kind of picture they are; default: what a sidecar beside the scan says (SCAN.autochrome.toml), else the scene network decides
    #[arg(long, value_name = "portrait|architecture|other", value_parser = coloured_scene)]
    pub scene: Option<Scene>,
    /// Height of the network's copy, pixels
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(32..=4096))]
    pub height: Option<u32>,
    /// Number format asked of the colour network; default: device.precision of the configuration
    #[arg(long, value_name = "fp16|fp32")]
    pub precision: Option<Precision>,
    /// Format of the results; default: by the name given with -o, else output.format of the configuration
    #[arg(long, value_name = "jpeg|png|tiff")]
    pub format: Option<Format>,
}

fn coloured_scene(text: &str) -> Result<Scene, String> {
    let named = text.parse::<Scene>().ok().filter(|scene| Scene::COLOURED.contains(scene));
    named.ok_or_else(|| format!("{text:?} is none of portrait, architecture, other"))
}

/// A kind of session of `bench --networks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SessionKind {
    /// FP16, one CUDA graph a run
    Fp16,
    /// FP16 in little memory
    Fp16Small,
    /// FP32
    Fp32,
}

/// The table of colour networks.
#[derive(Debug, Clone, Args)]
pub struct NetworkGrid {
    /// The colour networks alone: speed, memory, and what half precision does to their colours
    #[arg(long, conflicts_with = "quality")]
    pub networks: bool,
    /// Only these models
    #[arg(long, value_name = "ID", requires = "networks", num_args = 1..)]
    pub model: Vec<String>,
    /// These sizes and numbers of pictures instead of the usual ones
    #[arg(long, value_name = "WxHxN", requires = "networks", num_args = 1..)]
    pub size: Vec<Cell>,
    /// One kind of session alone: the memory that a process keeps from one to the next does not count then
    #[arg(long, value_name = "KIND", requires = "networks")]
    pub only: Option<SessionKind>,
    /// PyTorch as well, on the same weights right after (models/training/compare_pytorch.py), and how much longer it takes
    #[arg(long, requires = "networks")]
    pub compare: bool,
    /// The Python for it, with PyTorch, NumPy, Pillow and safetensors
    #[arg(long, value_name = "FILE", requires = "compare", default_value = "python3")]
    pub python: PathBuf,
}

/// Whole scans from file to file.
#[derive(Debug, Clone, Args)]
pub struct WholeLine {
    /// Whole scans from file to file, by numbers of workers: those of this directory, or generated ones of 24 megapixels; says how
    /// busy every part is and what holds the others up. Derivatives go beside the ledger and are removed
    #[arg(long, value_name = "DIR", num_args = 0..=1, conflicts_with_all = ["quality", "networks", "runs"])]
    pub line: Option<Option<PathBuf>>,
    /// These numbers of workers instead of 1, 2, 4 and so on up to the cores
    #[arg(long, value_name = "N", requires = "line", num_args = 1.., value_parser = workers)]
    pub workers: Vec<usize>,
}

fn workers(text: &str) -> Result<usize, String> {
    let count: usize = text.parse().map_err(|_| format!("{text:?} is no number of workers"))?;
    if (1..=1024).contains(&count) { Ok(count) } else { Err("1 to 1024 workers".to_owned()) }
}

/// Which jobs.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Which {
    /// Job numbers
    #[arg(value_name = "ID")]
    pub ids: Vec<i64>,
    /// Every job in this state
    #[arg(long, value_name = "STATE")]
    pub state: Option<JobState>,
}

/// Questions about derivatives.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// The provenance record of a derivative, or of every derivative of a source
    Show {
        /// A derivative or a source
        file: PathBuf,
        /// Form of the answer
        #[command(flatten)]
        form: Form,
    },
}

/// The catalogue.
#[derive(Debug, Subcommand)]
pub enum Models {
    /// Every model with its kind, size, digest, licence and source
    List(Form),
    /// Bring in the authors' weights (.pth, .pt, .safetensors) or a DDColor-shaped .onnx
    Import(Import),
    /// Run a network on an array and compare what comes out
    Check(Check),
    /// Write the graph that a colour network's weights become, to inspect it
    Graph(ExportGraph),
    /// Hash every file of the catalogue again
    Verify(Form),
    /// Take a model out of the catalogue and delete its file
    Remove {
        /// Catalogue id
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Which file becomes which model.
#[derive(Debug, Args)]
pub struct Import {
    /// The file; it is read, never changed
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Its name in configurations and records
    #[arg(long, value_name = "ID")]
    pub id: String,
    /// Licence of the weights, an SPDX expression
    #[arg(long, value_name = "LICENCE")]
    pub licence: Option<String>,
    /// Where the file was published
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
    /// Form of the answer
    #[command(flatten)]
    pub form: Form,
}

/// Which graph, and where to.
#[derive(Debug, Args)]
pub struct ExportGraph {
    /// Catalogue id
    #[arg(value_name = "ID")]
    pub id: String,
    /// The ONNX file to write
    #[arg(short, long, value_name = "FILE.onnx")]
    pub out: PathBuf,
    /// Size and number of pictures of a run
    #[arg(long, default_value = "512x512x1", value_name = "WxHxN")]
    pub size: Cell,
    /// Precision of the inside
    #[arg(long, default_value_t = Precision::Fp16, value_name = "fp16|fp32")]
    pub precision: Precision,
    /// Where it is to run: some operators have another fastest form on each
    #[arg(long, default_value_t = Provider::Cuda, value_name = "cuda|cpu")]
    pub provider: Provider,
}

/// What a network is given, and what it should give back.
#[derive(Debug, Args)]
pub struct Check {
    /// Catalogue id
    #[arg(value_name = "ID")]
    pub id: String,
    /// float32 array [1, 3, H, W]: grey RGB in 0..=1, sides multiples of 32
    #[arg(long, value_name = "X.npy")]
    pub input: PathBuf,
    /// float32 array [1, 2, H, W]: a* and b* in Lab units
    #[arg(long, value_name = "Y.npy")]
    pub expect: PathBuf,
    /// Precision to run in
    #[arg(long, default_value_t = Precision::Fp32, value_name = "fp32|fp16")]
    pub precision: Precision,
    /// Largest difference that passes, Lab units
    #[arg(long, default_value_t = 1e-3, value_name = "T")]
    pub tolerance: f32,
    /// Arrays of inner tensors, named after them (…color_embed.npy): say where the first difference appears
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub trace: Vec<PathBuf>,
    /// Form of the answer
    #[command(flatten)]
    pub form: Form,
}

/// Node graphs of others.
#[derive(Debug, Subcommand)]
pub enum Workflow {
    /// Print the configuration that does what a workflow does, or what in it cannot be had here
    Import {
        /// The workflow, as saved by the editor or for the API; it is read, never changed
        #[arg(value_name = "FILE.json")]
        file: PathBuf,
    },
}

/// The configuration.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Every problem at once
    Check,
    /// The effective values and where each came from
    Show(Form),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn retry_wants_numbers_or_a_state_and_not_both() {
        let parse = |words: &[&str]| Cli::try_parse_from([&["autochrome", "retry"], words].concat());
        assert!(parse(&["1", "2"]).is_ok());
        assert!(parse(&["--state", "rejected"]).is_ok());
        assert!(parse(&[]).is_err());
        assert!(parse(&["1", "--state", "rejected"]).is_err());
        assert!(parse(&["--state", "broken"]).is_err());
    }
}
