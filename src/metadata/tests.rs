//! What a curator finds in a derivative's metadata.

mod well_formed;

use ::exif::{Context, In, Tag, Value};

use super::*;
use crate::digest::Digest;

const DC: &str = "http://purl.org/dc/elements/1.1/";

fn origin() -> Origin<'static> {
    Origin {
        file_name: "plate 12.tif",
        source_sha256: Digest::of(b"scan"),
        recipe_sha256: Digest::of(b"recipe"),
        job: Some(7),
        made_at: "2026-11-30T12:00:00Z",
        software: "autochrome 0.1.0",
        model: "ddcolor-starter",
        model_sha256: Digest::of(b"weights"),
        precision: "fp16",
        scene: "portrait",
        media_type: "image/jpeg",
        size: (600, 400),
        dpi: Some((600.0, 600.0)),
        turned: false,
        is_srgb: true,
    }
}

const ROOM: Room = Room { exif: ExifForm::LumaBlock(65_000), iptc: 65_000, xmp: 65_000 };

fn packet(inner: &str) -> Vec<u8> {
    format!(
        "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>\
         <rdf:Description rdf:about='' xmlns:dc='{DC}' xmlns:xmp='http://ns.adobe.com/xap/1.0/' xmlns:exif='http://ns.adobe.com/exif/1.0/' \
         xmlns:tiff='http://ns.adobe.com/tiff/1.0/' xmlns:xmpMM='http://ns.adobe.com/xap/1.0/mm/' \
         xmlns:stEvt='http://ns.adobe.com/xap/1.0/sType/ResourceEvent#' xmlns:museum='urn:museum' \
         xmlns:Iptc4xmpExt='http://iptc.org/std/Iptc4xmpExt/2008-02-29/'>{inner}</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    .into_bytes()
}

fn xmp_of(found: &Found, origin: &Origin<'_>, policy: Policy, room: Room) -> (String, Vec<String>) {
    let (carried, account) = carry(found, origin, policy, room);
    let packet = carried.xmp.unwrap();
    assert!(packet.len() <= room.xmp && rdf::properties(&packet).is_ok());
    well_formed::require(&packet).unwrap();
    (String::from_utf8(packet).unwrap(), account.dropped)
}

#[test]
fn captions_and_a_museums_own_words_stay_and_the_old_files_description_goes() {
    let inner = "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>Börse &amp; Markt</rdf:li></rdf:Alt></dc:title><museum:shelf>A 12</museum:shelf>\
                 <xmp:CreatorTool>SilverFast</xmp:CreatorTool><tiff:Orientation>6</tiff:Orientation><tiff:Artist>Evans</tiff:Artist>\
                 <xmp:Thumbnails><rdf:Alt><rdf:li>AAAA</rdf:li></rdf:Alt></xmp:Thumbnails>\
                 <Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/print</Iptc4xmpExt:DigitalSourceType>\
                 <xmpMM:DocumentID>xmp.did:scan</xmpMM:DocumentID><xmpMM:History><rdf:Seq><rdf:li stEvt:action='created'/></rdf:Seq></xmpMM:History>";
    let found = Found { xmp: Some(packet(inner)), ..Found::default() };
    let (text, dropped) = xmp_of(&found, &origin(), Policy::default(), ROOM);
    for there in [
        "Börse &amp; Markt",
        ">A 12<",
        "<tiff:Artist>Evans<",
        "<xmp:CreatorTool>autochrome 0.1.0<",
        "digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
        "<Iptc4xmpExt:AISystemUsed>DDColor",
        "<stRef:documentID>xmp.did:scan<",
        "<xmpMM:OriginalDocumentID>xmp.did:scan<",
        "<stRef:filePath>plate 12.tif<",
        "stEvt:action=\"created\"",
        "<stEvt:action>derived<",
        "<autochrome:jobId>7<",
        &format!("<autochrome:sourceSha256>{}<", Digest::of(b"scan")),
    ] {
        assert!(text.contains(there), "{there} in {text}");
    }
    for gone in ["SilverFast", "Orientation", "AAAA", "digitalsourcetype/print", "<xmpMM:DocumentID>xmp.did:scan"] {
        assert!(!text.contains(gone), "{gone} in {text}");
    }
    assert_eq!(dropped, ["XMP's xmp:Thumbnails"]);
}

#[test]
fn a_packet_that_is_none_is_named_and_the_derivative_has_its_own() {
    let found = Found { xmp: Some(b"<x:xmpmeta".to_vec()), ..Found::default() };
    let (text, dropped) = xmp_of(&found, &origin(), Policy::default(), ROOM);
    assert!(
        text.contains("AISystemUsed") && dropped.len() == 1 && dropped[0].starts_with("the XMP packet: it is not XML"),
        "{dropped:?}"
    );
}

#[test]
fn the_place_is_left_out_when_asked() {
    let gps = Field { tag: Tag(Context::Gps, 2), ifd_num: In::PRIMARY, value: Value::Short(vec![1]) };
    let artist = field(Directory::Picture, 0x013B, text("Evans"));
    let inner = "<exif:GPSLatitude>52,31N</exif:GPSLatitude><dc:source>s</dc:source>";
    let found = Found { xmp: Some(packet(inner)), exif: vec![gps.clone(), artist], ..Found::default() };
    let strip = Policy { strip_gps: true, ..Policy::default() };
    let (stripped, account) = carry(&found, &origin(), strip, ROOM);
    assert!(!stripped.exif.iter().any(|one| one.tag == gps.tag) && stripped.exif.iter().any(|one| one.tag == Tag::Artist));
    assert!(!String::from_utf8(stripped.xmp.unwrap()).unwrap().contains("GPS") && account.exif_fields == 1);
    let (whole, account) = carry(&found, &origin(), Policy::default(), ROOM);
    assert!(String::from_utf8(whole.xmp.unwrap()).unwrap().contains("52,31N") && account.exif_fields == 2);
}

#[test]
fn faces_are_not_marked_on_a_turned_picture() {
    let inner = "<r:Regions xmlns:r='http://www.metadataworkinggroup.com/schemas/regions/'><rdf:Bag><rdf:li>x</rdf:li></rdf:Bag></r:Regions>";
    let found = Found { xmp: Some(packet(inner)), ..Found::default() };
    let (turned, dropped) = xmp_of(&found, &Origin { turned: true, ..origin() }, Policy::default(), ROOM);
    assert!(!turned.contains("Regions") && dropped == ["XMP's mwg-rs:Regions"], "{dropped:?}");
    assert!(xmp_of(&found, &origin(), Policy::default(), ROOM).0.contains("mwg-rs:Regions"));
}

#[test]
fn what_does_not_fit_is_left_out_longest_first_and_named() {
    let inner = format!("<dc:description>{}</dc:description><museum:shelf>A 12</museum:shelf>", "x".repeat(70_000));
    let artist = field(Directory::Picture, 0x013B, text("Evans"));
    let caption = field(Directory::Picture, 0x010E, text(&"y".repeat(30_000)));
    let iptc = [&[0x1C, 2, 120, 0x40, 0][..], &[b'z'; 0x4000]].concat();
    let found = Found { xmp: Some(packet(&inner)), exif: vec![caption, artist], iptc: Some(iptc), ..Found::default() };
    let (carried, account) =
        carry(&found, &origin(), Policy::default(), Room { exif: ExifForm::Block(20_000), iptc: 1000, xmp: 65_000 });
    let text = String::from_utf8(carried.xmp.unwrap()).unwrap();
    assert!(!text.contains("xxx") && text.contains("A 12"));
    let block = ::exif::Reader::new().read_raw(carried.exif_block).unwrap();
    assert!(block.get_field(Tag::Artist, In::PRIMARY).is_some() && block.get_field(Tag::ImageDescription, In::PRIMARY).is_none());
    assert_eq!(carried.iptc, None);
    let named = |word: &str| account.dropped.iter().any(|one| one.contains(word));
    assert!(named("dc:description") && named("ImageDescription") && named("IPTC-IIM"), "{:?}", account.dropped);
}

#[test]
fn thumbnails_makers_notes_and_control_characters_stay_behind() {
    let at = |tag, ifd_num, value| Field { tag, ifd_num, value };
    let found = Found {
        exif: vec![
            at(Tag::Make, In::PRIMARY, text("Linhof\u{1B}[31m\0")),
            at(Tag::Make, In::THUMBNAIL, text("x")),
            at(Tag::MakerNote, In::PRIMARY, Value::Undefined(vec![1; 5000], 0)),
            at(Tag::UserComment, In::PRIMARY, Value::Undefined(vec![1; 5000], 0)),
            at(Tag::DateTimeOriginal, In::PRIMARY, text("1908:05:01 12:00:00")),
            at(Tag::Orientation, In::PRIMARY, Value::Short(vec![6])),
        ],
        ..Found::default()
    };
    let (carried, account) = carry(&found, &origin(), Policy::default(), ROOM);
    assert_eq!(account.exif_fields, 2);
    let block = ::exif::Reader::new().read_raw(carried.exif_block).unwrap();
    let shown = |tag| block.get_field(tag, In::PRIMARY).unwrap().display_value().to_string();
    assert_eq!((shown(Tag::Make), shown(Tag::DateTimeOriginal)), ("\"Linhof[31m\"".to_owned(), "1908-05-01 12:00:00".to_owned()));
    assert_eq!(
        (shown(Tag::Orientation), shown(Tag::XResolution)),
        ("row 0 at top and column 0 at left".to_owned(), "600".to_owned())
    );
    assert!(block.fields().all(|field| field.ifd_num == In::PRIMARY));
    let words = account.dropped.join("; ");
    assert!(
        words.contains("maker's note") && words.contains("thumbnail") && words.contains("UserComment of 5000 bytes"),
        "{words}"
    );
}

#[test]
fn the_same_scan_recipe_and_format_have_the_same_identity() {
    let id = |origin: &Origin<'_>| {
        let text = xmp_of(&Found::default(), origin, Policy::default(), ROOM).0;
        text.split("<xmpMM:DocumentID>").nth(1).unwrap()[..44].to_owned()
    };
    assert_eq!(id(&origin()), id(&Origin { made_at: "2027-01-01T00:00:00Z", ..origin() }));
    assert_ne!(id(&origin()), id(&Origin { media_type: "image/tiff", ..origin() }));
}

#[test]
fn a_history_of_years_gives_way_before_a_caption_does() {
    let event = format!(
        "<rdf:li rdf:parseType='Resource'><stEvt:action>saved</stEvt:action><stEvt:changed>{}</stEvt:changed></rdf:li>",
        "x".repeat(300)
    );
    let inner = format!("<dc:source>a shelf</dc:source><xmpMM:History><rdf:Seq>{}</rdf:Seq></xmpMM:History>", event.repeat(400));
    let found = Found { xmp: Some(packet(&inner)), ..Found::default() };
    let (text, dropped) = xmp_of(&found, &origin(), Policy::default(), ROOM);
    assert!(text.contains("a shelf") && text.contains("<stEvt:action>saved<") && text.contains("<stEvt:action>derived<"));
    assert!(dropped.len() == 1 && dropped[0].contains("events of XMP's history"), "{dropped:?}");
}

#[test]
fn a_place_in_an_attribute_is_a_place_too() {
    let inner = "<museum:shown><rdf:Bag><rdf:li exif:GPSLatitude='52,31N' museum:name='Berlin'/></rdf:Bag></museum:shown>";
    let found = Found { xmp: Some(packet(inner)), ..Found::default() };
    let strip = Policy { strip_gps: true, ..Policy::default() };
    let (text, dropped) = xmp_of(&found, &origin(), strip, ROOM);
    assert!(!text.contains("52,31N") && text.contains("Berlin") && dropped.len() == 1, "{text} {dropped:?}");
}

#[test]
fn very_many_properties_are_fitted_without_delay() {
    let inner: String = (0..15_000).map(|index| format!("<museum:p{index}>{index}</museum:p{index}>")).collect();
    let found = Found { xmp: Some(packet(&inner)), ..Found::default() };
    let (text, dropped) = xmp_of(&found, &origin(), Policy::default(), ROOM);
    assert!(text.contains("AISystemUsed") && dropped.len() == 61 && dropped[60].ends_with("more"), "{}", dropped.len());
}

#[test]
fn an_editors_copyright_does_not_become_the_photographers() {
    let pair = Value::Ascii(vec![b" ".to_vec(), b"Library".to_vec()]);
    let found = Found { exif: vec![field(Directory::Picture, 0x8298, pair.clone())], ..Found::default() };
    let (carried, _) = carry(&found, &origin(), Policy::default(), ROOM);
    let copyright = carried.exif.iter().find(|field| field.tag == Tag::Copyright).unwrap();
    assert_eq!(format!("{:?}", copyright.value), format!("{pair:?}"));
}

#[test]
fn whatever_stands_in_a_scans_packet_the_derivatives_is_well_formed() {
    // {} are the places where something may stand: prefixes, namespaces, names, values, languages, text.
    const PLACES: &str = "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' \
        xmlns:dc='http://purl.org/dc/elements/1.1/' xmlns:xmpMM='http://ns.adobe.com/xap/1.0/mm/'>\
        <rdf:Description rdf:about='{}' xmlns:q='http://q{}/' xmlns:r{}='urn:r' xmlns:s='{}' q:a{}='{}' s:b='1' q:b='2'>\
        <dc:title><rdf:Alt><rdf:li xml:lang='x{}' q:c='{}' s:c=''>t{}</rdf:li></rdf:Alt></dc:title>\
        <q:d rdf:resource='{}'>{}<![CDATA[{}]]></q:d><s:{} s:e='{}'/><{}/>\
        <xmpMM:DocumentID>id{}</xmpMM:DocumentID><xmpMM:History><rdf:Seq><rdf:li s:action='{}' q:f='g'/></rdf:Seq></xmpMM:History>\
        <dc:source s:h='{}'>end{}</dc:source></rdf:Description></rdf:RDF></x:xmpmeta>";
    const HOSTILE: &[&str] = &[
        "\u{0}",
        "\u{1}",
        "\u{B}",
        "\u{1B}[2J",
        "\u{7F}",
        "\u{85}",
        "\u{FFFE}",
        "\u{FFFF}",
        "\u{FDD0}",
        "\u{10FFFF}",
        "\u{202E}",
        "\u{345}",
        "\u{24B6}",
        "\u{E01}\u{E31}",
        "é",
        "中",
        "&#1;",
        "&#xFFFF;",
        "&#65;",
        "&amp;",
        "&lt;",
        "&",
        "<",
        ">",
        "]]>",
        "\"",
        "\t\n",
        " ",
        ":",
        "/",
        "http://www.w3.org/2000/xmlns/",
        "http://www.w3.org/XML/1998/namespace",
        "http://q/",
        "1",
        "-",
        "xmlns",
        "xml",
        "urn:r",
    ];
    let mut random = fastrand::Rng::with_seed(2);
    let places: Vec<&str> = PLACES.split("{}").collect();
    let (mut read, mut left_out) = (0, 0);
    for _ in 0..6000 {
        let mut packet = Vec::new();
        for place in &places {
            packet.extend(place.as_bytes());
            match random.u8(..30) {
                0 => packet.extend((0..random.u8(1..4)).map(|_| random.u8(..))),
                1 | 2 => packet.extend(random.choice(HOSTILE).unwrap().as_bytes()),
                3 => packet.extend(random.char('\u{0}'..='\u{10FFFF}').to_string().as_bytes()),
                // Most places must be sound, or nothing is read at all; this also closes the element without a name.
                _ => packet.push(b'k'),
            }
        }
        packet.pop();
        let shown = String::from_utf8_lossy(&packet).escape_debug().to_string();
        let found = Found { xmp: Some(packet), ..Found::default() };
        let (carried, account) = carry(&found, &origin(), Policy::default(), ROOM);
        let packet = carried.xmp.unwrap();
        let told = well_formed::require(&packet);
        assert!(told.is_ok(), "{told:?} in {} of {shown}", String::from_utf8_lossy(&packet));
        assert!(String::from_utf8_lossy(&packet).contains("<Iptc4xmpExt:DigitalSourceType>"));
        let words = account.dropped.join("; ");
        assert!(!words.chars().any(|letter| letter.is_control() && !matches!(letter, '\t' | '\n' | '\r')), "{words:?}");
        read += usize::from(!words.contains("the XMP packet"));
        left_out += usize::from(words.contains("XML does not allow"));
    }
    assert!(read > 1000 && left_out > 100, "{read} were read and of {left_out} something was left out");
}

#[test]
fn what_stands_in_a_namespace_with_forbidden_characters_is_left_out_by_name() {
    let inner = "<q:shelf xmlns:q='http://q\u{1}q/'>A 12</q:shelf><dc:source q:row='3' xmlns:q='http://q\u{FFFF}/'>kept</dc:source>\
                 <r:shelf xmlns:r='http://r/?a=1&amp;b=2'>B 7</r:shelf>";
    let found = Found { xmp: Some(packet(inner)), ..Found::default() };
    let (text, dropped) = xmp_of(&found, &origin(), Policy::default(), ROOM);
    assert!(!text.contains("A 12") && text.contains(">kept<") && text.contains("B 7"), "{text}");
    assert!(text.contains("\"http://r/?a=1&amp;b=2\"") && !text.contains("amp;amp;"), "{text}");
    assert!(
        dropped.len() == 2 && dropped[0].contains(":shelf") && dropped[1].starts_with("parts of XMP's dc:source"),
        "{dropped:?}"
    );
}

/// Readers that put a mark between namespace and name refuse the whole packet for one that has it.
#[test]
fn a_namespace_that_is_no_uri_is_left_out_by_name() {
    for namespace in ["urn:with space", "urn:with}brace", "http://r/\n?a"] {
        let inner = format!(
            "<q:shelf xmlns:q='{namespace}'>A 12</q:shelf><r:shelf xmlns:r='http://münchen/|'>C</r:shelf><s:shelf xmlns:s='http://münchen/'>B 7</s:shelf>"
        );
        let found = Found { xmp: Some(packet(&inner)), ..Found::default() };
        let (text, dropped) = xmp_of(&found, &origin(), Policy::default(), ROOM);
        assert!(!text.contains("A 12") && text.contains("B 7"), "{namespace:?}: {text}");
        assert_eq!(dropped.len(), 2, "{namespace:?}: {dropped:?}");
    }
}

#[test]
fn a_slash_more_or_less_makes_no_second_word_on_where_the_picture_comes_from() {
    for namespace in [
        "http://iptc.org/std/Iptc4xmpExt/2008-02-29",
        "https://iptc.org/std/Iptc4xmpExt/2008-02-29/",
        "http://iptc.org/std/Iptc4xmpExt/2008-02-29//",
        "http://iptc.org/std/Iptc4xmpExt/2008-02-29#",
        "http://iptc.org/std/Iptc4xmpExt/2008-02-2&#57;",
    ] {
        let inner = format!(
            "<e:DigitalSourceType xmlns:e='{namespace}'>http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture</e:DigitalSourceType>\
             <e:AISystemUsed xmlns:e='{namespace}'>none</e:AISystemUsed><e:Event xmlns:e='{namespace}'>a fair</e:Event>\
             <m:DocumentID xmlns:m='https://ns.adobe.com/xap/1.0/mm'>xmp.did:scan</m:DocumentID>"
        );
        let found = Found { xmp: Some(packet(&inner)), ..Found::default() };
        let (text, dropped) = xmp_of(&found, &origin(), Policy::default(), ROOM);
        assert!(!text.contains("digitalCapture") && !text.contains(">none<") && text.contains("a fair"), "{namespace}: {text}");
        assert_eq!(text.matches(":DigitalSourceType>").count(), 2, "one element: {text}");
        assert!(text.contains("<stRef:documentID>xmp.did:scan<") && dropped.is_empty(), "{text} {dropped:?}");
    }
}

#[test]
fn coordinates_of_whatever_vocabulary_are_a_place() {
    let spaces = "xmlns:d='http://www.dji.com/drone-dji/1.0/' xmlns:geo='http://www.w3.org/2003/01/geo/wgs84_pos#' \
                  xmlns:geo2='https://www.w3.org/2003/01/geo/wgs84_pos' xmlns:rss='http://www.georss.org/georss'";
    let inner = format!(
        "<d:GpsLatitude {spaces}>+52.51</d:GpsLatitude><d:GpsLongitude {spaces}>+52.52</d:GpsLongitude>\
         <d:AbsoluteAltitude {spaces}>+52.53</d:AbsoluteAltitude><d:RelativeAltitude {spaces}>+52.54</d:RelativeAltitude>\
         <geo:lat {spaces}>52.55</geo:lat><geo2:long {spaces}>52.56</geo2:long><rss:point {spaces}>52.57 13.4</rss:point>\
         <museum:gpsposition>52.58</museum:gpsposition><museum:siteLongitude>52.59</museum:siteLongitude>\
         <Iptc4xmpExt:LocationCreated><rdf:Bag><rdf:li geo:lat='52.60' {spaces} rdf:parseType='Resource'>\
         <Iptc4xmpExt:City>Berlin</Iptc4xmpExt:City><exif:GPSLatitude>52,61N</exif:GPSLatitude></rdf:li></rdf:Bag></Iptc4xmpExt:LocationCreated>\
         <xmpMM:History><rdf:Seq><rdf:li stEvt:action='saved' exif:GPSLatitude='52,62N'/></rdf:Seq></xmpMM:History><d:Model {spaces}>M3</d:Model>"
    );
    let found = Found { xmp: Some(packet(&inner)), ..Found::default() };
    let (text, dropped) = xmp_of(&found, &origin(), Policy { strip_gps: true, ..Policy::default() }, ROOM);
    assert!(!text.contains("52."), "{text}");
    assert!(!text.contains("52,") && text.contains("Berlin") && text.contains(">M3<"), "{text}");
    assert_eq!(dropped, ["the place of XMP's GPS, as the collection asks"]);
    let (whole, dropped) = xmp_of(&found, &origin(), Policy::default(), ROOM);
    assert!(whole.contains("52.51") && whole.contains("52.57") && dropped.is_empty(), "{whole} {dropped:?}");
}
