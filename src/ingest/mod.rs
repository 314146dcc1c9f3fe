//! stub until merged
#![allow(missing_docs)]
use std::path::PathBuf;
use crate::digest::Digest;
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootIdentity { pub device: u64, pub inode: u64 }
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileSignature { pub device: u64, pub inode: u64, pub size: u64, pub mtime_ns: i64, pub ctime_ns: i64 }
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StableFile { pub collection: String, pub relative: PathBuf, pub signature: FileSignature, pub digest: Digest }
pub type Known = std::collections::HashMap<Vec<u8>, FileSignature>;
