//! An XMP packet's RDF as a small tree, and back to text. Knows XML and RDF's outermost layer, and no property.
//!
//! Everything is bounded, nothing outside is looked up, and document types, where entities are made, are refused.

use std::collections::BTreeMap;

use quick_xml::XmlVersion;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Prefix, ResolveResult};
use quick_xml::reader::NsReader;

use super::printable;

pub(super) const RDF: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#";
const X: &str = "adobe:ns:meta/";
const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of declarations themselves, which no prefix may be bound to (Namespaces in XML 1.0, 3).
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Deepest nesting, and most elements and attributes of a packet that is read; honest ones end near 12 and some thousands.
const MAX_DEPTH: usize = 32;
const MAX_ELEMENTS: usize = 20_000;

/// A name with its namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    /// The namespace's URI; empty for none.
    pub(super) namespace: String,
    /// The local part.
    pub(super) local: String,
}

impl Name {
    pub(super) fn new(namespace: &str, local: &str) -> Self {
        Self { namespace: namespace.to_owned(), local: local.to_owned() }
    }

    pub(super) fn is(&self, namespace: &str, local: &str) -> bool {
        self.namespace == namespace && self.local == local
    }

    /// Whether every reader of XML and of its namespaces takes it. The reader here takes names and namespaces as they come.
    pub(super) fn is_writable(&self) -> bool {
        let begins = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || is_letter(letter);
        let goes_on = |letter: char| begins(letter) || letter.is_ascii_digit() || matches!(letter, '-' | '.');
        let is_name = self.local.starts_with(begins) && self.local.chars().all(goes_on);
        // What no URI has (RFC 3986), some readers refuse, or take for the mark between namespace and name; beyond ASCII it may be an IRI.
        let is_uri =
            |letter: char| !letter.is_whitespace() && !matches!(letter, '<' | '>' | '"' | '{' | '}' | '|' | '\\' | '^' | '`');
        is_name && self.namespace != XMLNS && printable(&self.namespace) == self.namespace && self.namespace.chars().all(is_uri)
    }
}

/// An element: its attributes, its text between child elements, its children. Text beside children is not kept: RDF has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) name: Name,
    pub(super) attributes: Vec<(Name, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Self>,
}

impl Element {
    pub(super) fn new(namespace: &str, local: &str) -> Self {
        Self { name: Name::new(namespace, local), attributes: Vec::new(), text: String::new(), children: Vec::new() }
    }

    /// A property of plain text.
    pub(super) fn of_text(namespace: &str, local: &str, text: &str) -> Self {
        Self { text: printable(text), ..Self::new(namespace, local) }
    }

    /// A property of fields.
    pub(super) fn of_fields(namespace: &str, local: &str, fields: Vec<Self>) -> Self {
        let attributes = vec![(Name::new(RDF, "parseType"), "Resource".to_owned())];
        Self { attributes, children: fields, ..Self::new(namespace, local) }
    }

    /// Every element and attribute below whose name is not kept is removed.
    pub(super) fn prune(&mut self, keeps: &impl Fn(&Name) -> bool) {
        self.attributes.retain(|(name, _)| keeps(name));
        self.children.retain(|child| keeps(&child.name));
        self.children.iter_mut().for_each(|child| child.prune(keeps));
    }

    /// Whether such a name stands here or below.
    pub(super) fn has(&self, is: &impl Fn(&Name) -> bool) -> bool {
        is(&self.name) || self.attributes.iter().any(|(name, _)| is(name)) || self.children.iter().any(|child| child.has(is))
    }
}

/// Letters beyond ASCII that names have in every edition of XML 1.0: the fifth (2.3) has more, which widespread readers do not know.
const fn is_letter(letter: char) -> bool {
    matches!(
        letter,
        '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{131}' | '\u{14A}'..='\u{17E}' | '\u{1E00}'..='\u{1E9B}' |
        '\u{3A3}'..='\u{3CE}' | '\u{40E}'..='\u{44F}' | '\u{5D0}'..='\u{5EA}' | '\u{621}'..='\u{63A}' | '\u{905}'..='\u{939}' |
        '\u{3041}'..='\u{3094}' | '\u{30A1}'..='\u{30FA}' | '\u{4E00}'..='\u{9FA5}' | '\u{AC00}'..='\u{D7A3}'
    )
}

/// The properties of a packet, in order; those written as attributes as elements.
///
/// # Errors
/// Words, when it is no XMP.
pub(super) fn properties(packet: &[u8]) -> Result<Vec<Element>, String> {
    let text = std::str::from_utf8(packet).map_err(|_| "it is not UTF-8".to_owned())?;
    let root = read(text.trim_start_matches('\u{FEFF}').trim_end_matches(['\0', ' ', '\r', '\n', '\t']))?;
    let rdf =
        if root.name.is(RDF, "RDF") { Some(root) } else { root.children.into_iter().find(|child| child.name.is(RDF, "RDF")) };
    let rdf = rdf.ok_or("it holds no RDF")?;
    let mut found = Vec::new();
    for description in rdf.children.into_iter().filter(|child| child.name.is(RDF, "Description")) {
        for (name, value) in description.attributes {
            if !name.namespace.is_empty() && name.namespace != RDF && name.namespace != XML {
                found.push(Element { name, attributes: Vec::new(), text: value, children: Vec::new() });
            }
        }
        found.extend(description.children);
    }
    Ok(found)
}

/// The tree of a document.
fn read(text: &str) -> Result<Element, String> {
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut open: Vec<Element> = Vec::new();
    let mut count = 0;
    loop {
        let event = reader.read_event().map_err(|error| format!("it is not XML: {}", printable(&error.to_string())))?;
        match event {
            Event::Start(start) => {
                count += 1 + start.attributes().count();
                if open.len() >= MAX_DEPTH || count > MAX_ELEMENTS {
                    return Err("it nests too deep or has too many elements".to_owned());
                }
                open.push(element(&reader, &start)?);
            }
            Event::End(_) => {
                let closed = open.pop().ok_or("it is not XML: an element ends that never began")?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => return Ok(closed),
                }
            }
            Event::Text(text) => add(&mut open, &text.xml10_content()),
            Event::CData(text) => add(&mut open, &text.xml10_content()),
            Event::GeneralRef(reference) => {
                let name = &*reference;
                let character = reference.resolve_char_ref().map_err(|error| format!("it is not XML: {error}"))?;
                let text = match (character, name) {
                    (Some(character), _) => character.to_string(),
                    (None, "amp") => "&".to_owned(),
                    (None, "lt") => "<".to_owned(),
                    (None, "gt") => ">".to_owned(),
                    (None, "quot") => "\"".to_owned(),
                    (None, "apos") => "'".to_owned(),
                    (None, other) => return Err(format!("it is not XML: the entity {:?} is unknown", printable(other))),
                };
                add(&mut open, &text);
            }
            Event::DocType(_) => return Err("it has a document type, which no XMP needs".to_owned()),
            Event::Eof => return Err("it ends before its outermost element does".to_owned()),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
        }
    }
}

fn add(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.text.push_str(&printable(text));
    }
}

fn element(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<Element, String> {
    let bad = |error: &dyn std::fmt::Display| format!("it is not XML: {error}");
    let name = |(found, local): (ResolveResult<'_>, &str)| match found {
        // As it was written: references and line ends mean here what they do in any attribute (XML 1.0, 3.3.3).
        ResolveResult::Bound(namespace) => {
            let namespace = unescape(namespace.0).map_err(|error| bad(&error))?;
            Ok(Name::new(&namespace.replace(['\t', '\n', '\r'], " "), local))
        }
        ResolveResult::Unbound => Ok(Name::new("", local)),
        ResolveResult::Unknown(prefix) => Err(format!("it is not XML: the prefix {:?} is not declared", printable(&prefix))),
    };
    let resolver = reader.resolver();
    let (found, local) = resolver.resolve_element(start.name());
    require_name(local.as_ref())?;
    let mut element = Element { name: name((found, local.as_ref()))?, ..Element::new("", "") };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| bad(&error))?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let (found, local) = resolver.resolve_attribute(attribute.key);
        require_name(local.as_ref())?;
        let is_xml = attribute.key.prefix().is_some_and(|prefix: Prefix<'_>| prefix.as_ref() == "xml");
        let key = if is_xml { Name::new(XML, local.as_ref()) } else { name((found, local.as_ref()))? };
        let value = attribute.normalized_value(XmlVersion::Explicit1_0).map_err(|error| bad(&error))?;
        // Two prefixes of one namespace make one name of two.
        if !element.attributes.iter().any(|(other, _)| *other == key) {
            element.attributes.push((key, printable(&value)));
        }
    }
    Ok(element)
}

/// The reader lets anything pass as a name, and a name is written as it is.
fn require_name(local: &str) -> Result<(), String> {
    // Beyond ASCII too wide here and there: what not every reader takes is left out by name ([`Name::is_writable`]).
    let begins = |letter: char| letter.is_ascii_alphabetic() || letter == '_' || letter >= '\u{C0}' && letter.is_alphabetic();
    let goes_on = |letter: char| begins(letter) || letter.is_ascii_digit() || matches!(letter, '-' | '.');
    if local.starts_with(begins) && local.chars().all(goes_on) {
        return Ok(());
    }
    Err(format!("it is not XML: {:?} is no name", printable(local)))
}

/// A packet of these properties, whose names must be writable ([`Name::is_writable`]). `known` names prefixes of namespaces; others get one each.
pub(super) fn packet(properties: &[Element], known: &[(&str, &str)]) -> Vec<u8> {
    let mut prefixes = BTreeMap::new();
    properties.iter().for_each(|property| collect(property, known, &mut prefixes));
    let mut out = String::from("<?xpacket begin=\"\u{FEFF}\" id=\"W5M0MpCehiHzreSzNTczkc9d\"?>\n");
    out.push_str(&format!("<x:xmpmeta xmlns:x=\"{X}\">\n <rdf:RDF xmlns:rdf=\"{RDF}\">\n  <rdf:Description rdf:about=\"\""));
    for (namespace, prefix) in &prefixes {
        out.push_str(&format!("\n    xmlns:{prefix}=\"{}\"", escape(namespace.as_str())));
    }
    out.push_str(">\n");
    properties.iter().for_each(|property| write(property, &prefixes, 3, &mut out));
    out.push_str("  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n<?xpacket end=\"w\"?>");
    out.into_bytes()
}

/// Notes the namespaces of an element and of all below.
fn collect(element: &Element, known: &[(&str, &str)], prefixes: &mut BTreeMap<String, String>) {
    let names = element.attributes.iter().map(|(name, _)| name).chain([&element.name]);
    for Name { namespace, .. } in names {
        if namespace.is_empty() || namespace == RDF || namespace == XML || prefixes.contains_key(namespace) {
            continue;
        }
        let prefix = known.iter().find(|(_, uri)| uri == namespace);
        let prefix = prefix.map_or_else(|| format!("ns{}", prefixes.len() + 1), |(prefix, _)| (*prefix).to_owned());
        prefixes.insert(namespace.clone(), prefix);
    }
    element.children.iter().for_each(|child| collect(child, known, prefixes));
}

fn write(element: &Element, prefixes: &BTreeMap<String, String>, depth: usize, out: &mut String) {
    let qualified = |Name { namespace, local }: &Name| match namespace.as_str() {
        "" => local.clone(),
        RDF => format!("rdf:{local}"),
        XML => format!("xml:{local}"),
        other => format!("{}:{local}", prefixes[other]),
    };
    let name = qualified(&element.name);
    let indent = " ".repeat(depth);
    out.push_str(&format!("{indent}<{name}"));
    for (key, value) in &element.attributes {
        out.push_str(&format!(" {}=\"{}\"", qualified(key), escape(value.as_str())));
    }
    if element.children.is_empty() {
        if element.text.is_empty() {
            out.push_str("/>\n");
        } else {
            out.push_str(&format!(">{}</{name}>\n", escape(element.text.as_str())));
        }
        return;
    }
    out.push_str(">\n");
    element.children.iter().for_each(|child| write(child, prefixes, depth + 1, out));
    out.push_str(&format!("{indent}</{name}>\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    const DC: &str = "http://purl.org/dc/elements/1.1/";

    fn wrapped(inner: &str) -> String {
        format!(
            "<?xpacket begin='' id='W5M0'?><x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='{RDF}' xmlns:dc='{DC}'>\
             <rdf:Description rdf:about='' dc:format='image/tiff'>{inner}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>\0\0"
        )
    }

    #[test]
    fn what_was_read_is_written_and_read_again() {
        let inner = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Fish &amp; &lt;chips&gt; &#228;</rdf:li></rdf:Alt></dc:title>\
                     <my:odd xmlns:my='urn:my'>1</my:odd>";
        let found = properties(wrapped(inner).as_bytes()).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(found[0], Element::of_text(DC, "format", "image/tiff"));
        assert_eq!(found[1].children[0].children[0].text, "Fish & <chips> ä");
        let again = packet(&found, &[("dc", DC)]);
        let text = String::from_utf8(again.clone()).unwrap();
        assert!(text.contains("xmlns:dc=") && text.contains("Fish &amp; &lt;chips&gt; ä"), "{text}");
        let mut again = properties(&again).unwrap();
        // Indentation is text beside children, which nobody reads.
        let blank = |element: &mut Element| element.text = element.text.trim().to_owned();
        again.iter_mut().for_each(|one| {
            blank(one);
            one.children.iter_mut().for_each(&blank);
        });
        assert_eq!(again, found);
    }

    #[test]
    fn what_is_no_xmp_is_told_in_words() {
        let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
        for (bad, word) in [
            ("Dear Sir", "ends before"),
            ("<a></b>", "not XML"),
            ("<a>", "ends before"),
            ("<a/>", "no RDF"),
            ("<a>&evil;</a>", "entity"),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>", "document type"),
            ("<q:a/>", "prefix"),
            ("<a\"b/>", "not XML"),
            (&deep, "too deep"),
        ] {
            let told = properties(bad.as_bytes()).unwrap_err();
            assert!(told.contains(word), "{bad}: {told}");
        }
        assert!(properties(b"\xFF\xFE<\0").unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn control_characters_never_come_out() {
        let found = properties(wrapped("<dc:source>a\u{1}b&#2;c\u{FFFE}d\u{7F}</dc:source>").as_bytes());
        // A reference to a forbidden character may be refused as well as dropped.
        if let Ok(found) = found {
            assert_eq!(found[1].text, "abcd");
        }
        let text = String::from_utf8(packet(&[Element::of_text(DC, "source", "x\u{0}\u{1B}[31m")], &[])).unwrap();
        assert!(text.contains(">x[31m<"), "{text}");
    }
}
