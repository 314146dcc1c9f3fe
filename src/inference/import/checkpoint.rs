//! DDColor weights of any container as our safetensors: official names, what is not needed left out, spectral norms folded.
//!
//! A spectral norm is a constant once training is over: the weight is divided by it here, in f64, and rounded to F32 once.
//! BatchNorm stays as it is and is folded when weights are read (`ddcolor/fold.rs`): there it meets its neighbours' other
//! constants before the one rounding, and the file keeps the official tensors. A tensor that is only copied keeps its type.
//!
//! One tensor is in memory at a time.

use safetensors::Dtype;
use serde_json::{Map, Value, json};

use super::part::Part;
use super::source::Source;
use super::tensors::Tensors;
use super::{Description, ImportError};
use crate::inference::Entry;
use crate::inference::ddcolor::{CheckpointError, Origin, Stated, Survey, decode, without_spectral_norm};

/// A tensor of the new file.
struct Planned<'a> {
    name: &'a str,
    shape: &'a [usize],
    dtype: Dtype,
    origin: Origin,
}

/// Writes the weights. Licence and source are those of the entry.
pub(super) fn convert(source: &Source, tensors: &Tensors, entry: &Entry, part: &mut Part) -> Result<Description, ImportError> {
    let refused = |error| ImportError::Checkpoint { path: source.path().to_owned(), source: error };
    let survey = Survey::of(&tensors.inventory).map_err(refused)?;
    // A view may claim more numbers than there are bytes behind it.
    let claimed = tensors.claimed();
    if claimed > source.bytes() {
        return Err(source.damaged(format!("its tensors claim {claimed} bytes, more than the file has")));
    }
    let architecture = survey.architecture();
    let plan = plan(&survey, tensors);
    part.write(&header(&plan, &metadata(source, entry, &architecture.to_string(), architecture.variant())))?;
    for planned in &plan {
        let bytes = match &planned.origin {
            Origin::Kept => kept(&tensors.read(source, planned.name)?, planned).map_err(refused)?,
            Origin::Spectral(keys) => folded(source, tensors, keys)?,
        };
        part.write(&bytes)?;
    }
    Ok(Description {
        architecture: architecture.to_string(),
        variant: architecture.variant(),
        parameters: survey.parameters(),
        size: None,
    })
}

/// The tensors in the order of the file: those of four bytes an element first, so that all are aligned.
fn plan<'a>(survey: &'a Survey, tensors: &Tensors) -> Vec<Planned<'a>> {
    let dtype = |name: &str| tensors.inventory.get(name).map_or(Dtype::F32, |stated: &Stated| stated.dtype);
    let planned = survey.parts(&tensors.inventory).into_iter().map(|part| {
        let dtype = if part.origin == Origin::Kept { dtype(part.name) } else { Dtype::F32 };
        Planned { name: part.name, shape: part.shape, dtype, origin: part.origin }
    });
    let mut plan: Vec<Planned<'a>> = planned.collect();
    plan.sort_by_key(|planned| std::cmp::Reverse(planned.dtype.bitsize()));
    plan
}

/// What the file says about itself. Nothing of where it lay or what wrote it: the same weights are the same file, and a recipe
/// holds its digest.
fn metadata(source: &Source, entry: &Entry, architecture: &str, variant: &str) -> Value {
    json!({
        "architecture": architecture,
        "imported_sha256": source.digest(),
        "licence": entry.licence,
        "source": entry.source,
        "variant": variant,
    })
}

/// Length and JSON in front of the data, padded with spaces to whole eights.
fn header(plan: &[Planned<'_>], metadata: &Value) -> Vec<u8> {
    let mut map = Map::new();
    map.insert("__metadata__".to_owned(), metadata.clone());
    let mut begin = 0;
    for Planned { name, shape, dtype, .. } in plan {
        let end = begin + shape.iter().product::<usize>() * dtype.bitsize() / 8;
        map.insert((*name).to_owned(), json!({ "dtype": dtype, "shape": shape, "data_offsets": [begin, end] }));
        begin = end;
    }
    let mut json = Value::Object(map).to_string().into_bytes();
    json.resize(json.len().next_multiple_of(8), b' ');
    [(json.len() as u64).to_le_bytes().as_slice(), &json].concat()
}

/// Bytes that stay as they are, once every number among them is one.
fn kept(bytes: &[u8], planned: &Planned<'_>) -> Result<Vec<u8>, CheckpointError> {
    let finite = decode(planned.dtype, bytes).iter().all(|value| value.is_finite());
    if finite { Ok(bytes.to_vec()) } else { Err(CheckpointError::NonFinite { tensor: planned.name.to_owned() }) }
}

fn folded(source: &Source, tensors: &Tensors, keys: &[String; 3]) -> Result<Vec<u8>, ImportError> {
    let refused = |tensor: &String| ImportError::Checkpoint { path: source.path().to_owned(), source: non_finite(tensor) };
    let values = |key: &String| {
        let dtype = tensors.inventory.get(key).map_or(Dtype::F32, |stated| stated.dtype);
        let values = decode(dtype, &tensors.read(source, key)?);
        if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(refused(key)) }
    };
    let [orig, u, v] = keys;
    let weight = without_spectral_norm(&values(orig)?, &values(u)?, &values(v)?);
    if !weight.iter().all(|value| value.is_finite()) {
        return Err(refused(orig));
    }
    Ok(weight.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn non_finite(tensor: &str) -> CheckpointError {
    CheckpointError::NonFinite { tensor: tensor.to_owned() }
}
