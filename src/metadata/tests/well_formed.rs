//! Whether a packet is well-formed, as strictly as XML 1.0 and its namespaces have it: the reader that the program uses forgives.

use std::collections::BTreeSet;

/// What a packet may have (XML 1.0, 2.2).
fn is_character(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// A name without colon (XML 1.0, 2.3).
fn is_name(name: &str) -> bool {
    let begins = |letter: char| {
        matches!(letter, 'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
            | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
            | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
            | '\u{10000}'..='\u{EFFFF}')
    };
    let goes_on = |letter: char| {
        begins(letter) || matches!(letter, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
    };
    name.starts_with(begins) && name.chars().all(goes_on)
}

/// Namespace and local part; nobody's namespace is `default`.
fn expanded(name: &str, scopes: &[(usize, String, String)], default: &str) -> Result<(String, String), String> {
    let (prefix, local) = name.split_once(':').unwrap_or(("", name));
    if !is_name(local) || !prefix.is_empty() && !is_name(prefix) {
        return Err(format!("{name:?} is no name"));
    }
    let uri = match prefix {
        "" => default.to_owned(),
        "xml" => "http://www.w3.org/XML/1998/namespace".to_owned(),
        prefix => {
            let bound = scopes.iter().rev().find(|(_, known, _)| known == prefix);
            bound.ok_or_else(|| format!("{prefix:?} is not declared"))?.2.clone()
        }
    };
    Ok((uri, local.to_owned()))
}

/// Text whose references are those of characters that may stand there, and of XML's own five entities.
fn require_text(text: &str) -> Result<(), String> {
    if text.contains('<') || text.contains("]]>") {
        return Err(format!("markup in {text:?}"));
    }
    for reference in text.split('&').skip(1) {
        let name = reference.split_once(';').ok_or_else(|| format!("a bare & in {text:?}"))?.0;
        let number = name.strip_prefix("#x").map(|digits| u32::from_str_radix(digits, 16));
        let number = number.or_else(|| name.strip_prefix('#').map(str::parse));
        let is_known = match number {
            Some(number) => number.ok().and_then(char::from_u32).is_some_and(is_character),
            None => matches!(name, "amp" | "lt" | "gt" | "quot" | "apos"),
        };
        if !is_known {
            return Err(format!("the reference {name:?}"));
        }
    }
    Ok(())
}

/// # Errors
/// Words about the first thing that is not.
pub(super) fn require(packet: &[u8]) -> Result<(), String> {
    let mut rest = std::str::from_utf8(packet).map_err(|error| error.to_string())?;
    if let Some(letter) = rest.chars().find(|letter| !is_character(*letter)) {
        return Err(format!("the character {letter:?}"));
    }
    let (mut open, mut scopes): (Vec<&str>, Vec<(usize, String, String)>) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        require_text(&rest[..at])?;
        let tag = &rest[at + 1..];
        if let Some(instruction) = tag.strip_prefix('?') {
            rest = instruction.split_once("?>").ok_or("an instruction without end")?.1;
            continue;
        }
        // No value of a packet has the sign itself: it is written as a reference.
        let (inner, behind) = tag.split_once('>').ok_or("a tag without end")?;
        rest = behind;
        if let Some(name) = inner.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("{name:?} ends and was not open"));
            }
            scopes.retain(|(depth, ..)| *depth <= open.len());
            continue;
        }
        let (inner, is_empty) = inner.strip_suffix('/').map_or((inner, false), |inner| (inner, true));
        let (name, mut left) = inner.split_once([' ', '\n']).unwrap_or((inner, ""));
        let mut attributes = Vec::new();
        while !left.trim_start().is_empty() {
            let (key, value) = left.trim_start().split_once("=\"").ok_or_else(|| format!("{left:?} is no attribute"))?;
            let (value, behind) = value.split_once('"').ok_or("a value without end")?;
            require_text(value)?;
            if let Some(prefix) = key.strip_prefix("xmlns:") {
                if !is_name(prefix) || value.is_empty() || value == "http://www.w3.org/2000/xmlns/" {
                    return Err(format!("{prefix:?} is bound to {value:?}"));
                }
                scopes.push((open.len() + 1, prefix.to_owned(), value.to_owned()));
            } else {
                attributes.push(key);
            }
            left = behind;
        }
        expanded(name, &scopes, "default")?;
        let mut seen = BTreeSet::new();
        for key in attributes {
            if !seen.insert(expanded(key, &scopes, "")?) {
                return Err(format!("{key:?} stands twice in {name:?}"));
            }
        }
        if is_empty {
            scopes.retain(|(depth, ..)| *depth <= open.len());
        } else {
            open.push(name);
        }
    }
    if open.is_empty() { require_text(rest) } else { Err(format!("{open:?} are still open")) }
}
