//! XMP: what of the scan's packet goes on, and what the derivative says of itself.
//!
//! Merged, not replaced: captions, rights, places and whatever a museum's own namespace holds stay. What describes the scan's file or
//! identifies it gives way to the derivative's own, and says where that comes from (xmpMM:DerivedFrom, xmpMM:History).

use std::collections::BTreeSet;

use super::origin::{Origin, Policy};
use super::rdf::{Element, Name, RDF, packet, properties};
use super::{Dropped, printable};
use crate::digest::Digest;

const DC: &str = "http://purl.org/dc/elements/1.1/";
const XMP: &str = "http://ns.adobe.com/xap/1.0/";
const MM: &str = "http://ns.adobe.com/xap/1.0/mm/";
const EVENT: &str = "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#";
const REFERENCE: &str = "http://ns.adobe.com/xap/1.0/sType/ResourceRef#";
const PHOTOSHOP: &str = "http://ns.adobe.com/photoshop/1.0/";
const TIFF: &str = "http://ns.adobe.com/tiff/1.0/";
const EXIF: &str = "http://ns.adobe.com/exif/1.0/";
const CAMERA_RAW: &str = "http://ns.adobe.com/camera-raw-settings/1.0/";
const NOTE: &str = "http://ns.adobe.com/xmp/note/";
const IPTC_EXT: &str = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/";
const REGIONS: &str = "http://www.metadataworkinggroup.com/schemas/regions/";
/// Our own: nothing standard holds digests, a recipe or a job.
pub(super) const OWN: &str = "urn:autochrome:provenance/1/";

/// W3C's vocabulary of latitude, longitude and altitude, and GeoRSS's of points and outlines.
const GEO: &str = "http://www.w3.org/2003/01/geo/wgs84_pos#";
const GEO_RSS: &str = "http://www.georss.org/georss";

/// Prefixes that people know.
const PREFIXES: &[(&str, &str)] = &[
    ("dc", DC),
    ("xmp", XMP),
    ("xmpMM", MM),
    ("stEvt", EVENT),
    ("stRef", REFERENCE),
    ("photoshop", PHOTOSHOP),
    ("tiff", TIFF),
    ("exif", EXIF),
    ("Iptc4xmpExt", IPTC_EXT),
    ("autochrome", OWN),
    ("exifEX", "http://cipa.jp/exif/1.0/"),
    ("aux", "http://ns.adobe.com/exif/1.0/aux/"),
    ("xmpRights", "http://ns.adobe.com/xap/1.0/rights/"),
    ("Iptc4xmpCore", "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"),
    ("plus", "http://ns.useplus.org/ldf/xmp/1.0/"),
    ("lr", "http://ns.adobe.com/lightroom/1.0/"),
    ("mwg-rs", REGIONS),
    ("xmpBJ", "http://ns.adobe.com/xap/1.0/bj/"),
    ("cc", "http://creativecommons.org/ns#"),
    ("crs", CAMERA_RAW),
    ("geo", GEO),
    ("georss", GEO_RSS),
];

/// What of the namespaces that describe a file's samples is said of the picture instead.
const TIFF_KEPT: &[&str] = &["Make", "Model", "Artist", "Copyright", "ImageDescription", "DateTime"];
const EXIF_DROPPED: &[&str] =
    &["PixelXDimension", "PixelYDimension", "ColorSpace", "MakerNote", "NativeDigest", "ComponentsConfiguration"];
const PHOTOSHOP_DROPPED: &[&str] = &["ICCProfile", "ColorMode", "DocumentAncestors", "TextLayers", "History"];
const XMP_REPLACED: &[&str] = &["CreatorTool", "ModifyDate", "MetadataDate"];
const IPTC_EXT_REPLACED: &[&str] =
    &["DigitalSourceType", "AISystemUsed", "AISystemVersionUsed", "AIPromptInformation", "AIPromptWriterName"];

/// How a property of the scan goes on.
enum Fate {
    Kept,
    /// Gives way to the derivative's own.
    Replaced,
    /// Would be wrong; worth a word.
    Dropped,
}

/// The namespace that is meant. Some writers leave the last slash or hash out, or write one too many, or https, and some readers take
/// that for the same: what is said of the old file must not stand there beside what is said of the derivative.
fn meant(namespace: &str) -> &str {
    fn bare(namespace: &str) -> &str {
        let rest = namespace.strip_prefix("http://").or_else(|| namespace.strip_prefix("https://"));
        rest.unwrap_or(namespace).trim_end_matches(['/', '#'])
    }
    let (known, wanted) = (PREFIXES.iter().map(|(_, known)| *known).chain([NOTE]), bare(namespace));
    known.into_iter().find(|known| bare(known) == wanted).unwrap_or(namespace)
}

/// Whether a name stands for coordinates: EXIF's and whoever else's GPS, the pilots' words of drones (AbsoluteAltitude), vocabularies
/// of places. Names of places are not meant.
fn is_place(name: &Name) -> bool {
    let local = name.local.to_ascii_lowercase();
    local.starts_with("gps")
        || local.ends_with("altitude")
        || ["latitude", "longitude"].into_iter().any(|word| local.contains(word))
        || matches!(meant(&name.namespace), GEO | GEO_RSS)
}

fn fate(name: &Name, turned: bool) -> Fate {
    let local = name.local.as_str();
    match meant(&name.namespace) {
        MM => Fate::Replaced,
        XMP if XMP_REPLACED.contains(&local) => Fate::Replaced,
        XMP if local == "Thumbnails" => Fate::Dropped,
        DC if local == "format" => Fate::Replaced,
        IPTC_EXT if IPTC_EXT_REPLACED.contains(&local) => Fate::Replaced,
        TIFF if !TIFF_KEPT.contains(&local) => Fate::Replaced,
        EXIF if EXIF_DROPPED.contains(&local) => Fate::Replaced,
        PHOTOSHOP if PHOTOSHOP_DROPPED.contains(&local) => Fate::Replaced,
        NOTE => Fate::Replaced,
        // Settings of a raw converter would be applied once more.
        CAMERA_RAW => Fate::Dropped,
        // Faces are marked by fractions of the sides, which orientation has changed.
        REGIONS if turned => Fate::Dropped,
        _ => Fate::Kept,
    }
}

/// The derivative's packet, at most `limit` bytes: where the scan's properties do not fit, the longest are left out and named.
pub(super) fn merged(found: Option<&[u8]>, origin: &Origin<'_>, policy: Policy, limit: usize, dropped: &mut Dropped) -> Vec<u8> {
    let mut scan = match found.map(properties) {
        None => Vec::new(),
        Some(Ok(properties)) => properties,
        Some(Err(why)) => {
            dropped.say(format!("the XMP packet: {why}"));
            Vec::new()
        }
    };
    require_writable(&mut scan, dropped);
    if policy.strip_gps && strip(&mut scan, &|name| !is_place(name)) {
        dropped.say("the place of XMP's GPS, as the collection asks");
    }
    let own = own(&scan, origin, policy, limit, dropped);
    let said: BTreeSet<Name> = own.iter().map(|property| property.name.clone()).collect();
    let (mut names, mut kept) = (BTreeSet::new(), Vec::new());
    for property in scan {
        match fate(&property.name, origin.turned) {
            Fate::Replaced => continue,
            Fate::Dropped => {
                dropped.say(format!("XMP's {}", shown(&property.name)));
                continue;
            }
            Fate::Kept => {}
        }
        let is_said = said.contains(&Name::new(meant(&property.name.namespace), &property.name.local));
        if !is_said && names.insert(property.name.clone()) {
            kept.push((packet(std::slice::from_ref(&property), PREFIXES).len(), property));
        }
    }
    fitted(kept, own, limit, dropped)
}

/// Leaves out whatever stands under a name that is not kept, whole properties and parts of them. Whether there was any.
fn strip(scan: &mut Vec<Element>, keeps: &impl Fn(&Name) -> bool) -> bool {
    let any = scan.iter().any(|property| property.has(&|name| !keeps(name)));
    scan.retain(|property| keeps(&property.name));
    scan.iter_mut().for_each(|property| property.prune(keeps));
    any
}

/// Leaves out what not every reader of XML would take: with it the whole packet would be unread, and the word on the machine's colour in
/// it. Such a namespace is not cleaned, because it could become another that means something.
fn require_writable(scan: &mut Vec<Element>, dropped: &mut Dropped) {
    for property in scan.iter().filter(|property| property.has(&|name| !name.is_writable())) {
        let what = if property.name.is_writable() { "parts of XMP's" } else { "XMP's" };
        dropped
            .say(format!("{what} {}: its name or namespace has characters that XML does not allow there", shown(&property.name)));
    }
    strip(scan, &Name::is_writable);
}

/// The scan's properties and the derivative's own as one packet; the longest of the scan's are left out where all do not fit.
fn fitted(mut kept: Vec<(usize, Element)>, own: Vec<Element>, limit: usize, dropped: &mut Dropped) -> Vec<u8> {
    let empty = packet(&[], PREFIXES).len();
    let mut length = packet(&own, PREFIXES).len() + kept.iter().map(|(length, _)| length - empty).sum::<usize>();
    let mut by_length: Vec<usize> = (0..kept.len()).collect();
    by_length.sort_by_key(|&index| kept[index].0);
    let mut left_out = BTreeSet::new();
    while length > limit
        && let Some(longest) = by_length.pop()
    {
        let (own_length, property) = &kept[longest];
        dropped.say(format!("XMP's {}: the packet would have been longer than {limit} bytes", shown(&property.name)));
        length -= own_length - empty;
        left_out.insert(longest);
    }
    let mut index = 0;
    kept.retain(|_| {
        index += 1;
        !left_out.contains(&(index - 1))
    });
    let all: Vec<Element> = kept.into_iter().map(|(_, property)| property).chain(own).collect();
    packet(&all, PREFIXES)
}

fn shown(name: &Name) -> String {
    let prefix = PREFIXES.iter().find(|(_, namespace)| *namespace == meant(&name.namespace)).map(|(prefix, _)| *prefix);
    format!("{}:{}", prefix.unwrap_or("(another namespace)"), printable(&name.local))
}

/// Longest identifier of a scan that is repeated, bytes.
const MAX_ID: usize = 1 << 10;

/// Whether it is this property of media management.
fn is_mm(property: &Element, local: &str) -> bool {
    meant(&property.name.namespace) == MM && property.name.local == local
}

/// What the derivative says of itself.
fn own(scan: &[Element], origin: &Origin<'_>, policy: Policy, limit: usize, dropped: &mut Dropped) -> Vec<Element> {
    let of_scan = |local: &str| {
        let found = scan.iter().find(|one| is_mm(one, local)).map(|one| one.text.trim().to_owned());
        found.filter(|id| !id.is_empty() && id.len() <= MAX_ID)
    };
    let (document, original) = (of_scan("DocumentID"), of_scan("OriginalDocumentID"));
    let instance = format!("xmp.iid:{}", identifier(origin, "instance"));
    let text = Element::of_text;
    let mut own = vec![
        text(DC, "format", origin.media_type),
        text(XMP, "CreatorTool", origin.software),
        text(XMP, "ModifyDate", origin.made_at),
        text(XMP, "MetadataDate", origin.made_at),
        text(MM, "DocumentID", &format!("xmp.did:{}", identifier(origin, "document"))),
        text(MM, "InstanceID", &instance),
    ];
    if let Some(original) = original.clone().or_else(|| document.clone()) {
        own.push(text(MM, "OriginalDocumentID", &original));
    }
    let digest = format!("sha256:{}", origin.source_sha256);
    let mut reference = vec![text(REFERENCE, "documentID", document.as_deref().unwrap_or(&digest))];
    reference.extend(original.map(|original| text(REFERENCE, "originalDocumentID", &original)));
    reference.push(text(REFERENCE, "filePath", origin.file_name));
    own.push(Element::of_fields(MM, "DerivedFrom", reference));
    own.push(history(scan, origin, &instance, limit, dropped));
    own.push(text(IPTC_EXT, "DigitalSourceType", policy.source_type.uri()));
    own.push(text(
        IPTC_EXT,
        "AISystemUsed",
        &format!("DDColor colorization network {}, run by {}", origin.model, origin.software),
    ));
    own.push(text(IPTC_EXT, "AISystemVersionUsed", &format!("weights sha256:{}", origin.model_sha256)));
    own.push(text(OWN, "sourceSha256", &origin.source_sha256.to_string()));
    own.push(text(OWN, "recipeSha256", &origin.recipe_sha256.to_string()));
    own.push(text(OWN, "modelSha256", &origin.model_sha256.to_string()));
    own.push(text(OWN, "model", origin.model));
    own.push(text(OWN, "precision", origin.precision));
    own.push(text(OWN, "scene", origin.scene));
    own.extend(origin.job.map(|job| text(OWN, "jobId", &job.to_string())));
    own
}

/// The scan's history with one more event. It may take a quarter of the packet; where it is longer, the oldest events go.
fn history(scan: &[Element], origin: &Origin<'_>, instance: &str, limit: usize, dropped: &mut Dropped) -> Element {
    let before = scan.iter().find(|one| is_mm(one, "History")).and_then(|history| history.children.first());
    let before = before.map(|before| before.children.as_slice()).unwrap_or_default();
    let mut length = 0;
    let fits = |event: &&Element| {
        length += packet(std::slice::from_ref(*event), PREFIXES).len();
        length <= limit / 4
    };
    let newest = before.iter().rev().take_while(fits).count();
    if newest < before.len() {
        dropped.say(format!("{} events of XMP's history, the oldest", before.len() - newest));
    }
    let mut sequence = Element::new(RDF, "Seq");
    sequence.children = before[before.len() - newest..].to_vec();
    let text = |local: &str, value: &str| Element::of_text(EVENT, local, value);
    let mut event = Element::of_fields(RDF, "li", Vec::new());
    event.children = vec![
        text("action", "derived"),
        text("parameters", &format!("colour invented by a trained network from {}", origin.file_name)),
        text("softwareAgent", origin.software),
        text("when", origin.made_at),
        text("instanceID", instance),
        text("changed", "/"),
    ];
    sequence.children.push(event);
    Element { children: vec![sequence], ..Element::new(MM, "History") }
}

/// The same for the same scan, recipe, kind and size of file: a UUID of version 8 (RFC 9562, 5.8) from their digest.
fn identifier(origin: &Origin<'_>, what: &str) -> String {
    let (width, height) = origin.size;
    let text = format!("{} {} {} {width}×{height} {what}", origin.source_sha256, origin.recipe_sha256, origin.media_type);
    let digest = Digest::of(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0F | 0x80;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
