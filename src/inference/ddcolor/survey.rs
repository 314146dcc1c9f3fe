//! Holds what a file says about its tensors, names and shapes and types, against what the network needs.
//!
//! Needs no number of any tensor: a file is surveyed before it is read, whatever container it is in.

use std::collections::{BTreeMap, BTreeSet};

use safetensors::Dtype;

use super::architecture::Architecture;
use super::error::{CheckpointError, Problem, Problems, printable};
use super::schema::{Expected, Role, expected, is_unused};

/// ONNX models are protobuf messages, which end at 2 GiB; 16 MiB stay for the nodes and small constants.
const LARGEST_GRAPH: u64 = (1 << 31) - (16 << 20);

/// A tensor without its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::inference) struct Stated {
    /// Element type.
    pub(in crate::inference) dtype: Dtype,
    /// Shape, outermost axis first.
    pub(in crate::inference) shape: Vec<usize>,
}

/// Tensors by their official names.
pub(in crate::inference) type Inventory = BTreeMap<String, Stated>;

/// An inventory that is a DDColor network: all there, known, and of the right shapes.
#[derive(Debug)]
pub(in crate::inference) struct Survey {
    architecture: Architecture,
    parameters: u64,
    expected: Vec<Expected>,
}

/// A tensor of the network with its spectral norm folded, and what it is made of.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::inference) struct Part<'a> {
    /// Key once folded.
    pub(in crate::inference) name: &'a str,
    /// Shape.
    pub(in crate::inference) shape: &'a [usize],
    /// Where its numbers come from.
    pub(in crate::inference) origin: Origin,
}

/// Where the numbers of a tensor come from.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::inference) enum Origin {
    /// The file has it as it is.
    Kept,
    /// The file has it with its spectral norm: keys of the weight and of the two vectors.
    Spectral([String; 3]),
}

impl Survey {
    /// Checks a whole inventory.
    ///
    /// # Errors
    /// [`CheckpointError::Foreign`] for another network; missing, surplus, wrongly shaped and wrongly typed tensors of a
    /// DDColor network all in one [`CheckpointError::Mismatch`]; [`CheckpointError::Unsupported`] for absurd sizes.
    pub(in crate::inference) fn of(tensors: &Inventory) -> Result<Self, CheckpointError> {
        let architecture = Architecture::infer(
            |key| tensors.get(key).map(|tensor| tensor.shape.as_slice()),
            |prefix| tensors.range(prefix.to_owned()..).next().is_some_and(|(key, _)| key.starts_with(prefix)),
        );
        let expected = expected(&architecture);
        let (problems, unknown) = problems(tensors, &expected);
        let known = tensors.len() - unknown.len();
        // A tenth: a network that shares a name or two (`mean`) is another network; one that lacks a part is not.
        if 10 * known < unknown.len() || known == 0 {
            let first = unknown.first().map(|name| printable(name));
            return Err(CheckpointError::Foreign { unknown: unknown.len(), first: first.unwrap_or_else(|| "none".to_owned()) });
        }
        if !problems.is_empty() || !unknown.is_empty() {
            let surplus = unknown.into_iter().map(|name| Problem::Surplus { name: name.to_owned() });
            return Err(CheckpointError::Mismatch { problems: Problems::new(problems.into_iter().chain(surplus).collect()) });
        }
        if let Some(what) = architecture.objection() {
            return Err(CheckpointError::Unsupported { what });
        }
        let elements = |entry: &Expected| entry.shape.iter().map(|&n| n as u64).product::<u64>();
        let parameters = expected.iter().filter(|entry| entry.role != Role::Buffer).map(elements).sum();
        if parameters > LARGEST_GRAPH / 4 {
            let what = format!("{parameters} parameters, more than the {} an ONNX file can hold", LARGEST_GRAPH / 4);
            return Err(CheckpointError::Unsupported { what });
        }
        Ok(Self { architecture, parameters, expected })
    }

    /// The sizes of the network.
    pub(in crate::inference) const fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Learned numbers; statistics and spectral vectors do not count.
    pub(in crate::inference) const fn parameters(&self) -> u64 {
        self.parameters
    }

    /// Every tensor of the network, in its order; `tensors` is the inventory that was surveyed.
    pub(in crate::inference) fn parts<'a>(&'a self, tensors: &Inventory) -> Vec<Part<'a>> {
        let part = |entry: &'a Expected| {
            let keys = spectral(&entry.name);
            let is_kept = entry.role != Role::Spectral || tensors.contains_key(&entry.name);
            let origin = if is_kept { Origin::Kept } else { Origin::Spectral(keys) };
            Part { name: &entry.name, shape: &entry.shape, origin }
        };
        self.expected.iter().map(part).collect()
    }
}

/// Keys of a weight that still has its spectral norm: the weight and the two vectors.
pub(super) fn spectral(name: &str) -> [String; 3] {
    ["orig", "u", "v"].map(|part| format!("{name}_{part}"))
}

/// Compares an inventory with what the network needs: what is missing or wrong, and which keys are unknown.
fn problems<'a>(tensors: &'a Inventory, expected: &[Expected]) -> (Vec<Problem>, BTreeSet<&'a str>) {
    let mut problems = Vec::new();
    let mut unknown: BTreeSet<&str> = tensors.keys().map(String::as_str).filter(|key| !is_unused(key)).collect();
    let mut check = |name: String, shape: &[usize]| {
        let Some(tensor) = tensors.get(&name) else {
            problems.push(Problem::Missing { name });
            return;
        };
        unknown.remove(name.as_str());
        let found = &tensor.shape;
        let fits = found.len() == shape.len() && found.iter().zip(shape).all(|(&found, &want)| want == 0 || found == want);
        if !fits {
            problems.push(Problem::Shape { name, found: found.clone(), expected: shape.to_vec() });
        } else if !matches!(tensor.dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            problems.push(Problem::Kind { name, found: format!("{:?}", tensor.dtype) });
        }
    };
    for entry in expected {
        let parts = spectral(&entry.name);
        if entry.role == Role::Spectral && parts.iter().any(|part| tensors.contains_key(part)) {
            let rest = entry.shape[1..].iter().try_fold(1_usize, |product, &n| product.checked_mul(n)).unwrap_or(0);
            let [orig, u, v] = parts;
            check(orig, &entry.shape);
            check(u, &entry.shape[..1]);
            check(v, &[rest]);
        } else {
            check(entry.name.clone(), &entry.shape);
        }
    }
    (problems, unknown)
}
