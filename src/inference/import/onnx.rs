//! An ONNX file of others as it is: looked at, and copied.

use std::io::{Read as _, Seek as _, SeekFrom};

use super::part::Part;
use super::source::Source;
use super::{Description, ImportError};
use crate::inference::foreign::{self, ForeignError};

/// ONNX files are protobuf messages, which end at 2 GiB.
const LONGEST: u64 = (1 << 31) - 1;

/// Copies the file into `part` if it is of DDColor's shape and stands alone.
pub(super) fn keep(source: &Source, part: &mut Part) -> Result<Description, ImportError> {
    let refused = |error| ImportError::Foreign { path: source.path().to_owned(), source: error };
    if source.bytes() > LONGEST {
        let what = format!("{} bytes, where ONNX ends at {LONGEST}", source.bytes());
        return Err(refused(ForeignError::Format { what }));
    }
    let (mut file, mut bytes) = (source.file(), Vec::new());
    file.seek(SeekFrom::Start(0)).map_err(|error| source.unreadable(error))?;
    file.take(LONGEST).read_to_end(&mut bytes).map_err(|error| source.unreadable(error))?;
    let examined = foreign::examine(&bytes).map_err(refused)?;
    part.write(&bytes)?;
    Ok(Description {
        architecture: examined.architecture(),
        variant: "other",
        parameters: examined.parameters(),
        size: examined.size(),
    })
}
