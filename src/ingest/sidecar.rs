//! What a person wrote about one scan into the file beside it: `plate.tif.autochrome.toml` for `plate.tif`.
//!
//! Three keys, all required: `as` (portrait, architecture, other or skip), `by`, `why`. A sidecar that cannot be understood holds its
//! scan back: whoever wrote it wanted something, and it is not for this program to guess what.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fixity::open_beneath;
use super::{FileSignature, ignore};
use crate::routing::{Decision, Origin, Verdict};

/// What is appended to a scan's name.
const SUFFIX: &[u8] = b".autochrome.toml";

/// Largest sidecar that is read, bytes.
const MOST_BYTES: u64 = 64 << 10;

/// The sidecar's path for the path of a scan, in bytes.
pub fn sidecar_name(scan: &[u8]) -> Vec<u8> {
    [scan, SUFFIX].concat()
}

/// The name of the scan beside which a file of this name is a sidecar.
pub(super) fn scan_of(name: &OsStr) -> Option<&OsStr> {
    let scan = name.as_bytes().strip_suffix(SUFFIX).map(OsStr::from_bytes)?;
    ignore::is_scan(scan).then_some(scan)
}

/// What the sidecar beside a scan says: `None` where none lies there.
///
/// # Errors
/// It cannot be read or understood: one line that names it, the line in it and the rule.
pub fn sidecar_beside(scan: &Path) -> Option<Result<Decision, String>> {
    let name = OsString::from_vec(sidecar_name(scan.file_name()?.as_bytes()));
    let folder = scan.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
    std::fs::symlink_metadata(folder.join(&name)).ok()?;
    Some(read(folder, Path::new(&name)).and_then(|(_, said)| said))
}

/// The state in which a sidecar was read, and what it says.
type Found = (FileSignature, Result<Decision, String>);

/// Reads a sidecar through no link below `root`. The outer error is one that may pass: its reading went wrong.
pub(super) fn read(root: &Path, relative: &Path) -> Result<Found, String> {
    let name = relative.file_name().unwrap_or_default().display().to_string();
    let failed = |error: std::io::Error| format!("the sidecar {name} cannot be read: {error}");
    let metadata = std::fs::symlink_metadata(root.join(relative)).map_err(failed)?;
    let signature = FileSignature::of(&metadata);
    if !metadata.is_file() {
        return Ok((signature, Err(format!("the sidecar {name} is no regular file; links are not followed"))));
    }
    let file = open_beneath(root, relative).map_err(|error| failed(error.into()))?;
    let signature = FileSignature::of(&file.metadata().map_err(failed)?);
    let bytes = bounded(file).map_err(failed)?;
    let said = match bytes.len() as u64 > MOST_BYTES {
        true => Err(format!("is larger than {} KiB", MOST_BYTES >> 10)),
        false => parse(&bytes),
    };
    Ok((signature, said.map_err(|rule| format!("the sidecar {name} {rule}"))))
}

fn bounded(file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The decision, or which rule is broken in which line.
fn parse(bytes: &[u8]) -> Result<Decision, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())?;
    let line = |at: usize| text.as_bytes().iter().take(at).filter(|&&byte| byte == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let rule = error.message().replace('\n', " ");
        format!("is not TOML: line {}: {rule}", line(at))
    })?;
    for key in table.get_ref().keys() {
        let name: &str = key.get_ref();
        if !["as", "by", "why"].contains(&name) {
            let shown: String = name.chars().take(40).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
            return Err(format!("line {}: {shown} is not a key; the keys are as, by, why", line(key.span().start)));
        }
    }
    let text_of = |name: &str| -> Result<(usize, &str), String> {
        let value: &Spanned<DeValue<'_>> = table.get_ref().get(name).ok_or_else(|| format!("has no key {name}"))?;
        let at = line(value.span().start);
        let text = value.get_ref().as_str().ok_or_else(|| format!("line {at}: {name} must be text in quotation marks"))?;
        Ok((at, text))
    };
    let (at, word) = text_of("as")?;
    let verdict: Verdict = word.parse().map_err(|error| format!("line {at}: as: {error}"))?;
    let ((by_at, by), (why_at, why)) = (text_of("by")?, text_of("why")?);
    Decision::new(verdict, by, why, Origin::Sidecar).map_err(|error| {
        let at = if error.is_about_author() { by_at } else { why_at };
        format!("line {at}: {error}")
    })
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests make the files they look at")]
mod tests {
    use super::*;
    use crate::routing::Scene;

    fn told(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_sidecar_says_what_who_and_why() {
        let decision = parse(b"# after the sitting\nas = \"portrait\"\nby = \"A. Weber\"\nwhy = 'a face'\n").unwrap();
        assert_eq!((decision.verdict, decision.origin), (Verdict::Scene(Scene::Portrait), Origin::Sidecar));
        assert_eq!((decision.by.as_str(), decision.why.as_str()), ("A. Weber", "a face"));
    }

    #[test]
    fn what_cannot_be_understood_is_told_with_its_line_and_rule() {
        for (text, wanted) in [
            ("as = \"skip\"\nby = \"x\"\nwhy = \"y\"\nsince = 3\n", "line 4: since is not a key"),
            ("as = \"skip\"\nby = \n", "is not TOML: line 2: "),
            ("by = \"x\"\nwhy = \"y\"\n", "has no key as"),
            (
                "as = \"document\"\nby = \"x\"\nwhy = \"y\"\n",
                "line 1: as: \"document\" is none of portrait, architecture, other, skip",
            ),
            ("as = \"skip\"\nby = 7\nwhy = \"y\"\n", "line 2: by must be text"),
            ("as = \"skip\"\nby = \"x\"\nwhy = \" \"\n", "line 3: `why` must be one line"),
            ("as = \"skip\"\nby = \"\"\"a\nb\"\"\"\nwhy = \"x\"\n", "line 2: `by` must be one line"),
        ] {
            let told = told(text);
            assert!(told.starts_with(wanted) && !told.contains('\n'), "{text}: {told}");
        }
        assert_eq!(parse(b"as = \"\xFF\"").unwrap_err(), "is not UTF-8 text");
    }

    #[test]
    fn links_directories_and_large_files_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("secret"), "as = \"skip\"\nby = \"x\"\nwhy = \"y\"\n").unwrap();
        std::os::unix::fs::symlink(at("secret"), at("a.tif.autochrome.toml")).unwrap();
        std::fs::create_dir(at("b.tif.autochrome.toml")).unwrap();
        std::fs::write(at("c.tif.autochrome.toml"), "#".repeat(65 << 10)).unwrap();
        for (scan, wanted) in [("a.tif", "no regular file"), ("b.tif", "no regular file"), ("c.tif", "larger than 64 KiB")] {
            let told = sidecar_beside(&at(scan)).unwrap().unwrap_err();
            assert!(told.contains(wanted) && told.contains(&format!("{scan}.autochrome.toml")), "{told}");
        }
        assert_eq!(sidecar_beside(&at("d.tif")), None);
    }

    #[test]
    fn only_files_beside_scans_are_sidecars() {
        let is = |name: &str| scan_of(OsStr::new(name)).is_some();
        assert!(is("plate 12.tif.autochrome.toml"));
        assert!(!["autochrome.toml", "notes.txt.autochrome.toml", ".autochrome.toml", "a.tif.toml"].into_iter().any(is));
    }
}
