//! Arrays of float32 in NumPy's file format (NEP 1), as `numpy.save` writes them: the networks' inputs and outputs for people
//! who compare.
//!
//! Reads only what is compared here (float32, little-endian, C order); whether a shape or a value suits is the caller's to ask.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What every file of the format begins with.
const MAGIC: &[u8] = b"\x93NUMPY";
/// Longest header that is read: a shape has few digits, only structured types have long ones.
const LONGEST_HEADER: usize = 1 << 16;
/// Axes that an array may have: more than any network's tensor, and few enough that an error message stays a line.
const MOST_AXES: usize = 8;

/// Numbers with a shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Length of every axis; their product is the number of values.
    pub shape: Vec<usize>,
    /// The numbers.
    pub values: Vec<f32>,
}

/// Why a file is not the array that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ArrayError {
    /// It cannot be read.
    #[error("array {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not a NumPy file, or not the whole of one.
    #[error("{} is not a whole .npy file: {detail}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// It holds numbers of another type.
    #[error("{} holds values of type {found}, and float32 (<f4) was expected", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// The type as the file writes it.
        found: String,
    },
    /// Its first axis runs fastest.
    #[error("{} is in Fortran order, and C order was expected", path.display())]
    Fortran {
        /// The file.
        path: PathBuf,
    },
    /// It has another shape.
    #[error("{} has shape {found:?}, and {expected} was expected", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// Its shape.
        found: Vec<usize>,
        /// In words.
        expected: String,
    },
    /// It holds a number that cannot be meant.
    #[error("{} holds {value} at position {index}, and {expected} was expected", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The number.
        value: f32,
        /// Its position, counted from 0 through the whole array.
        index: usize,
        /// In words.
        expected: &'static str,
    },
}

impl ArrayError {
    /// What the person can do.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Kind { .. } | Self::Fortran { .. } | Self::Format { .. } => {
                Some("numpy.save(FILE, numpy.ascontiguousarray(array, numpy.float32)) writes what is read here")
            }
            Self::Read { .. } | Self::Shape { .. } | Self::Value { .. } => None,
        }
    }
}

impl Array {
    /// Reads a `.npy` file of float32.
    ///
    /// # Errors
    /// The file cannot be read, is not whole, or holds another type or order.
    pub fn read(path: &Path) -> Result<Self, ArrayError> {
        let unreadable = |source| ArrayError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        Self::parse(path, io::BufReader::new(file), length)
    }

    /// As [`Array::read`], of a file of `length` bytes that is open already.
    fn parse(path: &Path, mut file: impl Read, length: u64) -> Result<Self, ArrayError> {
        let format = |detail: String| ArrayError::Format { path: path.to_owned(), detail };
        let unreadable = |source: io::Error| match source.kind() {
            io::ErrorKind::UnexpectedEof => format("it is cut short".to_owned()),
            _ => ArrayError::Read { path: path.to_owned(), source },
        };
        let mut start = [0; 8];
        file.read_exact(&mut start).map_err(unreadable)?;
        let (magic, version) = start.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(format("it does not begin as one".to_owned()));
        }
        // Version 1 counts the header in two bytes, later ones in four.
        let counted = if version[0] == 1 { 2 } else { 4 };
        let mut count = [0; 4];
        file.read_exact(&mut count[..counted]).map_err(unreadable)?;
        let count = u32::from_le_bytes(count) as usize;
        if count > LONGEST_HEADER {
            return Err(format(format!("its header claims {count} bytes")));
        }
        let mut header = vec![0; count];
        file.read_exact(&mut header).map_err(unreadable)?;
        let header = String::from_utf8_lossy(&header);
        let shape = shape(path, &header)?;
        let numbers = shape.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
        let before = MAGIC.len() + 2 + counted + count;
        let wanted = numbers.and_then(|numbers| numbers.checked_mul(4)?.checked_add(before));
        if wanted.is_none_or(|wanted| wanted as u64 != length) {
            return Err(format(format!("a shape of {shape:?} does not belong to {length} bytes")));
        }
        let mut bytes = Vec::with_capacity(length as usize - before);
        file.take(length).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() + before != length as usize {
            return Err(format("it is cut short".to_owned()));
        }
        let values = bytes.as_chunks().0.iter().map(|&four| f32::from_le_bytes(four)).collect();
        Ok(Self { shape, values })
    }
}

/// The shape that a header tells of an array of float32 in C order.
fn shape(path: &Path, header: &str) -> Result<Vec<usize>, ArrayError> {
    let garbled = |key: &str| ArrayError::Format { path: path.to_owned(), detail: format!("its header has no sound {key}") };
    let kind = entry(header, "descr").ok_or_else(|| garbled("descr"))?;
    if !["'<f4'", "\"<f4\""].iter().any(|float| kind.starts_with(float)) {
        // A type of fields is a list and may be long; its beginning tells enough.
        let end = kind.find(", 'fortran_order'").unwrap_or(kind.len());
        let found = kind[..end].escape_debug().filter(|character| *character != '\\').take(40).collect();
        return Err(ArrayError::Kind { path: path.to_owned(), found });
    }
    match entry(header, "fortran_order") {
        Some(order) if order.starts_with("False") => {}
        Some(order) if order.starts_with("True") => return Err(ArrayError::Fortran { path: path.to_owned() }),
        _ => return Err(garbled("fortran_order")),
    }
    let shape = entry(header, "shape").and_then(|shape| shape.strip_prefix('(')?.split_once(')'));
    let (shape, _) = shape.ok_or_else(|| garbled("shape"))?;
    let sides = shape.split(',').map(str::trim).filter(|side| !side.is_empty());
    let sides: Vec<usize> = sides.map(str::parse).collect::<Result<_, _>>().map_err(|_| garbled("shape"))?;
    if sides.len() > MOST_AXES { Err(garbled("shape")) } else { Ok(sides) }
}

/// What follows a key of the header, which is a Python dictionary.
fn entry<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = [format!("'{key}'"), format!("\"{key}\"")].iter().find_map(|key| header.split_once(key.as_str()))?;
    rest.trim_start().strip_prefix(':').map(str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, values: &[f32]) -> Vec<u8> {
        let count = u16::try_from(header.len()).unwrap().to_le_bytes();
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        [MAGIC, b"\x01\x00", &count, header.as_bytes(), &data].concat()
    }

    fn read(bytes: &[u8]) -> Result<Array, ArrayError> {
        Array::parse(Path::new("x.npy"), bytes, bytes.len() as u64)
    }

    #[track_caller]
    fn told(bytes: &[u8]) -> String {
        read(bytes).unwrap_err().to_string()
    }

    const PLAIN: &str = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }\n";

    #[test]
    fn an_array_is_read_with_its_shape() {
        let array = read(&file(PLAIN, &[1.0, -2.5, f32::MIN_POSITIVE])).unwrap();
        assert_eq!(array, Array { shape: vec![1, 3], values: vec![1.0, -2.5, f32::MIN_POSITIVE] });
        let scalar = read(&file("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", &[7.0])).unwrap();
        assert_eq!(scalar, Array { shape: vec![], values: vec![7.0] });
    }

    #[test]
    fn the_later_form_of_the_header_is_read_too() {
        let mut bytes = file(PLAIN, &[1.0, 2.0, 3.0]);
        bytes[6] = 2;
        bytes.splice(10..10, [0, 0]);
        assert_eq!(read(&bytes).unwrap().shape, [1, 3]);
    }

    #[test]
    fn every_fault_is_named() {
        let change = |from: &str, to: &str| told(&file(&PLAIN.replace(from, to), &[0.0; 3]));
        assert_eq!(change("<f4", "<f8"), "x.npy holds values of type '<f8', and float32 (<f4) was expected");
        assert!(change("'<f4'", "[('r', '<f4'), ('g', '<f4')]").contains("type [('r', '<f4'), ('g', '<f4')], and"));
        assert_eq!(change("False", "True"), "x.npy is in Fortran order, and C order was expected");
        assert!(change("(1, 3)", "(1, 4)").contains("a shape of [1, 4] does not belong to"));
        assert!(change("(1, 3)", "(1, -3)").contains("no sound shape"));
        assert!(change("shape", "form").contains("no sound shape"));
        assert!(told(b"\x89PNG\r\n\x1a\n").contains("does not begin as one"));
        assert!(told(b"\x93NUM").contains("cut short"));
        let missing = Array::read(Path::new("/nowhere/x.npy")).unwrap_err();
        assert_eq!(missing.to_string(), "array /nowhere/x.npy cannot be read");
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        let whole = file(PLAIN, &[1.0, 2.0, 3.0]);
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} of {} bytes were taken", whole.len());
        }
        assert!(read(&[whole.as_slice(), b"x"].concat()).is_err());
    }

    #[test]
    fn absurd_claims_are_refused_without_being_believed() {
        let sides = "(9999999999, 9999999999, 9999999999)";
        assert!(told(&file(&PLAIN.replace("(1, 3)", sides), &[])).contains("does not belong"));
        assert!(told(&file(&PLAIN.replace("(1, 3)", &"1,".repeat(40)), &[0.0])).contains("no sound shape"));
        let mut header = file(PLAIN, &[]);
        header.splice(6..10, [2, 0, 255, 255, 255, 255]);
        assert!(told(&header).contains("claims 4294967295 bytes"));
    }
}
