//! Which workflows are understood, and what is objected to others.

use super::*;

/// A chain of API nodes: each takes what the one before gives.
fn chain(nodes: &[(&str, &str)]) -> Meaning {
    let node = |(place, (kind, settings)): (usize, &(&str, &str))| {
        let link = if place == 0 { String::new() } else { format!("\"image\": [\"{place}\", 0]") };
        let comma = if link.is_empty() || settings.is_empty() { "" } else { ", " };
        format!("\"{}\": {{\"class_type\": \"{kind}\", \"inputs\": {{{link}{comma}{settings}}}}}", place + 1)
    };
    let nodes: Vec<_> = nodes.iter().enumerate().map(node).collect();
    understand(&Graph::read(format!("{{{}}}", nodes.join(", ")).as_bytes()).unwrap())
}

const LOAD: (&str, &str) = ("LoadImage", "\"upload\": \"image\"");
const SAVE: (&str, &str) = ("SaveImage", "\"filename_prefix\": \"x\"");

#[test]
fn the_published_node_is_understood_with_its_settings_and_defaults() {
    let colour = ("DDColor_Colorize", "\"model_input_size\": 1024, \"checkpoint\": \"ddcolor_modelscope.pth\"");
    let found = chain(&[LOAD, ("ConvertToGrayscale", ""), colour, ("Reroute", ""), SAVE]);
    assert_eq!(found.objections, Vec::<String>::new());
    let checkpoint = Some("ddcolor_modelscope.pth".to_owned());
    assert_eq!(found.setups, [Setup { checkpoint, side: Some(1024), precision: Some(Precision::Fp32) }]);
    assert!(
        found.told[2].contains("node 3 (DDColor_Colorize): colours with ddcolor_modelscope.pth, squashed to 1024x1024, in fp32")
    );
    let plain = &chain(&[LOAD, ("DDColor_Colorize", ""), SAVE]).setups[0];
    assert_eq!((plain.side, plain.checkpoint.as_deref()), (Some(512), Some("ddcolor_paper.pth")));
}

#[test]
fn settings_without_names_are_known_by_what_they_look_like() {
    for (values, side, precision, checkpoint) in [
        ("[\"fp16\", 640]", Some(640), Some(Precision::Fp16), None),
        ("[\"ddcolor_artistic.pth\", 960]", Some(960), None, Some("ddcolor_artistic.pth")),
        ("[960, \"sub/ddcolor_paper_tiny.pth\", \"fp32\"]", Some(960), Some(Precision::Fp32), Some("sub/ddcolor_paper_tiny.pth")),
        ("[]", None, None, None),
    ] {
        let text = format!(
            r#"{{"nodes": [{{"id": 1, "type": "LoadImage"}}, {{"id": 2, "type": "DDColor-ddcolorize", "widgets_values": {values}}},
                {{"id": 3, "type": "SaveImage"}}], "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"]]}}"#
        );
        let found = understand(&Graph::read(text.as_bytes()).unwrap());
        assert_eq!(found.objections, Vec::<String>::new(), "{values}");
        assert_eq!(found.setups, [Setup { checkpoint: checkpoint.map(Into::into), side, precision }], "{values}");
    }
}

#[test]
fn what_is_saved_must_be_understood_and_what_is_not_saved_need_not() {
    let colour = ("DDColor_Colorize", "");
    let found = chain(&[LOAD, colour, ("ImageUpscaleWithModel", "\"x\": 1"), SAVE, ("PreviewImage", "")]);
    assert_eq!(found.objections, ["node 3 (ImageUpscaleWithModel): is not known, and what is saved depends on it"]);
    assert!(found.told.iter().any(|told| told == "node 5 (PreviewImage): not known; nothing that is saved depends on it"));
}

#[test]
fn what_cannot_be_had_here_is_objected_to_by_node_and_setting() {
    let colour = |settings: &'static str| ("DDColor_Colorize", settings);
    for (nodes, wanted) in [
        (vec![LOAD, SAVE], "node 2 (SaveImage): no DDColor node colours what it saves"),
        (vec![LOAD, colour("")], "no SaveImage node"),
        (vec![colour(""), SAVE], "node 2 (SaveImage): nothing that is loaded reaches it"),
        (vec![LOAD, colour(""), colour(""), SAVE], "node 4 (SaveImage): coloured 2 times"),
        (vec![LOAD, colour(""), ("ConvertToGrayscale", ""), SAVE], "node 3 (ConvertToGrayscale): takes the colours away"),
        (vec![LOAD, colour("\"model_input_size\": 500"), SAVE], "its size 500 is no multiple of 32"),
        (vec![LOAD, colour("\"model_input_size\": 1e300"), SAVE], "no multiple of 32"),
        (vec![LOAD, colour("\"checkpoint\": 7"), SAVE], "its checkpoint is no text"),
        (vec![LOAD, colour("\"checkpoint\": \"../..\""), SAVE], "is no file's name"),
        (vec![LOAD, colour("\"saturation\": 2"), SAVE], "its setting saturation is not known"),
        (vec![LOAD, colour("\"precision\": \"bf16\""), SAVE], "its precision \"bf16\" is neither fp16 nor fp32"),
    ] {
        let found = chain(&nodes);
        assert!(found.objections.iter().any(|one| one.contains(wanted)), "{wanted}: {:?}", found.objections);
    }
}

#[test]
fn a_bypassed_node_changes_nothing_and_a_muted_one_ends_the_way() {
    let workflow = |mode: u8| {
        let text = format!(
            r#"{{"nodes": [{{"id": 1, "type": "LoadImage"}}, {{"id": 2, "type": "Strange", "mode": {mode}}},
                {{"id": 3, "type": "DDColor_Colorize"}}, {{"id": 4, "type": "SaveImage"}}],
                "links": [[1, 1, 0, 2, 0, "IMAGE"], [2, 2, 0, 3, 0, "IMAGE"], [3, 3, 0, 4, 0, "IMAGE"]]}}"#
        );
        understand(&Graph::read(text.as_bytes()).unwrap()).objections
    };
    assert_eq!(workflow(4), Vec::<String>::new());
    assert_eq!(workflow(2), ["node 2 (Strange): is muted, so nothing comes after it"]);
    assert_eq!(workflow(0).len(), 1);
}

#[test]
fn a_checkpoint_becomes_an_id_of_the_catalogue() {
    assert_eq!(model_id("ddcolor_paper_tiny.pth").as_deref(), Some("ddcolor-paper-tiny"));
    assert_eq!(model_id("DDColor\\My Model.safetensors").as_deref(), Some("my-model"));
    assert_eq!(model_id("模型.pth"), None);
}
