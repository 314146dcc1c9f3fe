//! Sizes of the network's copy for scans of every shape.

use proptest::prelude::*;

use super::*;

fn rules() -> ExtentRules {
    ExtentRules { min_height: 460, max_height: 680, enlarge: true, max_area: 1 << 21 }
}

fn clamp(width: u32, height: u32) -> ModelExtent {
    ModelExtent::clamp(Size::new(width, height), &rules())
}

#[test]
fn a_tall_scan_is_reduced_to_the_maximum() {
    let extent = clamp(2400, 1800);
    assert_eq!((extent.content(), extent.size()), (Size::new(907, 680), Size::new(928, 704)));
    assert_eq!(extent.rule().to_string(), "height 1800 reduced to the maximum 680");
}

#[test]
fn a_small_scan_is_enlarged_only_when_asked() {
    let extent = clamp(200, 230);
    assert_eq!((extent.content(), extent.size()), (Size::new(400, 460), Size::new(480, 480)));
    assert_eq!(extent.rule().to_string(), "height 230 enlarged to the minimum 460");
    let left = ModelExtent::clamp(Size::new(200, 230), &ExtentRules { enlarge: false, ..rules() });
    assert_eq!((left.content(), left.size()), (Size::new(200, 230), Size::new(224, 256)));
    assert_eq!(left.rule().to_string(), "height 230 kept, below the minimum 460 but enlarging is off");
}

#[test]
fn a_scan_within_the_limits_keeps_its_size() {
    let extent = clamp(640, 512);
    assert_eq!((extent.content(), extent.size()), (Size::new(640, 512), Size::new(640, 512)));
    assert_eq!(extent.rule().to_string(), "height 512 kept, within the limits");
}

#[test]
fn a_panorama_is_bounded_by_area() {
    let extent = clamp(20_000, 1_000);
    assert!(extent.size().pixels() <= rules().max_area, "{extent:?}");
    assert!(extent.size().pixels() > rules().max_area * 9 / 10, "{extent:?} wastes the bound");
    let words = extent.rule().to_string();
    assert!(words.contains(" instead of 680, ") && words.ends_with("within 2097152 pixels"), "{words}");
}

#[test]
fn a_squashed_copy_is_a_square_of_the_largest_height() {
    let square = |max_height, max_area| {
        let extent = ModelExtent::squashed(&ExtentRules { max_height, max_area, ..rules() });
        assert_eq!(extent.size(), extent.content());
        (extent.size().width, extent.size().height, extent.rule().to_string())
    };
    let (width, height, words) = square(512, 1 << 21);
    assert_eq!((width, height), (512, 512));
    assert_eq!(words, "parity: squashed to 512×512 without antialiasing, as the authors' pipeline does");
    let (width, _, words) = square(680, 1 << 21);
    assert!(width == 672 && words.ends_with("instead of 680)"), "{words}");
    assert_eq!(square(1280, 1 << 20).0, 1024);
    assert_eq!(square(1, 1).0, 32);
}

#[test]
fn most_scans_share_nine_sizes() {
    // Aspects of 2,681 photographs of thirteen collections, by how many in a thousand have about that one.
    let seen =
        [(0.56, 30), (0.67, 60), (0.69, 30), (0.75, 200), (0.8, 60), (0.98, 150), (1.0, 280), (1.2, 40), (1.25, 60), (1.33, 60)];
    let seen = seen.into_iter().chain([(1.49, 60), (1.5, 100), (1.62, 20), (1.78, 50)]);
    let mut padding = 0.0;
    let mut sizes = std::collections::BTreeSet::new();
    for (aspect, share) in seen {
        let extent = clamp((3000.0 * aspect) as u32, 3000);
        padding += f64::from(share) * (1.0 - extent.content().pixels() as f64 / extent.size().pixels() as f64) / 1200.0;
        sizes.insert(extent.size().width);
    }
    assert!(padding < 0.12, "{padding} of the work is for nothing");
    assert!(sizes.len() <= 10, "{sizes:?}");
    let usual = Sizing::Bounded(rules()).usual();
    assert_eq!((usual.len(), usual[0], usual[8]), (9, Size::new(448, 704), Size::new(1184, 704)));
    let narrow = Sizing::Bounded(ExtentRules { max_area: 704 * 704, ..rules() });
    assert_eq!(narrow.usual().len(), 5, "sizes above the bound are none");
}

#[test]
fn degenerate_pictures_still_have_an_extent() {
    for (width, height) in [(1, 5000), (5000, 1), (7, 7), (1, 1), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
        for enlarge in [false, true] {
            let extent = ModelExtent::clamp(Size::new(width, height), &ExtentRules { enlarge, ..rules() });
            assert!(extent.content().width >= 1 && extent.content().height >= 1, "{extent:?}");
            assert!(extent.size().pixels() <= rules().max_area, "{width}×{height}: {extent:?}");
        }
    }
}

#[test]
fn a_network_of_one_size_gets_that_size_whatever_the_scene_says() {
    let fixed = |width, height| Sizing::Fixed { size: Size::new(96, 64), unused: rules() }.extent(Size::new(width, height));
    for (scan, content) in [
        ((960, 640), Size::new(96, 64)),
        ((100, 100), Size::new(64, 64)),
        ((4000, 500), Size::new(96, 12)),
        ((30, 20), Size::new(96, 64)),
        ((1, 5000), Size::new(1, 64)),
        ((u32::MAX, 1), Size::new(96, 1)),
    ] {
        let extent = fixed(scan.0, scan.1);
        assert_eq!((extent.size(), extent.content()), (Size::new(96, 64), content), "{scan:?}");
    }
    assert_eq!(fixed(960, 640).rule().to_string(), "fixed 96×64 by the model; height 460 to 680 of the scene does not apply");
    let one = Sizing::Fixed { size: Size::new(32, 32), unused: ExtentRules { min_height: 680, ..rules() } };
    let words = one.extent(Size::new(5, 5)).rule().to_string();
    assert_eq!(words, "fixed 32×32 by the model; height 680 of the scene does not apply");
}

fn any_rules() -> impl Strategy<Value = ExtentRules> {
    (1_u32..2000, 0_u32..2000, any::<bool>(), 1024_u64..8_000_000).prop_map(|(min_height, more, enlarge, max_area)| ExtentRules {
        min_height,
        max_height: min_height + more,
        enlarge,
        max_area,
    })
}

proptest! {
    #[test]
    fn sides_are_multiples_of_32_and_the_area_is_bounded(
        width in 1_u32..60_000, height in 1_u32..60_000, rules in any_rules(),
    ) {
        let extent = ModelExtent::clamp(Size::new(width, height), &rules);
        let (size, content) = (extent.size(), extent.content());
        prop_assert!(size.width % 32 == 0 && size.height % 32 == 0 && size.width >= 32 && size.height >= 32);
        prop_assert!(size.pixels() <= rules.max_area);
        prop_assert!(content.width >= 1 && content.height >= 1);
        prop_assert!(size.height - content.height < 32);
        let is_usual = Sizing::Bounded(rules).usual().contains(&size) || widths(rules.min_height).any(|usual| usual == size);
        prop_assert!(size.width - content.width < 32 || is_usual);
        prop_assert!(content.height <= rules.max_height);
    }

    #[test]
    fn the_aspect_is_kept_to_the_rounding_of_a_side(
        width in 1_u32..60_000, height in 1_u32..60_000, rules in any_rules(),
    ) {
        let content = ModelExtent::clamp(Size::new(width, height), &rules).content();
        let wanted_width = f64::from(content.height) * f64::from(width) / f64::from(height);
        let wanted_height = f64::from(content.width) * f64::from(height) / f64::from(width);
        let near = |side: u32, wanted: f64| (f64::from(side) - wanted.max(1.0)).abs() <= 0.5 + 1e-6;
        prop_assert!(
            near(content.width, wanted_width) || near(content.height, wanted_height),
            "{width}×{height} became {content}"
        );
    }

    #[test]
    fn a_fitted_picture_stays_inside_and_touches_a_side(
        width in 1_u32..60_000, height in 1_u32..60_000, columns in 1_u32..40, rows in 1_u32..40,
    ) {
        let size = Size::new(32 * columns, 32 * rows);
        let content = ModelExtent::fit(Size::new(width, height), size, &rules()).content();
        prop_assert!(content.width >= 1 && content.width <= size.width && content.height >= 1 && content.height <= size.height);
        prop_assert!(content.width == size.width || content.height == size.height);
    }

    #[test]
    fn a_taller_limit_never_gives_a_smaller_copy(
        width in 1_u32..20_000, height in 1_u32..20_000, rules in any_rules(), more in 0_u32..500,
    ) {
        let scan = Size::new(width, height);
        let small = ModelExtent::clamp(scan, &rules).content();
        let taller = ExtentRules { max_height: rules.max_height + more, ..rules };
        let large = ModelExtent::clamp(scan, &taller).content();
        prop_assert!(large.width >= small.width && large.height >= small.height, "{small} became {large}");
    }
}

#[test]
fn smaller_extents_stay_within_the_scenes_bounds_and_say_why() {
    let bounds = ExtentRules { min_height: 960, max_height: 1280, enlarge: true, max_area: 5 << 19 };
    let smaller = |width, height| Sizing::Bounded(bounds).smaller(Size::new(width, height));
    let square = smaller(4000, 4000);
    assert_eq!(square.iter().map(ModelExtent::content).collect::<Vec<_>>(), [Size::new(1120, 1120), Size::new(960, 960)]);
    assert_eq!(square[0].rule().to_string(), "height 1120 instead of 1280, since the device had no memory for more");
    assert!(square.iter().all(|extent| extent.size().height >= 960));
    assert!(smaller(4000, 960).is_empty(), "the smallest height already");
    assert!(smaller(300, 300).is_empty(), "enlarged to the smallest height");
    let fixed = Sizing::Fixed { size: Size::new(512, 512), unused: bounds };
    assert!(fixed.smaller(Size::new(4000, 4000)).is_empty(), "the network takes one size");
}

/// Height 480 comes to 320×480, and 460, the smallest, to one of its usual widths: no smaller.
#[test]
fn a_smaller_height_with_more_padding_is_no_smaller_extent() {
    let sizing = Sizing::Bounded(rules());
    let smaller = sizing.smaller(Size::new(314, 500));
    assert!(smaller.is_sorted_by(|one, other| one.size().pixels() > other.size().pixels()), "{smaller:?}");
}

proptest! {
    #[test]
    fn each_smaller_extent_has_fewer_pixels_than_the_one_before(width in 1..9000_u32, height in 1..9000_u32) {
        let sizing = Sizing::Bounded(rules());
        let scan = Size::new(width, height);
        let mut before = sizing.extent(scan).size().pixels();
        for extent in sizing.smaller(scan) {
            prop_assert!(extent.size().pixels() < before);
            before = extent.size().pixels();
        }
    }
}
