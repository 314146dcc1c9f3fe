//! Colour networks of others: ONNX files of DDColor's shape, run as they are.
//!
//! [`examine`] says what a file is before the runtime sees it; nothing of it is believed, and nothing outside it is used.
//! Operators are left to the runtime to judge. [`self_check`] runs the file once. How pictures are coloured with it is the
//! `colorizer`'s.

mod error;
mod model;
mod wire;

#[cfg(test)]
pub(super) mod tests;

pub use error::ForeignError;

use super::numerics;
use super::options::Treatment;
use super::session::{Input, Network, Place};
use super::{FixedSize, InferenceError, Precision, ddcolor::printable};
use crate::imaging::{Plane, Size};
use model::{Axis, Declared, FLOAT, FLOAT16, Facts};

/// Sides must be multiples of this: the network halves its input five times.
const MULTIPLE: u64 = 32;
/// Longest side that a file may fix, pixels: no published DDColor goes beyond 2048, and a plane of 4096² floats is 64 MiB.
const LARGEST_SIDE: u64 = 4096;
/// Side of the picture for the self-check of a network that takes every size.
const CHECK_SIDE: u32 = 64;

/// What a file was found to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Examined {
    parameters: u64,
    precision: Precision,
    size: Option<FixedSize>,
    input: String,
    output: String,
    /// Names of the axes that change from run to run, with which of them each is: they differ from each other.
    free: Vec<(String, Free)>,
}

/// An axis that changes from run to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Free {
    Batch,
    Height,
    Width,
}

impl Examined {
    /// Architecture for the catalogue, such as "ddcolor (onnx, fp16 inside, fixed 512×512)".
    pub(super) fn architecture(&self) -> String {
        let size = self.size.map_or_else(|| "any size".to_owned(), |size| format!("fixed {}×{}", size.width, size.height));
        format!("ddcolor (onnx, {} inside, {size})", self.precision)
    }

    /// Learned numbers of the file.
    pub(super) const fn parameters(&self) -> u64 {
        self.parameters
    }

    /// What most of them are stored in.
    pub(super) const fn precision(&self) -> Precision {
        self.precision
    }

    /// The one size of picture it takes; `None`: every multiple of 32.
    pub(super) const fn size(&self) -> Option<FixedSize> {
        self.size
    }

    /// Makes a session: for `size` alone, or, without one, for every size the file allows.
    pub(super) fn open(&self, place: &Place, name: &str, file: &[u8], size: Option<Size>) -> Result<Network, InferenceError> {
        let Some(size) = size else { return Network::open(place, name, file, Treatment::Free) };
        let length = |axis| match axis {
            Free::Batch => 1,
            Free::Height => size.height,
            Free::Width => size.width,
        };
        let fixed: Vec<(&str, u32)> = self.free.iter().map(|(name, axis)| (name.as_str(), length(*axis))).collect();
        Network::open(place, name, file, Treatment::Fixed(&fixed))
    }

    /// Runs a grey picture as RGB, planes one after the other; gives a* and then b*, finite or not.
    pub(super) fn run(&self, network: &mut Network, rgb: &[f32], size: Size) -> Result<Vec<f32>, InferenceError> {
        let (width, height) = (size.width as usize, size.height as usize);
        let input = Input { name: &self.input, shape: &[1, 3, height, width], data: rgb };
        network.run_shaped(&[input], &self.output, &[1, 2, height, width])
    }
}

/// Looks at a whole ONNX file: is it one, is it of DDColor's shape, does it stand alone?
///
/// The contract: one input [N, 3, H, W] without an initializer, f32 or f16, grey RGB in 0..=1; one output [N, 2, H, W], f32
/// or f16, a* and b* in Lab units; N is 1 or free; H and W are multiples of 32 and fixed, or free. Names do not matter.
///
/// # Errors
/// See [`ForeignError`]; bytes of any kind are looked at without a panic and without believing what they claim.
pub(super) fn examine(file: &[u8]) -> Result<Examined, ForeignError> {
    let facts = model::read(file)?;
    if facts.ir_version == 0 || facts.nodes == 0 {
        return Err(ForeignError::Format { what: "it has no version or no nodes".to_owned() });
    }
    let input = only("input", facts.inputs.iter().filter(|input| !facts.constants.contains(input.name)))?;
    let output = only("output", facts.outputs.iter())?;
    element("input", input)?;
    element("output", output)?;
    let [batch, height, width] = axes("input", input, 3)?
        .ok_or_else(|| differs("input", input, "declares no shape, and [1, 3, height, width] is needed"))?;
    let size = fixed_size(input, height, width)?;
    if let Some([_, rows, columns]) = axes("output", output, 2)? {
        let agree = |declared, side| matches!((declared, side), (Axis::Free(_), _) | (_, Axis::Free(_))) || declared == side;
        if !agree(rows, height) || !agree(columns, width) {
            return Err(differs("output", output, "is declared in another size than the input"));
        }
    }
    let free = [(batch, Free::Batch), (height, Free::Height), (width, Free::Width)];
    Ok(Examined {
        parameters: facts.parameters,
        precision: precision(&facts),
        size,
        input: input.name.to_owned(),
        output: output.name.to_owned(),
        free: distinct_names(&free),
    })
}

/// FP16 when more than half of the learned numbers are stored in it.
const fn precision(facts: &Facts<'_>) -> Precision {
    if facts.parameters_fp16 * 2 > facts.parameters { Precision::Fp16 } else { Precision::Fp32 }
}

fn only<'f, 'a>(what: &str, mut all: impl Iterator<Item = &'f Declared<'a>> + Clone) -> Result<&'f Declared<'a>, ForeignError> {
    let names = all.clone().take(4).map(|one| printable(one.name)).collect::<Vec<_>>().join(", ");
    match (all.next(), all.count()) {
        (Some(one), 0) => Ok(one),
        (None, _) => Err(ForeignError::Shape { what: format!("it has no {what}") }),
        (Some(_), more) => Err(ForeignError::Shape { what: format!("it has {} {what}s instead of one: {names}", more + 1) }),
    }
}

fn differs(which: &str, declared: &Declared<'_>, what: &str) -> ForeignError {
    ForeignError::Shape { what: format!("{which} {} {what}", printable(declared.name)) }
}

fn element(which: &str, declared: &Declared<'_>) -> Result<(), ForeignError> {
    match declared.element {
        FLOAT | FLOAT16 => Ok(()),
        0 => Err(differs(which, declared, "is no tensor")),
        other => Err(differs(which, declared, &format!("has elements of ONNX type {other}, neither float nor float16"))),
    }
}

/// Batch, height and width, where a shape is declared.
fn axes<'a>(which: &str, declared: &Declared<'a>, channels: u64) -> Result<Option<[Axis<'a>; 3]>, ForeignError> {
    let Some(axes) = &declared.axes else { return Ok(None) };
    let fits = |axis: Axis<'_>, length| matches!(axis, Axis::Free(_)) || axis == Axis::Fixed(length);
    match axes.as_slice() {
        &[batch, depth, height, width] if fits(batch, 1) && fits(depth, channels) => Ok(Some([batch, height, width])),
        other => {
            let word = |axis: &Axis<'_>| match axis {
                Axis::Fixed(length) => length.to_string(),
                Axis::Free("") => "?".to_owned(),
                Axis::Free(name) => printable(name),
            };
            let words = other.iter().take(6).map(word).collect::<Vec<_>>().join(", ");
            Err(differs(which, declared, &format!("is [{words}] instead of [1, {channels}, height, width]")))
        }
    }
}

fn fixed_size(input: &Declared<'_>, height: Axis<'_>, width: Axis<'_>) -> Result<Option<FixedSize>, ForeignError> {
    let side = |length: u64| {
        let fits = (1..=LARGEST_SIDE).contains(&length) && length.is_multiple_of(MULTIPLE);
        let small = u32::try_from(length).ok().filter(|_| fits);
        let what = || format!("fixes a side of {length}, no multiple of {MULTIPLE} up to {LARGEST_SIDE}");
        small.ok_or_else(|| differs("input", input, &what()))
    };
    match (width, height) {
        (Axis::Fixed(width), Axis::Fixed(height)) => Ok(Some(FixedSize { width: side(width)?, height: side(height)? })),
        (Axis::Free(_), Axis::Free(_)) => Ok(None),
        _ => Err(differs("input", input, "fixes one side of the picture and not the other")),
    }
}

/// The free axes that have names; none where two share one, because then a name does not say which is meant.
fn distinct_names(axes: &[(Axis<'_>, Free)]) -> Vec<(String, Free)> {
    let named = axes.iter().filter_map(|&(axis, which)| match axis {
        Axis::Free(name) if !name.is_empty() => Some((name.to_owned(), which)),
        _ => None,
    });
    let named: Vec<(String, Free)> = named.collect();
    let is_twin = |index: usize| named[..index].iter().any(|(name, _)| *name == named[index].0);
    if (0..named.len()).any(is_twin) { Vec::new() } else { named }
}

/// Runs a file once: a gradient of the file's own size, or of 64×64.
///
/// # Errors
/// The runtime refuses the file, or what comes out has another shape than promised or cannot be
/// believed ([`numerics::believed`]).
pub(super) fn self_check(place: &Place, name: &str, file: &[u8], examined: &Examined) -> Result<(), InferenceError> {
    let size = examined.size.map_or(Size::new(CHECK_SIDE, CHECK_SIDE), |size| Size::new(size.width, size.height));
    let mut network = examined.open(place, name, file, Some(size))?;
    let (columns, rows) = (size.width as f32, size.height as f32);
    let at = |index: u32| (index % size.width) as f32 / columns * 0.75 + (index / size.width) as f32 / rows * 0.25;
    let grey: Vec<f32> = (0..size.width * size.height).map(at).collect();
    let ab = examined.run(&mut network, &grey.repeat(3), size)?;
    let found = numerics::Said::of(&ab[..grey.len()], &ab[grey.len()..]);
    let grey = Plane::new(size, grey).expect("width × height values");
    numerics::believed(name, &found, || numerics::deviation(&grey))
}
