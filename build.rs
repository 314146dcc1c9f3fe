//! Tells the program which commit it was built from, where there is one to tell.
//!
//! `AUTOCHROME_COMMIT` from the environment wins: a packager who builds from an archive knows it. Else git is asked, if this
//! directory is the top of a checkout. Nothing here can fail: a program without a commit says so in its records.

use std::path::Path;
use std::process::Command;

/// What the program is made of, as far as a change to it makes the commit alone an incomplete answer.
const PARTS: [&str; 6] = ["src", "migrations", "Cargo.toml", "Cargo.lock", "build.rs", "rust-toolchain.toml"];

fn main() {
    println!("cargo::rerun-if-env-changed=AUTOCHROME_COMMIT");
    println!("cargo::rerun-if-changed=build.rs");
    let named = std::env::var("AUTOCHROME_COMMIT").ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    let commit = named.or_else(checkout).unwrap_or_default();
    println!("cargo::rustc-env=AUTOCHROME_COMMIT={commit}");
}

/// The commit of this checkout, marked when what is built is not what was committed.
fn checkout() -> Option<String> {
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = std::env::var("CARGO_MANIFEST_DIR").ok()?;
    // An unpacked archive below somebody else's checkout is not built from that one.
    if Path::new(&top).canonicalize().ok()? != Path::new(&here).canonicalize().ok()? {
        return None;
    }
    // HEAD moves by commits and by checkouts; its log sees both. A file that is not there would be looked at in vain, and
    // would have everything built anew each time.
    for name in ["HEAD", "logs/HEAD"] {
        watch(&git(&["rev-parse", "--git-path", name])?);
    }
    PARTS.iter().for_each(|part| watch(part));
    let commit = git(&["rev-parse", "HEAD"])?;
    let changed = git(&[&["status", "--porcelain", "--"][..], &PARTS].concat())?;
    Some(if changed.is_empty() { commit } else { format!("{commit}+changes") })
}

fn watch(path: &str) {
    if Path::new(path).exists() {
        println!("cargo::rerun-if-changed={path}");
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
