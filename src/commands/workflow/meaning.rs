//! What the nodes of a workflow mean here. Pure: graph in, settings or objections out.
//!
//! `DDColor_Colorize` as its authors publish it (kijai/ComfyUI-DDColor): inputs `model_input_size` and `checkpoint`, the picture squashed to
//! a square, FP32, chroma enlarged to its nearest neighbour: what `network.preprocessing = "parity"` does. Of `DDColor-ddcolorize` no
//! source is known; it is taken for the same node, with a precision beside.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::graph::{Graph, Mode, Node};
use crate::inference::Precision;

/// Sides that heights of the configuration may have, pixels.
const SIDES: std::ops::RangeInclusive<u64> = 32..=4096;

/// What one colour node is set to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Setup {
    /// The checkpoint as the workflow names it, if it names one.
    pub(super) checkpoint: Option<String>,
    /// Side of the square that the network sees, pixels.
    pub(super) side: Option<u32>,
    /// Number format.
    pub(super) precision: Option<Precision>,
}

/// What a node is here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Role {
    Load,
    Grey,
    Colour(Setup),
    Save,
    /// It changes nothing that is saved.
    Aside,
}

/// What a whole workflow is here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    /// A line for every node.
    pub(super) told: Vec<String>,
    /// Why no settings here would do the same; empty when some do.
    pub(super) objections: Vec<String>,
    /// One for every way from a load to a save that differs from the others.
    pub(super) setups: Vec<Setup>,
}

/// Understands a workflow as far as it can be.
pub(super) fn understand(graph: &Graph) -> Meaning {
    let of_kind = |kind: &str| {
        let found = graph.nodes.iter().enumerate().filter(|(_, node)| node.kind == kind);
        found.map(|(place, _)| place).collect::<Vec<_>>()
    };
    let saves = of_kind("SaveImage");
    let counts = graph.ancestors(saves.iter().copied());
    let loaded = graph.descendants(of_kind("LoadImage"));
    let mut meaning = Meaning::default();
    let mut roles = BTreeMap::new();
    for (place, node) in graph.nodes.iter().enumerate() {
        match role(node, counts.contains(&place)) {
            Ok((role, told)) => {
                meaning.told.push(format!("{}: {told}", named(node)));
                roles.insert(place, role);
            }
            Err(objection) => meaning.objections.push(format!("{}: {objection}", named(node))),
        }
    }
    let is_saved = |save: &&usize| graph.nodes[**save].mode == Mode::Works;
    for &save in saves.iter().filter(is_saved) {
        if !loaded.contains(&save) {
            meaning.objections.push(format!("{}: nothing that is loaded reaches it", named(&graph.nodes[save])));
            continue;
        }
        way(graph, &roles, save, &mut meaning);
    }
    if saves.iter().filter(is_saved).count() == 0 {
        meaning.objections.push("no SaveImage node: nothing comes out of it".to_owned());
    }
    meaning
}

/// What lies between what is loaded and one save.
fn way(graph: &Graph, roles: &BTreeMap<usize, Role>, save: usize, meaning: &mut Meaning) {
    let before = graph.ancestors([save]);
    let colours: BTreeSet<usize> =
        before.iter().copied().filter(|place| matches!(roles.get(place), Some(Role::Colour(_)))).collect();
    let loads = before.iter().filter(|place| matches!(roles.get(place), Some(Role::Load))).count();
    let save = named(&graph.nodes[save]);
    let one = match colours.first() {
        Some(place) if colours.len() == 1 => place,
        // A colour node that was not understood has been named already.
        None if before.iter().any(|place| !roles.contains_key(place)) => return,
        None => return meaning.objections.push(format!("{save}: no DDColor node colours what it saves")),
        Some(_) => {
            let names: Vec<_> = colours.iter().map(|&place| named(&graph.nodes[place])).collect();
            return meaning.objections.push(format!("{save}: coloured {} times ({})", names.len(), names.join(", ")));
        }
    };
    // A grey copy made after colouring would be saved grey.
    let after = graph.descendants([*one]);
    let greyed = before.iter().find(|place| after.contains(place) && roles.get(place) == Some(&Role::Grey));
    if let Some(&place) = greyed {
        meaning.objections.push(format!("{}: takes the colours away again", named(&graph.nodes[place])));
    }
    if loads > 1 {
        meaning.objections.push(format!("{save}: is made of {loads} pictures"));
    }
    if let Some(Role::Colour(setup)) = roles.get(one)
        && !meaning.setups.contains(setup)
    {
        meaning.setups.push(setup.clone());
    }
}

/// What a node is here and what to tell of it, or why it cannot be had. `counts`: something that is saved depends on it.
fn role(node: &Node, counts: bool) -> Result<(Role, String), String> {
    let told = |role, text: &str| Ok((role, text.to_owned()));
    match (node.mode, node.kind.as_str()) {
        (Mode::Bypassed, _) => return told(Role::Aside, "switched off (bypassed), so it changes nothing"),
        (Mode::Muted, _) if counts && node.kind != "SaveImage" => return Err("is muted, so nothing comes after it".to_owned()),
        (Mode::Muted, _) => return told(Role::Aside, "muted, so it does nothing"),
        (Mode::Works, "LoadImage") => return told(Role::Load, "the scan; here every scan of the ingest root"),
        (Mode::Works, "SaveImage") => return told(Role::Save, "the derivative, a PNG; here with a record beside it"),
        (Mode::Works, "Reroute") => return told(Role::Aside, "passes on what comes in"),
        (Mode::Works, "ConvertToGrayscale") => {
            return told(Role::Grey, "no setting: the networks always see the scan's lightness");
        }
        (Mode::Works, "DDColor_Colorize" | "DDColor-ddcolorize") => {}
        (Mode::Works, _) if counts => return Err("is not known, and what is saved depends on it".to_owned()),
        (Mode::Works, _) => return told(Role::Aside, "not known; nothing that is saved depends on it"),
    }
    let setup = setup(node)?;
    let mut text = "colours".to_owned();
    text.push_str(&setup.checkpoint.as_ref().map_or_else(String::new, |checkpoint| format!(" with {}", clipped(checkpoint))));
    text.push_str(&setup.side.map_or_else(String::new, |side| format!(", squashed to {side}x{side}")));
    text.push_str(&setup.precision.map_or_else(String::new, |precision| format!(", in {precision}")));
    Ok((Role::Colour(setup), text))
}

/// Reads a colour node's settings: by name where they have one, else each by what it looks like.
fn setup(node: &Node) -> Result<Setup, String> {
    let mut setup = Setup::default();
    for (name, value) in &node.named {
        match name.as_str() {
            "model_input_size" | "input_size" | "size" => setup.side = Some(side(value)?),
            "checkpoint" | "model" | "ckpt_name" => {
                setup.checkpoint = Some(value.as_str().ok_or_else(|| format!("its {name} is no text"))?.to_owned());
            }
            "precision" | "dtype" => setup.precision = Some(precision(value).ok_or_else(|| no_precision(value))?),
            _ => return Err(format!("its setting {} is not known", clipped(name))),
        }
    }
    for value in &node.listed {
        match value {
            Value::Number(_) if setup.side.is_none() => setup.side = Some(side(value)?),
            Value::String(_) if precision(value).is_some() && setup.precision.is_none() => setup.precision = precision(value),
            Value::String(text) if setup.checkpoint.is_none() && precision(value).is_none() => {
                setup.checkpoint = Some(text.clone());
            }
            _ => return Err(format!("its setting {} is not known", clipped(&value.to_string()))),
        }
    }
    if node.kind == "DDColor_Colorize" {
        // Its own defaults.
        setup.side.get_or_insert(512);
        setup.checkpoint.get_or_insert_with(|| "ddcolor_paper.pth".to_owned());
        setup.precision.get_or_insert(Precision::Fp32);
    }
    if let Some(checkpoint) = &setup.checkpoint
        && model_id(checkpoint).is_none()
    {
        return Err(format!("its model {} is no file's name", clipped(checkpoint)));
    }
    Ok(setup)
}

fn side(value: &Value) -> Result<u32, String> {
    let side = value.as_u64().filter(|side| SIDES.contains(side) && side.is_multiple_of(32));
    let side = side.and_then(|side| u32::try_from(side).ok());
    side.ok_or_else(|| {
        let (least, most) = (SIDES.start(), SIDES.end());
        format!(
            "its size {} is no multiple of 32 from {least} to {most}, which is what a network here can have",
            clipped(&value.to_string())
        )
    })
}

fn precision(value: &Value) -> Option<Precision> {
    match value.as_str()? {
        "fp16" | "float16" => Some(Precision::Fp16),
        "fp32" | "float32" => Some(Precision::Fp32),
        _ => None,
    }
}

fn no_precision(value: &Value) -> String {
    format!("its precision {} is neither fp16 nor fp32", clipped(&value.to_string()))
}

/// The id under which this checkpoint would be in the catalogue: `ddcolor_paper.pth` is `ddcolor-paper`.
pub(super) fn model_id(checkpoint: &str) -> Option<String> {
    let name = checkpoint.rsplit(['/', '\\']).next().unwrap_or(checkpoint);
    let endings = [".pth", ".pt", ".safetensors", ".onnx", ".bin", ".ckpt"];
    let stem = endings.iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    let letter = |character: char| if character.is_ascii_alphanumeric() { character.to_ascii_lowercase() } else { '-' };
    let id: String = stem.chars().take(64).map(letter).collect();
    let id = id.trim_matches('-').to_owned();
    (!id.is_empty()).then_some(id)
}

/// `node 4 (ImageScaleBy)`, short whatever the file says.
fn named(node: &Node) -> String {
    format!("node {} ({})", clipped(&node.id), clipped(&node.kind))
}

/// Text of a file that anybody may have written, as it goes into a line.
pub(super) fn clipped(text: &str) -> String {
    const MOST: usize = 80;
    let line: String = text.chars().take(MOST).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if text.chars().count() > MOST { format!("{line}…") } else { line }
}

#[cfg(test)]
mod tests;
