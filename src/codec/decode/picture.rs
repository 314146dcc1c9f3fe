//! What a decoder gives: a picture, or bands that are still to be decoded.

use super::tiff::Bands;
use crate::codec::header::ScanHeader;
use crate::codec::{DecodeError, decode_cost_bytes, read_cost_bytes};
use crate::colour::Colour;
use crate::imaging::{Channels, ColourCells, ColourCopy, ColourSums, Samples, ScanImage};

/// The samples of a scan as stored, not turned.
pub(super) enum Picture<'a> {
    Whole(ScanImage),
    InBands(Box<Bands<'a>>),
}

impl Picture<'_> {
    /// All samples.
    pub(super) fn whole(self, header: &ScanHeader) -> Result<ScanImage, DecodeError> {
        let bands = match self {
            Self::Whole(image) => return Ok(image),
            Self::InBands(bands) => bands,
        };
        header.reserve(decode_cost_bytes(header))?;
        let mut gathered = Gathered::of(header, header.channels);
        bands.each(|_, band| band.into_samples(), |samples| gathered.add(samples))?;
        Ok(gathered.picture())
    }

    /// The lightness, and what is left of the colour where there was any.
    pub(super) fn lightness(self, header: &ScanHeader, colour: &Colour) -> Result<(ScanImage, Option<ColourCopy>), DecodeError> {
        let cells = header.channels.is_rgb().then(|| ColourCells::of(header.size));
        let mut sums = cells.map(ColourSums::new);
        let work = |top: u32, band: ScanImage| {
            let part = cells.map(|cells| cells.part(top, &band));
            (colour.lightness(band), part)
        };
        let mut add = |part| {
            if let (Some(sums), Some(part)) = (&mut sums, part) {
                sums.add(part);
            }
        };
        let image = match self {
            Self::Whole(image) => {
                let (image, part) = work(0, image);
                add(part);
                image
            }
            Self::InBands(bands) => {
                header.reserve(read_cost_bytes(header))?;
                let channels = if header.channels.has_alpha() { Channels::GreyAlpha } else { Channels::Grey };
                let mut gathered = Gathered::of(header, channels);
                bands.each(work, |(band, part)| {
                    add(part);
                    gathered.add(band.into_samples());
                })?;
                gathered.picture()
            }
        };
        Ok((image, sums.map(ColourSums::finish)))
    }
}

/// A picture put together of bands.
struct Gathered<'a> {
    header: &'a ScanHeader,
    channels: Channels,
    samples: Option<Samples>,
}

impl<'a> Gathered<'a> {
    const fn of(header: &'a ScanHeader, channels: Channels) -> Self {
        Self { header, channels, samples: None }
    }

    fn add(&mut self, band: Samples) {
        let wanted = self.header.size.pixels() as usize * self.channels.count();
        match (&mut self.samples, band) {
            (Some(Samples::U8(all)), Samples::U8(band)) => all.extend_from_slice(&band),
            (Some(Samples::U16(all)), Samples::U16(band)) => all.extend_from_slice(&band),
            (Some(_), _) => unreachable!("the bands of a scan are of one depth"),
            // One band that is the whole picture needs no copy.
            (none, band) if band.len() == wanted => *none = Some(band),
            (none, Samples::U8(band)) => *none = Some(Samples::U8(begun(&band, wanted))),
            (none, Samples::U16(band)) => *none = Some(Samples::U16(begun(&band, wanted))),
        }
    }

    fn picture(self) -> ScanImage {
        let samples = self.samples.unwrap_or(Samples::U8(Vec::new()));
        ScanImage::new(self.header.size, self.channels, samples).expect("every band has its rows")
    }
}

fn begun<T: Copy>(band: &[T], wanted: usize) -> Vec<T> {
    let mut all = Vec::with_capacity(wanted);
    all.extend_from_slice(band);
    all
}
