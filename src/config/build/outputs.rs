//! The outputs of a collection: one path, or a list of them, each written in its own way.

use std::path::PathBuf;

use super::{COLOUR_SPACE, FORMAT, PREPROCESSING, Scope};
use crate::codec::{EncodeSettings, Format, TiffCompression};
use crate::config::layers::{Collection, Entries};
use crate::config::problems::Problem;
use crate::config::settings::{OutputChoice, OutputSettings, WritingSettings};
use crate::imaging::{ColourSpace, Label};

impl<'a> Scope<'a> {
    /// The derivatives of every scan.
    pub(super) fn outputs(&self) -> Vec<OutputSettings> {
        match self.outputs {
            [] => vec![OutputSettings { path: self.path("output"), writing: self.writing() }],
            _ => self.listed().iter().map(|one| OutputSettings { path: one.path("path"), writing: one.writing() }).collect(),
        }
    }

    /// The outputs of a collection that lists them.
    pub(super) fn listed(&self) -> Vec<Scope<'a>> {
        let of = |output: &'a Collection| Scope {
            via: self.own,
            own: Some(&output.entries),
            outputs: &[],
            shown: output.shown.clone(),
            ..*self
        };
        self.outputs.iter().map(of).collect()
    }

    /// Outputs whose derivatives would have the same names.
    pub(super) fn clashes(&self) -> Vec<Problem> {
        let listed = self.listed();
        // Links count as what they lead to.
        let real = |path: PathBuf| path.canonicalize().unwrap_or(path);
        let there = listed.iter().filter(|one| one.find("path").is_some());
        let places: Vec<_> = there.map(|one| (one, real(one.path("path")), one.writing().format)).collect();
        let mut found = Vec::new();
        for (index, (one, path, format)) in places.iter().enumerate() {
            let same = |(_, other, theirs): &&(&Scope<'_>, PathBuf, OutputChoice)| {
                path == other && (format == theirs || [format, theirs].contains(&&OutputChoice::Source))
            };
            if places[..index].iter().any(|other| same(&other)) {
                let value = one.value("path").to_toml().to_string();
                let rule =
                    "an output before it has the same path and may have the same format, so both would give files the same names";
                found.push(one.problem("path", Some(value), rule));
            }
        }
        found
    }

    /// Outputs whose colour space does not go with the rest, for steps that would be too coarse or for parity: each that is written, and where none is listed the collection's own.
    pub(super) fn coarse(&self) -> Vec<Problem> {
        let listed = self.listed();
        let outputs = if listed.is_empty() { vec![self] } else { listed.iter().collect() };
        let says = |one: &&&Scope<'_>| {
            let of =
                |entries: Option<&Entries>| entries.is_some_and(|own| own.contains_key(COLOUR_SPACE) || own.contains_key(FORMAT));
            one.own.is_none() || of(one.own) || of(one.via)
        };
        let coarse = |one: &&&Scope<'_>| {
            one.text(COLOUR_SPACE) == ColourSpace::ProPhoto.word() && matches!(one.text(FORMAT), "source" | "jpeg")
        };
        let problem = |one: &Scope<'_>| {
            let rule = format!(
                "its steps are too coarse for a JPEG, so it needs {} = \"tiff\" or \"png\", not {:?}{}",
                one.name(FORMAT),
                one.text(FORMAT),
                one.by(FORMAT)
            );
            one.problem(COLOUR_SPACE, Some(format!("\"prophoto\"{}", one.by(COLOUR_SPACE))), &rule)
        };
        // The collection's own choice is judged with its preprocessing; an output may have another.
        let differs = |one: &&&Scope<'_>| {
            one.via.is_some() && one.text(PREPROCESSING) == "parity" && one.text(COLOUR_SPACE) != ColourSpace::Srgb.word()
        };
        let parity = |one: &Scope<'_>| {
            let written = one.value(COLOUR_SPACE).to_toml().to_string();
            let rule = format!("the authors' pipeline, which {} asks for, knows only \"srgb\"", one.name(PREPROCESSING));
            one.problem(COLOUR_SPACE, Some(format!("{written}{}", one.by(COLOUR_SPACE))), &rule)
        };
        let mut found: Vec<_> = outputs.iter().filter(says).filter(coarse).map(|one| problem(one)).collect();
        found.extend(outputs.iter().filter(differs).map(|one| parity(one)));
        found
    }

    /// How derivatives are written here.
    pub(super) fn writing(&self) -> WritingSettings {
        const FORMATS: &[(&str, OutputChoice)] = &[
            ("source", OutputChoice::Source),
            ("jpeg", OutputChoice::Fixed(Format::Jpeg)),
            ("png", OutputChoice::Fixed(Format::Png)),
            ("tiff", OutputChoice::Fixed(Format::Tiff)),
        ];
        const COMPRESSIONS: &[(&str, TiffCompression)] =
            &[("none", TiffCompression::None), ("lzw", TiffCompression::Lzw), ("deflate", TiffCompression::Deflate)];
        const LABELS: &[(&str, Option<Label>)] =
            &[("auto", None), ("off", Some(Label::Off)), ("corner", Some(Label::Corner)), ("strip", Some(Label::Strip))];
        let format = self.word("output.format", FORMATS);
        let max_side = Some(self.small("output.max_side")).filter(|&side| side > 0);
        WritingSettings {
            format,
            encode: EncodeSettings {
                jpeg_quality: u8::try_from(self.integer("output.jpeg_quality")).expect("the key table allows 1 to 100"),
                tiff_compression: self.word("output.tiff_compression", COMPRESSIONS),
                colour_space: self.word(COLOUR_SPACE, &ColourSpace::ALL.map(|space| (space.word(), space))),
            },
            max_side,
            label: self.word("output.label", LABELS),
        }
    }
}
