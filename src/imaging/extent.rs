//! The size of the network's copy of a scan.
//!
//! Decides sizes only; resampling and padding are done in `resample.rs` and `tensor.rs`.

use std::fmt;

use super::Size;

/// The network halves its input five times, so both sides are multiples of this.
const MULTIPLE: u32 = 32;

/// Bounds of the network's copy for one scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtentRules {
    /// Smallest height, pixels.
    pub min_height: u32,
    /// Largest height, pixels.
    pub max_height: u32,
    /// Whether smaller scans are enlarged to `min_height`.
    pub enlarge: bool,
    /// Largest area of the padded copy, pixels.
    pub max_area: u64,
}

/// Which rule decided the size; `Display` says it in words for a registrar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentRule {
    /// The height lies within the rules.
    OwnSize {
        /// Height of the scan, pixels.
        height: u32,
    },
    /// Smaller than the minimum, left alone because enlarging is off.
    NotEnlarged {
        /// Height of the scan, pixels.
        height: u32,
        /// The minimum it does not reach, pixels.
        minimum: u32,
    },
    /// Taller than the maximum.
    Reduced {
        /// Height of the scan, pixels.
        height: u32,
        /// The maximum, pixels.
        maximum: u32,
    },
    /// Smaller than the minimum.
    Enlarged {
        /// Height of the scan, pixels.
        height: u32,
        /// The minimum, pixels.
        minimum: u32,
    },
    /// So wide, or so large, that the area bound decided.
    BoundedByArea {
        /// The height the other rules asked for, pixels.
        height: u32,
        /// The height that the bound allows, pixels.
        bounded: u32,
        /// The bound, pixels.
        max_area: u64,
    },
    /// Squashed to a square, as the authors' pipeline does.
    Squashed {
        /// The square.
        size: Size,
        /// The side that was asked for, pixels.
        wanted: u32,
    },
}

impl fmt::Display for ExtentRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OwnSize { height } => write!(f, "height {height} kept, within the limits"),
            Self::NotEnlarged { height, minimum } => {
                write!(f, "height {height} kept, below the minimum {minimum} but enlarging is off")
            }
            Self::Reduced { height, maximum } => write!(f, "height {height} reduced to the maximum {maximum}"),
            Self::Enlarged { height, minimum } => write!(f, "height {height} enlarged to the minimum {minimum}"),
            Self::BoundedByArea { height, bounded, max_area } => {
                write!(f, "height {bounded} instead of {height}, to keep the area within {max_area} pixels")
            }
            Self::Squashed { size, wanted } => {
                write!(f, "parity: squashed to {size} without antialiasing, as the authors' pipeline does")?;
                if size.height == *wanted {
                    Ok(())
                } else {
                    write!(f, " (a multiple of 32 within the bounds, instead of {wanted})")
                }
            }
        }
    }
}

/// Size of the network's copy: can only be built by clamping, so nobody checks it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelExtent {
    size: Size,
    content: Size,
    rule: ExtentRule,
}

impl ModelExtent {
    /// Fits a scan into the rules: its height is brought into `min_height..=max_height`, the width follows with the aspect
    /// kept to half a pixel, and the content shrinks further while the padded area is above `max_area`.
    ///
    /// Whatever the rules say, the content is at least 1×1 and the padded size at least 32×32; so a bound below 1,024
    /// pixels counts as 1,024. A side of a very long strip that would round to nothing is one pixel. A minimum above the
    /// maximum counts as the maximum.
    pub fn clamp(scan: Size, rules: &ExtentRules) -> Self {
        let scan = Size::new(scan.width.max(1), scan.height.max(1));
        let maximum = rules.max_height.max(1);
        let minimum = rules.min_height.clamp(1, maximum);
        let (height, rule) = match scan.height {
            height if height > maximum => (maximum, ExtentRule::Reduced { height, maximum }),
            height if height >= minimum => (height, ExtentRule::OwnSize { height }),
            height if rules.enlarge => (minimum, ExtentRule::Enlarged { height, minimum }),
            height => (height, ExtentRule::NotEnlarged { height, minimum }),
        };
        let wanted = at_height(scan, height);
        let max_area = rules.max_area.max(u64::from(MULTIPLE) * u64::from(MULTIPLE));
        if padded(wanted).is_some_and(|size| size.pixels() <= max_area) {
            return Self::of(wanted, rule);
        }
        let content = within_area(scan, height, max_area);
        Self::of(content, ExtentRule::BoundedByArea { height, bounded: content.height, max_area })
    }

    /// The square that [`super::parity_input`] fills, whatever the scan's shape: its side is `max_height`, brought down to a
    /// multiple of 32 within the area, and at least 32. The authors' own default is 512.
    pub fn squashed(rules: &ExtentRules) -> Self {
        let wanted = rules.max_height;
        let bounded = u64::from(wanted).min(rules.max_area.isqrt()) as u32;
        let side = (bounded / MULTIPLE).max(1) * MULTIPLE;
        let size = Size::new(side, side);
        Self::of(size, ExtentRule::Squashed { size, wanted })
    }

    fn of(content: Size, rule: ExtentRule) -> Self {
        let size = padded(content).expect("a content within the area bound has a padded size");
        Self { size, content, rule }
    }

    /// Padded size, both sides multiples of 32.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The picture inside it, in the top left corner.
    pub const fn content(&self) -> Size {
        self.content
    }

    /// The rule that decided.
    pub const fn rule(&self) -> ExtentRule {
        self.rule
    }
}

/// The scan's shape at a height; a width that would not fit 32 bits is far beyond any area bound, so it may saturate.
fn at_height(scan: Size, height: u32) -> Size {
    let (width, scan_height) = (u64::from(scan.width) * u64::from(height), u64::from(scan.height));
    let rounded = (width + scan_height / 2) / scan_height;
    Size::new(u32::try_from(rounded).unwrap_or(u32::MAX).max(1), height)
}

/// The same by width.
fn at_width(scan: Size, width: u32) -> Size {
    let Size { width: height, height: width } = at_height(Size::new(scan.height, scan.width), width);
    Size::new(width, height)
}

/// Rounded up to multiples of 32; `None` when that passes 32 bits.
fn padded(content: Size) -> Option<Size> {
    let up = |side: u32| side.checked_next_multiple_of(MULTIPLE);
    Some(Size::new(up(content.width)?, up(content.height)?))
}

/// The largest content of the scan's shape, no taller than `height`, whose padded size fits the area.
///
/// Counted along the longer side, which has the finer steps: a strip's short side changes once in thousands.
fn within_area(scan: Size, height: u32, max_area: u64) -> Size {
    let wide = scan.width >= scan.height;
    let shape = |side: u32| if wide { at_width(scan, side) } else { at_height(scan, side) };
    let fits = |side: u32| padded(shape(side)).is_some_and(|size| size.pixels() <= max_area);
    let longest = if wide { at_height(scan, height).width } else { height };
    // A longer side never has a smaller padded area, so the largest that fits is found by halving. One pixel always fits:
    // its other side is no longer, so both pad to 32.
    let (mut inside, mut outside) = (1, longest);
    while outside - inside > 1 {
        let middle = inside + (outside - inside) / 2;
        if fits(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    shape(inside)
}

#[cfg(test)]
mod tests {
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
        assert_eq!((extent.content(), extent.size()), (Size::new(400, 460), Size::new(416, 480)));
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
    fn degenerate_pictures_still_have_an_extent() {
        for (width, height) in [(1, 5000), (5000, 1), (7, 7), (1, 1), (u32::MAX, 1), (1, u32::MAX), (u32::MAX, u32::MAX)] {
            for enlarge in [false, true] {
                let extent = ModelExtent::clamp(Size::new(width, height), &ExtentRules { enlarge, ..rules() });
                assert!(extent.content().width >= 1 && extent.content().height >= 1, "{extent:?}");
                assert!(extent.size().pixels() <= rules().max_area, "{width}×{height}: {extent:?}");
            }
        }
    }

    fn any_rules() -> impl Strategy<Value = ExtentRules> {
        (1_u32..2000, 0_u32..2000, any::<bool>(), 1024_u64..8_000_000).prop_map(|(min_height, more, enlarge, max_area)| {
            ExtentRules { min_height, max_height: min_height + more, enlarge, max_area }
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
            prop_assert!(size.width - content.width < 32 && size.height - content.height < 32);
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
}
