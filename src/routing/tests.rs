//! What facts lead to which decision.

use super::*;

const fn scores(portrait: f32, architecture: f32, other: f32) -> SceneScores {
    SceneScores { portrait, architecture, other, document: 0.0 }
}

const fn with_document(document: f32) -> SceneScores {
    SceneScores { document, ..scores(0.3, 0.1, 0.0) }
}

const fn features(chroma_residual: f32, lightness_deviation: f32) -> Features {
    Features {
        chroma_mean: 12.0,
        chroma_residual,
        coloured_share: 0.37,
        lightness_deviation,
        detail_share: 0.2,
        tinted_share: 0.0,
    }
}

#[test]
fn scenes_are_known_by_their_words() {
    for scene in Scene::ALL {
        assert_eq!(scene.to_string().parse(), Ok(scene));
    }
    let error = "landscape".parse::<Scene>().unwrap_err().to_string();
    assert_eq!(error, "\"landscape\" is no scene: expected portrait, architecture, other or document");
}

#[test]
fn the_best_score_decides() {
    let route = route(&scores(0.1, 0.83, 0.07), &RoutingRules::default());
    assert_eq!((route.scene, route.overridden), (Scene::Architecture, false));
    assert_eq!(route.reason, "best score 0.83 for architecture");
}

#[test]
fn the_collection_has_the_first_word() {
    let rules = RoutingRules { scene_override: Some(Scene::Portrait), ..RoutingRules::default() };
    let route = route(&scores(f32::NAN, 0.9, 0.1), &rules);
    assert_eq!((route.scene, route.overridden), (Scene::Portrait, true));
    assert_eq!(route.reason, "the collection fixes the scene portrait");
}

#[test]
fn an_uncertain_picture_takes_the_safe_default() {
    let route = route(&scores(0.41, 0.3, 0.29), &RoutingRules::default());
    assert_eq!(route.scene, Scene::Other);
    assert_eq!(route.reason, "uncertain: best score 0.41 for portrait is below 0.50, so the safe default");
}

#[test]
fn scores_that_are_no_numbers_take_the_safe_default() {
    for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let route = route(&scores(0.9, broken, 0.1), &RoutingRules::default());
        assert_eq!(route.scene, Scene::Other);
        assert!(route.reason.contains("not a finite number"), "{}", route.reason);
    }
}

#[test]
fn a_colour_scan_is_left_alone_with_a_reason() {
    let skip = precheck(&features(9.26, 20.0), &RoutingRules::default()).unwrap();
    let words = "already in colour: chroma of 9.3 Lab units that no single tone explains is above 2.4 (37 % of the picture is coloured); \
                 `autochrome route`, or a sidecar beside it, has this scan coloured";
    assert_eq!(skip.to_string(), words);
}

#[test]
fn a_blank_scan_is_left_alone_with_a_reason() {
    let skip = precheck(&features(0.0, 0.62), &RoutingRules::default()).unwrap();
    assert_eq!(
        skip.to_string(),
        "blank: lightness varies by 0.6 L* units, which is below 2.0; `autochrome route`, or a sidecar beside it, has this scan coloured"
    );
}

#[test]
fn a_monochrome_picture_is_not_left_alone() {
    assert_eq!(precheck(&features(1.1, 20.0), &RoutingRules::default()), None);
}

#[test]
fn a_page_is_left_alone_with_a_reason_and_a_way_out() {
    let skip = page(&with_document(0.97), &RoutingRules::default()).unwrap();
    let words = "looks like a printed or typed page (score 0.97, above 0.75): not coloured; set `scene = \"other\"` for the \
                 collection to colour it anyhow; `autochrome route`, or a sidecar beside it, has this scan coloured";
    assert_eq!(skip.to_string(), words);
}

#[test]
fn a_page_is_coloured_when_the_collection_fixes_a_scene() {
    for scene in Scene::COLOURED {
        let rules = RoutingRules { scene_override: Some(scene), ..RoutingRules::default() };
        assert_eq!(page(&with_document(1.0), &rules), None);
        assert_eq!(route(&with_document(1.0), &rules).scene, scene);
    }
}

#[test]
fn a_document_score_that_does_not_pass_leaves_the_choice_to_the_rest() {
    let rules = RoutingRules { min_score: 0.2, ..RoutingRules::default() };
    let doubtful = with_document(0.6);
    assert_eq!(page(&doubtful, &rules), None);
    assert_eq!((route(&doubtful, &rules).scene, route(&doubtful, &rules).overridden), (Scene::Portrait, false));
    let reason = route(&doubtful, &RoutingRules::default()).reason;
    assert_eq!(reason, "uncertain: best score 0.30 for portrait is below 0.50, so the safe default");
}

#[test]
fn a_threshold_of_one_leaves_no_page_alone_and_a_score_that_is_no_number_is_no_page() {
    let never = RoutingRules { document_score: 1.0, ..RoutingRules::default() };
    assert_eq!(page(&with_document(1.0), &never), None);
    for broken in [f32::NAN, f32::INFINITY] {
        assert_eq!(page(&with_document(broken), &RoutingRules::default()), None);
        assert!(route(&with_document(broken), &RoutingRules::default()).reason.contains("not a finite number"));
    }
}

#[test]
fn thresholds_come_in_a_fixed_order() {
    let names: Vec<String> = RoutingRules::default().thresholds().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["min_score", "colour_chroma", "blank_deviation", "document_score", "tinted_share", "min_side"]);
}

#[test]
fn a_scan_of_too_few_pixels_is_left_alone_whichever_side_is_short() {
    let rules = RoutingRules::default();
    for (width, height) in [(40, 30), (6000, 63), (63, 6000)] {
        let words = too_small(Size::new(width, height), &rules).unwrap().to_string();
        let fact = format!("too small: {width}x{height} pixels, at least 64 on each side are needed; ");
        assert!(words.starts_with(&fact) && words.contains("`autochrome route`"), "{words}");
    }
    assert_eq!(too_small(Size::new(64, 64), &rules), None);
    assert_eq!(too_small(Size::new(1, 1), &RoutingRules { min_side: 1, ..rules }), None);
}

#[test]
fn a_tinted_print_is_left_alone_with_a_reason_and_a_way_out() {
    let tinted = Features { tinted_share: 0.031, ..features(1.1, 20.0) };
    let words = precheck(&tinted, &RoutingRules::default()).unwrap().to_string();
    assert!(
        words.starts_with("looks hand-tinted: a print of one tone with colours of its own on 3.1 % of the picture"),
        "{words}"
    );
    assert!(words.ends_with("`autochrome route`, or a sidecar beside it, has this scan coloured"), "{words}");
    assert_eq!(precheck(&tinted, &RoutingRules { tinted_share: 1.0, ..RoutingRules::default() }), None);
}

#[test]
fn what_a_person_decided_goes_before_everything_that_is_measured() {
    let decision = Decision::new(Verdict::Scene(Scene::Portrait), "A. Weber", "a face behind glass", Origin::Command).unwrap();
    let rules = RoutingRules { scene_override: Some(Scene::Portrait), decision: Some(decision), ..RoutingRules::default() };
    assert_eq!(too_small(Size::new(9, 9), &rules), None);
    for (residual, deviation) in [(9.26, 20.0), (0.0, 0.62)] {
        assert_eq!(precheck(&features(residual, deviation), &rules), None);
    }
    assert_eq!(page(&with_document(1.0), &rules), None);
    let route = route(&with_document(1.0), &rules);
    assert_eq!((route.scene, route.overridden), (Scene::Portrait, true));
    assert_eq!(route.reason, "portrait by decision of A. Weber (command): a face behind glass");
}
