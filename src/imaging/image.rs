//! The pictures that rooms hand to each other: scans, float planes, chroma.

use std::ops::Range;

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Size {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Size {
    /// A size of `width` × `height` pixels.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// Number of pixels; cannot overflow.
    pub const fn pixels(self) -> u64 {
        self.width as u64 * self.height as u64
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

/// A rectangle of a picture, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Columns to the left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Columns of it.
    pub width: u32,
    /// Rows of it.
    pub height: u32,
}

impl Rect {
    /// All of a picture.
    pub const fn whole(size: Size) -> Self {
        Self { left: 0, top: 0, width: size.width, height: size.height }
    }

    /// Its own size.
    pub const fn size(self) -> Size {
        Size::new(self.width, self.height)
    }

    /// Whether it has pixels and lies in a picture of `size`.
    pub fn lies_in(self, size: Size) -> bool {
        let fits = |first: u32, count: u32, all: u32| count > 0 && first.checked_add(count).is_some_and(|end| end <= all);
        fits(self.left, self.width, size.width) && fits(self.top, self.height, size.height)
    }
}

/// What the interleaved samples of one pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One grey sample.
    Grey,
    /// Grey and unassociated alpha.
    GreyAlpha,
    /// Red, green, blue.
    Rgb,
    /// Red, green, blue and unassociated alpha.
    Rgba,
}

impl Channels {
    /// The word for it in records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Grey => "grey",
            Self::GreyAlpha => "grey+alpha",
            Self::Rgb => "rgb",
            Self::Rgba => "rgba",
        }
    }

    /// Samples a pixel.
    pub const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::GreyAlpha => 2,
            Self::Rgb => 3,
            Self::Rgba => 4,
        }
    }

    /// Whether the pixel carries colour samples.
    pub const fn is_rgb(self) -> bool {
        matches!(self, Self::Rgb | Self::Rgba)
    }

    /// Whether the last sample of a pixel is alpha.
    pub const fn has_alpha(self) -> bool {
        matches!(self, Self::GreyAlpha | Self::Rgba)
    }
}

/// Bits a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Depth {
    /// 8.
    Eight,
    /// 16.
    Sixteen,
}

impl Depth {
    /// The smallest that holds samples of so many bits.
    pub const fn of(bits: u8) -> Self {
        if bits <= 8 { Self::Eight } else { Self::Sixteen }
    }
}

/// The nearest of 256 equal steps: 65535 is 255 × 257, and half of that rounds.
pub const fn to_eight_bits(sample: u16) -> u8 {
    ((sample as u32 + 128) / 257) as u8
}

/// Interleaved samples, row by row, no padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// 8 bits a sample, 0..=255.
    U8(Vec<u8>),
    /// 16 bits a sample, 0..=65535, native byte order.
    U16(Vec<u16>),
}

impl Samples {
    /// Number of samples.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(samples) => samples.len(),
            Self::U16(samples) => samples.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bits a sample: 8 or 16.
    pub const fn bit_depth(&self) -> u8 {
        match self {
            Self::U8(_) => 8,
            Self::U16(_) => 16,
        }
    }
}

/// A picture at its own size and depth, upright (EXIF orientation already applied).
///
/// The number of samples always equals width × height × channels: [`ScanImage::new`] is the only way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanImage {
    size: Size,
    channels: Channels,
    samples: Samples,
}

impl ScanImage {
    /// Returns `None` when a side is zero or the number of samples does not fit the size and channels.
    pub fn new(size: Size, channels: Channels, samples: Samples) -> Option<Self> {
        let wanted = usize::try_from(size.pixels()).ok()?.checked_mul(channels.count())?;
        (wanted != 0 && samples.len() == wanted).then_some(Self { size, channels, samples })
    }

    /// Width and height.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// What the samples of a pixel mean.
    pub const fn channels(&self) -> Channels {
        self.channels
    }

    /// The interleaved samples.
    pub const fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Gives the samples away.
    pub fn into_samples(self) -> Samples {
        self.samples
    }

    /// Bits a sample: 8 or 16.
    pub const fn bit_depth(&self) -> u8 {
        self.samples.bit_depth()
    }
}

/// A picture whose rows are made, or copied, when they are asked for: what need not be whole in memory.
pub trait Rows: Sync {
    /// Width and height.
    fn size(&self) -> Size;
    /// What the samples of a pixel mean.
    fn channels(&self) -> Channels;
    /// Bits a sample: 8 or 16.
    fn bit_depth(&self) -> u8;
    /// The interleaved samples of rows of the picture, which are all asked for once.
    fn rows(&self, range: Range<u32>) -> Samples;
}

impl Rows for ScanImage {
    fn size(&self) -> Size {
        self.size
    }

    fn channels(&self) -> Channels {
        self.channels
    }

    fn bit_depth(&self) -> u8 {
        self.samples.bit_depth()
    }

    fn rows(&self, range: Range<u32>) -> Samples {
        let row = self.size.width as usize * self.channels.count();
        let range = range.start as usize * row..range.end as usize * row;
        match &self.samples {
            Samples::U8(samples) => Samples::U8(samples[range].to_vec()),
            Samples::U16(samples) => Samples::U16(samples[range].to_vec()),
        }
    }
}

/// One float a pixel, row by row. As lightness: CIE L*, 0..=100.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    size: Size,
    data: Vec<f32>,
}

impl Plane {
    /// Returns `None` when `data` does not hold width × height values.
    pub fn new(size: Size, data: Vec<f32>) -> Option<Self> {
        (data.len() as u64 == size.pixels()).then_some(Self { size, data })
    }

    /// A plane of one value.
    pub fn filled(size: Size, value: f32) -> Self {
        let count = usize::try_from(size.pixels()).expect("a plane's pixels fit in memory");
        Self { size, data: vec![value; count] }
    }

    /// Width and height.
    pub const fn size(&self) -> Size {
        self.size
    }

    /// The values.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The values, to change in place.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// One row of values.
    pub fn row(&self, y: u32) -> &[f32] {
        let width = self.size.width as usize;
        &self.data[y as usize * width..][..width]
    }
}

/// CIE a* and b* (D65) of a picture at the network's size, padding cropped away, in Lab units.
#[derive(Debug, Clone, PartialEq)]
pub struct ChromaPlanes {
    /// Green (−) to red (+).
    pub a: Plane,
    /// Blue (−) to yellow (+).
    pub b: Plane,
}
