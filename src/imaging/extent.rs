//! The size of the network's copy of a scan.
//!
//! Decides sizes only; resampling and padding are done in `resample.rs` and `tensor.rs`.

use std::fmt;

use super::Size;

/// The network halves its input five times, so both sides are multiples of this.
const MULTIPLE: u32 = 32;

/// Aspect ratios, width by height, that the network's copies are padded to, in rising order: those of plates, prints and films.
/// A session serves one size and the card plans its convolutions for seconds when a size is new, so sizes are few.
const ASPECTS: [(u32, u32); 9] = [(3, 5), (2, 3), (3, 4), (4, 5), (1, 1), (5, 4), (4, 3), (3, 2), (5, 3)];

/// How much wider than its aspect, in hundredths, a copy may be and still share its size: scans are cut by hand.
const SLACK: u64 = 2;

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

/// What decides the size of the network's copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sizing {
    /// The scene's bounds.
    Bounded(ExtentRules),
    /// The network takes one size only.
    Fixed {
        /// That size; both sides are multiples of 32.
        size: Size,
        /// The scene's bounds, which do not apply: the record says so.
        unused: ExtentRules,
    },
}

impl Sizing {
    /// The extent of a scan's copy.
    pub fn extent(&self, scan: Size) -> ModelExtent {
        match self {
            Self::Bounded(rules) => ModelExtent::clamp(scan, rules),
            Self::Fixed { size, unused } => ModelExtent::fit(scan, *size, unused),
        }
    }

    /// Padded sizes of most scans, those that are larger than the bounds allow, in rising width.
    pub fn usual(&self) -> Vec<Size> {
        match self {
            Self::Bounded(rules) => widths(rules.max_height).filter(|size| size.pixels() <= rules.max_area).collect(),
            Self::Fixed { size, .. } => vec![*size],
        }
    }

    /// Smaller extents of the same scan within the same bounds, the largest first: for a device that has no memory for
    /// [`Sizing::extent`]. Halfway to the smallest height, and the smallest height; none where the height leaves no choice.
    pub fn smaller(&self, scan: Size) -> Vec<ModelExtent> {
        let Self::Bounded(rules) = self else { return Vec::new() };
        let whole = ModelExtent::clamp(scan, rules);
        let (wanted, minimum) = (whole.content.height, rules.min_height.min(rules.max_height));
        if wanted <= minimum {
            return Vec::new();
        }
        let middle = u32::midpoint(wanted, minimum) / MULTIPLE * MULTIPLE;
        let lower = |height: u32| {
            let extent = ModelExtent::clamp(scan, &ExtentRules { max_height: height, ..*rules });
            ModelExtent { rule: ExtentRule::Lowered { height: extent.content.height, wanted }, ..extent }
        };
        let middle = (middle > minimum).then_some(middle);
        // The usual widths of the smallest height may be wider than the padding of the middle one.
        let mut least = whole.size.pixels();
        let fewer = |extent: &ModelExtent| {
            let fewer = extent.size.pixels() < least;
            least = least.min(extent.size.pixels());
            fewer
        };
        middle.into_iter().chain([minimum]).map(lower).filter(fewer).collect()
    }

    /// The extent that [`super::parity_input`] fills, whatever the scan's shape: a square by the scene's bounds
    /// ([`ModelExtent::squashed`]), or the network's one size.
    pub fn squashed(&self) -> ModelExtent {
        match self {
            Self::Bounded(rules) => ModelExtent::squashed(rules),
            Self::Fixed { size, unused } => {
                ModelExtent::of(*size, ExtentRule::Squashed { size: *size, wanted: unused.max_height })
            }
        }
    }
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
    /// Smaller than the other rules asked for.
    Lowered {
        /// Height of the copy, pixels.
        height: u32,
        /// The height that was asked for, pixels.
        wanted: u32,
    },
    /// Squashed to a square, as the authors' pipeline does.
    Squashed {
        /// The square.
        size: Size,
        /// The side that was asked for, pixels.
        wanted: u32,
    },
    /// The network takes this size and no other.
    Fixed {
        /// The size.
        size: Size,
        /// Smallest height of the scene, pixels.
        minimum: u32,
        /// Largest height of the scene, pixels.
        maximum: u32,
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
            Self::Lowered { height, wanted } => {
                write!(f, "height {height} instead of {wanted}, since the device had no memory for more")
            }
            Self::Squashed { size, wanted } => {
                write!(f, "parity: squashed to {size} without antialiasing, as the authors' pipeline does")?;
                if size.height == *wanted {
                    Ok(())
                } else {
                    write!(f, " (what the network and the bounds allow, instead of {wanted})")
                }
            }
            Self::Fixed { size, minimum, maximum } if minimum == maximum => {
                write!(f, "fixed {size} by the model; height {minimum} of the scene does not apply")
            }
            Self::Fixed { size, minimum, maximum } => {
                write!(f, "fixed {size} by the model; height {minimum} to {maximum} of the scene does not apply")
            }
        }
    }
}

/// Size of the network's copy: can only be built by clamping and fitting, so nobody checks it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelExtent {
    size: Size,
    content: Size,
    rule: ExtentRule,
}

impl ModelExtent {
    /// Fits a scan into the rules: its height is brought into `min_height..=max_height`, the width follows with the aspect
    /// kept to half a pixel, and the content shrinks further while the padded area is above `max_area`. Content of the maximum or
    /// the minimum height, that of nearly all scans, is padded to one of nine widths ([`Sizing::usual`]) if it is not wider than
    /// all of them; other content to the next multiples of 32.
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
        if matches!(rule, ExtentRule::Reduced { .. } | ExtentRule::Enlarged { .. })
            && let Some(size) = widths(height).find(|size| size.width >= wanted.width)
            && size.pixels() <= max_area
        {
            return Self { size, content: wanted, rule };
        }
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

    /// Fits a scan into the one size that a network takes, aspect kept, enlarged or reduced until one side touches.
    ///
    /// # Panics
    /// When a side of `size` is no multiple of 32: a catalogue with such an entry is not opened.
    pub fn fit(scan: Size, size: Size, unused: &ExtentRules) -> Self {
        let is_extent = |side: u32| side > 0 && side.is_multiple_of(MULTIPLE);
        assert!(is_extent(size.width) && is_extent(size.height), "{size} is not an extent");
        let scan = Size::new(scan.width.max(1), scan.height.max(1));
        let touches_sides = u64::from(scan.width) * u64::from(size.height) >= u64::from(scan.height) * u64::from(size.width);
        let content = if touches_sides { at_width(scan, size.width) } else { at_height(scan, size.height) };
        let rule = ExtentRule::Fixed { size, minimum: unused.min_height, maximum: unused.max_height };
        Self { size, content, rule }
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

/// Padded sizes for content of one height, in rising width.
fn widths(height: u32) -> impl Iterator<Item = Size> {
    let width = move |(wide, high): (u32, u32)| {
        let exact = u64::from(height) * u64::from(wide) * (100 + SLACK);
        u32::try_from(exact.div_ceil(u64::from(high) * 100)).unwrap_or(u32::MAX)
    };
    ASPECTS.into_iter().filter_map(move |aspect| padded(Size::new(width(aspect), height)))
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
#[path = "extent_tests.rs"]
mod tests;
