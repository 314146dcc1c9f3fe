//! Tensors of a `.pth` or `.pt`: the zip archive that PyTorch has written since 1.6.
//!
//! The crate `pytorch-reader` reads them: it executes nothing, checks every length against the file, and fetches a tensor
//! only when asked. It also skips over calls it does not know and inflates what is compressed, so the archive is looked at
//! first, through the same crate `zip` that the reader uses: entries are stored, as `torch.save` stores them, all of them
//! together are no longer than the file, the pickle is small and names nothing but tensors.

use std::io::{BufReader, Read as _, Seek as _, SeekFrom};

use pytorch_reader::PytorchReader;
use zip::{CompressionMethod, ZipArchive};

use super::ImportError;
use super::pickle::{Objection, walk};
use super::source::Source;
use super::tensors::{Bytes, Tensors, dtype};
use crate::inference::ddcolor::Stated;

/// Most entries of an archive; the official Large has about 900.
const MOST_ENTRIES: usize = 100_000;
/// Longest pickle: the official Large has about 150 kB. An opcode costs the reader some hundred bytes of memory.
const LONGEST_PICKLE: u64 = 2 << 20;

/// Reads what tensors there are, and none of their numbers.
pub(super) fn open(source: &Source) -> Result<Tensors, ImportError> {
    match walk(&pickle(source)?) {
        Ok(()) => {}
        Err(Objection::Callee(callee)) => return Err(ImportError::Calls { path: source.path().to_owned(), callee }),
        Err(Objection::Form(detail)) => return Err(source.damaged(detail)),
    }
    let reader = PytorchReader::new(source.descriptor_path()).map_err(|error| source.damaged(error))?;
    let tensors = reader.into_tensors().into_iter().map(|(name, tensor)| {
        let stated = Stated { dtype: dtype(tensor.dtype()), shape: tensor.shape().to_vec() };
        (name, stated, Bytes::Torch(Box::new(tensor)))
    });
    Ok(Tensors::new(tensors.collect()))
}

/// The pickle of a sound archive.
fn pickle(source: &Source) -> Result<Vec<u8>, ImportError> {
    let mut file = source.file();
    file.seek(SeekFrom::Start(0)).map_err(|error| source.unreadable(error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| source.damaged(error))?;
    if archive.len() > MOST_ENTRIES {
        return Err(source.damaged(format!("{} entries, more than {MOST_ENTRIES}", archive.len())));
    }
    let (mut total, mut pickles) = (0_u64, Vec::new());
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|error| source.damaged(error))?;
        let name = entry.name().map_err(|error| source.damaged(error))?;
        if entry.compression() != CompressionMethod::Stored || entry.compressed_size() != entry.size() {
            return Err(source.damaged(format!("entry {name} is compressed, and torch.save compresses nothing")));
        }
        total = total.saturating_add(entry.size());
        if name == "data.pkl" || name.ends_with("/data.pkl") {
            pickles.push((index, entry.size()));
        }
    }
    if total > source.bytes() {
        return Err(source.damaged(format!("its entries claim {total} bytes, more than the file has")));
    }
    let &[(index, length)] = pickles.as_slice() else {
        return Err(source.damaged(format!("{} entries called data.pkl, where a checkpoint has one", pickles.len())));
    };
    if length > LONGEST_PICKLE {
        return Err(source.damaged(format!("a pickle of {length} bytes, longer than {LONGEST_PICKLE}")));
    }
    let mut pickle = Vec::new();
    let entry = archive.by_index(index).map_err(|error| source.damaged(error))?;
    entry.take(length).read_to_end(&mut pickle).map_err(|error| source.damaged(error))?;
    Ok(pickle)
}
