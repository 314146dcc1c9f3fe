//! Tensors of a container under their official names, each read when it is asked for.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;

use safetensors::Dtype;
use safetensors::tensor::Metadata;

use super::ImportError;
use super::source::{LONGEST_HEADER, Source};
use crate::inference::ddcolor::{Inventory, Stated};

/// Dictionaries that training scripts put the weights into, the one of plain inference first.
const CONTAINERS: &[&str] = &["params.", "params_ema.", "state_dict."];
/// What PyTorch's data-parallel wrapper puts in front of every name.
const WRAPPER: &str = "module.";

/// How the bytes of a tensor are got: little-endian, row-major.
pub(super) enum Bytes {
    /// They lie in the file from here to there.
    Range(u64, u64),
    /// PyTorch's archive.
    Torch(Box<pytorch_reader::Tensor>),
}

/// Tensors of one file.
pub(super) struct Tensors {
    /// What the file says of them.
    pub(super) inventory: Inventory,
    bytes: BTreeMap<String, Bytes>,
}

impl Tensors {
    /// Tensors under the names of the file: one dictionary around them and a wrapper's prefix are taken off.
    pub(super) fn new(found: Vec<(String, Stated, Bytes)>) -> Self {
        let has = |prefix: &str| found.iter().any(|(name, ..)| name.starts_with(prefix));
        let container = CONTAINERS.iter().copied().find(|container| has(container)).unwrap_or("");
        let inside = |name: &str| name.strip_prefix(container).map(str::to_owned);
        let found: Vec<_> =
            found.into_iter().filter_map(|(name, stated, bytes)| inside(&name).map(|name| (name, stated, bytes))).collect();
        let is_wrapped = found.iter().all(|(name, ..)| name.starts_with(WRAPPER));
        let (mut inventory, mut by_name) = (Inventory::new(), BTreeMap::new());
        for (name, stated, bytes) in found {
            let name = if is_wrapped { name[WRAPPER.len()..].to_owned() } else { name };
            inventory.insert(name.clone(), stated);
            by_name.insert(name, bytes);
        }
        Self { inventory, bytes: by_name }
    }

    /// The bytes of a tensor of the inventory.
    pub(super) fn read(&self, source: &Source, name: &str) -> Result<Vec<u8>, ImportError> {
        match self.bytes.get(name).ok_or_else(|| source.damaged(format!("tensor {name} is missing")))? {
            Bytes::Range(begin, end) => {
                let mut bytes = vec![0; usize::try_from(end - begin).map_err(|error| source.damaged(error))?];
                source.file().read_exact_at(&mut bytes, *begin).map_err(|error| source.unreadable(error))?;
                Ok(bytes)
            }
            Bytes::Torch(tensor) => tensor.read().map_err(|error| match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof => source.damaged(error),
                _ => source.unreadable(error),
            }),
        }
    }

    /// Bytes that all tensors together claim to have.
    pub(super) fn claimed(&self) -> u64 {
        let one = |stated: &Stated| {
            let elements = stated.shape.iter().try_fold(1_u64, |product, &n| product.checked_mul(n as u64));
            elements.and_then(|elements| elements.checked_mul(stated.dtype.bitsize() as u64)).map_or(u64::MAX, |bits| bits / 8)
        };
        self.inventory.values().map(one).fold(0, u64::saturating_add)
    }
}

/// Reads the header of a safetensors file; every tensor it names lies inside the file afterwards.
pub(super) fn open_safetensors(source: &Source) -> Result<Tensors, ImportError> {
    let (header, data) = read_header(source)?;
    let meta: Metadata = serde_json::from_slice(&header).map_err(|error| source.damaged(error))?;
    if data.checked_add(meta.data_len() as u64) != Some(source.bytes()) {
        return Err(source.damaged("its tensors do not end where the file does"));
    }
    let tensors = meta.tensors().into_iter().map(|(name, info)| {
        let (begin, end) = info.data_offsets;
        let stated = Stated { dtype: info.dtype, shape: info.shape.clone() };
        (name, stated, Bytes::Range(data + begin as u64, data + end as u64))
    });
    Ok(Tensors::new(tensors.collect()))
}

/// The JSON in front, and where the data begins.
fn read_header(source: &Source) -> Result<(Vec<u8>, u64), ImportError> {
    let mut file: &File = source.file();
    let mut length = [0; 8];
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_exact(&mut length)).map_err(|error| source.unreadable(error))?;
    let length = u64::from_le_bytes(length);
    let inside = length <= LONGEST_HEADER && length.checked_add(8).is_some_and(|end| end <= source.bytes());
    if !inside {
        return Err(source.damaged("its header is longer than the file"));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(|error| source.unreadable(error))?;
    Ok((header, 8 + length))
}

/// The element type in the words of safetensors.
pub(super) const fn dtype(of: pytorch_reader::DType) -> Dtype {
    use pytorch_reader::DType;
    match of {
        DType::F64 => Dtype::F64,
        DType::F32 => Dtype::F32,
        DType::F16 => Dtype::F16,
        DType::BF16 => Dtype::BF16,
        DType::I64 => Dtype::I64,
        DType::I32 => Dtype::I32,
        DType::I16 => Dtype::I16,
        DType::I8 => Dtype::I8,
        DType::U64 => Dtype::U64,
        DType::U32 => Dtype::U32,
        DType::U16 => Dtype::U16,
        DType::U8 => Dtype::U8,
        DType::Bool => Dtype::BOOL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[&str]) -> Vec<String> {
        let tensor = |name: &&str| ((*name).to_owned(), Stated { dtype: Dtype::F32, shape: vec![] }, Bytes::Range(0, 4));
        Tensors::new(given.iter().map(tensor).collect()).inventory.into_keys().collect()
    }

    #[test]
    fn a_dictionary_around_the_weights_and_a_wrapper_are_taken_off() {
        assert_eq!(names(&["a.weight", "b"]), ["a.weight", "b"]);
        assert_eq!(names(&["params.a", "params.b", "epoch"]), ["a", "b"]);
        assert_eq!(names(&["params_ema.a", "params.b"]), ["b"]);
        assert_eq!(names(&["state_dict.module.a", "state_dict.module.b", "optimizer.x"]), ["a", "b"]);
        assert_eq!(names(&["module.a", "b"]), ["b", "module.a"]);
    }
}
