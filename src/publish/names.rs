//! Names of derivatives: readable, safe on every file system a museum shares, and never the same for other work.

use std::path::{Component, Path, PathBuf};

use crate::digest::Digest;

/// Longest file name of every common file system, bytes (Linux NAME_MAX; NTFS counts 255 UTF-16 units, which is no less).
const NAME_MAX: usize = 255;

/// What the longest unfinished file adds to a derivative's name: `.`NAME`.json.`FENCE`.part`, the fence being two 64-bit
/// decimal numbers and a hyphen.
const UNFINISHED_EXTRA: usize = ".".len() + ".json".len() + ".".len() + 41 + ".part".len();

/// `<stem>--<12 hex of source>-<8 hex of recipe>.<extension>` in the same sub-folder as the scan.
///
/// Every component is text of at most 255 bytes without control characters, without characters or names that Windows
/// shares refuse, and without a leading `.`, `-` or space. Names that only differ in what had to be replaced stay apart
/// by the digest; folders that do may merge.
pub fn derivative_path(source: &Path, digest: &Digest, recipe: &Digest, extension: &str) -> PathBuf {
    let mut folders: Vec<_> = source.components().filter(|component| !is_root(component)).collect();
    folders.pop();
    let mut path: PathBuf = folders.iter().map(|component| safe(component.as_os_str().as_encoded_bytes(), NAME_MAX)).collect();
    let suffix = format!("--{}-{}.{extension}", digest.short(12), recipe.short(8));
    let room = NAME_MAX - UNFINISHED_EXTRA - suffix.len();
    let stem = source.file_stem().map(|stem| stem.as_encoded_bytes()).unwrap_or_default();
    path.push(safe(stem, room) + &suffix);
    path
}

const fn is_root(component: &Component<'_>) -> bool {
    matches!(component, Component::RootDir | Component::Prefix(_) | Component::CurDir)
}

/// A name component with everything hostile replaced by `_`, cut to `max` bytes between characters.
fn safe(name: &[u8], max: usize) -> String {
    let mut text: String = String::from_utf8_lossy(name).chars().map(|one| if is_hostile(one) { '_' } else { one }).collect();
    // A name that Windows takes for a device, whatever its extension.
    if is_device(&text) {
        text.insert(0, '_');
    }
    if text.starts_with(['.', '-', ' ']) {
        text.replace_range(..1, "_");
    }
    text.truncate(text.floor_char_boundary(max));
    if text.ends_with(['.', ' ']) {
        text.pop();
        text.push('_');
    }
    if text.is_empty() { "_".to_owned() } else { text }
}

/// Control characters, what Windows shares refuse in names, bytes that were no UTF-8, and characters that are invisible or
/// turn the writing direction around (Unicode TR 36).
fn is_hostile(one: char) -> bool {
    const INVISIBLE: [std::ops::RangeInclusive<char>; 4] =
        ['\u{200B}'..='\u{200F}', '\u{2028}'..='\u{202E}', '\u{2060}'..='\u{206F}', '\u{FEFF}'..='\u{FEFF}'];
    one.is_control()
        || matches!(one, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | char::REPLACEMENT_CHARACTER)
        || INVISIBLE.iter().any(|range| range.contains(&one))
}

/// CON, PRN, AUX, NUL, COM0-9, LPT0-9 and the console's two, alone or before a dot (Microsoft, "Naming Files, Paths, and
/// Namespaces").
fn is_device(name: &str) -> bool {
    let base = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    if matches!(base.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") {
        return true;
    }
    let port = base.strip_prefix("COM").or_else(|| base.strip_prefix("LPT"));
    port.is_some_and(|number| {
        let mut characters = number.chars();
        let digit = characters.next().is_some_and(|one| one.is_ascii_digit() || matches!(one, '¹' | '²' | '³'));
        digit && characters.next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use proptest::prelude::*;

    use super::*;

    fn named(source: &[u8]) -> String {
        let (digest, recipe) = (Digest::of(b"source"), Digest::of(b"recipe"));
        let path = derivative_path(Path::new(OsStr::from_bytes(source)), &digest, &recipe, "tif");
        path.to_str().expect("names of derivatives are text").to_owned()
    }

    fn suffix() -> String {
        format!("--{}-{}.tif", Digest::of(b"source").short(12), Digest::of(b"recipe").short(8))
    }

    #[test]
    fn a_derivative_keeps_its_scans_folder_and_stem() {
        assert_eq!(named(b"a/b/plate 12.tif"), format!("a/b/plate 12{}", suffix()));
        assert_eq!(named("Kästchen/Tür.alt.JPG".as_bytes()), format!("Kästchen/Tür.alt{}", suffix()));
    }

    #[test]
    fn hostile_names_become_harmless_ones() {
        let cases: [(&[u8], &str); 14] = [
            (b"new\nline.jpg", "new_line"),
            (b"gla\xDFplatte.jpg", "gla_platte"),
            (b"-rf.jpg", "_rf"),
            (b" lead.jpg", "_lead"),
            (b"trail .jpg", "trail_"),
            (b"a:b*c?.jpg", "a_b_c_"),
            (b"con.jpg", "_con"),
            (b"LPT1.old.jpg", "_LPT1.old"),
            (b"company.jpg", "company"),
            (b"..jpg", "_"),
            (b"...jpg", "__"),
            ("gpj\u{202E}evil.jpg".as_bytes(), "gpj_evil"),
            (b"\x1b[31mred.jpg", "_[31mred"),
            (b"", "_"),
        ];
        for (source, stem) in cases {
            assert_eq!(named(source), format!("{stem}{}", suffix()), "{}", String::from_utf8_lossy(source));
        }
        assert_eq!(named(b"../../etc/x.jpg"), format!("__/__/etc/x{}", suffix()));
        assert_eq!(named(b"/abs/aux /end./x.jpg"), format!("abs/_aux_/end_/x{}", suffix()));
    }

    #[test]
    fn long_names_are_cut_between_characters_and_leave_room_for_unfinished_files() {
        let fence = format!("{0}-{0}", i64::MAX);
        for stem in ["x".repeat(251), "🎞".repeat(62), format!("a{}", "é".repeat(125))] {
            let name = named(format!("{stem}.jpg").as_bytes());
            assert!(name.ends_with(&suffix()));
            assert!(format!(".{name}.json.{fence}.part").len() <= NAME_MAX, "{name}");
            assert!(name.len() > 190, "no more is cut than necessary: {name}");
        }
        let folder = named(&[&[0xFF; 255][..], b"/x.jpg"].concat());
        assert!(folder.split('/').all(|component| component.len() <= NAME_MAX));
    }

    proptest! {
        #[test]
        fn whatever_the_source_is_called_its_derivative_stays_below_the_root(source in proptest::collection::vec(any::<u8>(), 0..600)) {
            let source: Vec<u8> = source.into_iter().filter(|byte| *byte != 0).collect();
            let name = named(&source);
            for component in Path::new(&name).components() {
                let Component::Normal(component) = component else { panic!("{name:?}") };
                let text = component.to_str().unwrap();
                prop_assert!(text.len() <= NAME_MAX && !text.starts_with(['.', '-', ' ']) && !text.ends_with(['.', ' ']));
                prop_assert!(!text.chars().any(char::is_control));
            }
        }
    }
}
