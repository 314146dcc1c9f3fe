//! From bytes to what the network needs: decode, find the picture in the scan, look, denoise, route, clamp.

use super::{ApplyTo, Profile, StageError, Stopwatch, Workshop};
use crate::codec::{self, DecodedScan, Keep, ReadScan};
use crate::colour::Meaning;
use crate::imaging::{self, Border, Levels, ModelExtent, PictureArea, Plane, Preprocessing, Rect, Size, Sizing, Tones};
use crate::inference::{Engine, InferenceError};
use crate::routing::{self, Route, SceneScores};

/// Side of the tiles in which full-size lightness is denoised: bounds memory whatever the scan's size.
const TILE: u32 = 1024;
/// What a tile sees of its neighbours, pixels. The denoiser's 18 convolutions at half resolution reach 37 pixels far, so no
/// seam shows; even, because it works on pairs of pixels.
const OVERLAP: u32 = 40;

/// A scan ready for the colour network: the hand-over to the inference thread.
#[derive(Debug)]
pub struct Prepared {
    /// The scan at its own size, for recombination: its lightness, sRGB-coded grey; under parity its samples where they are sRGB.
    pub scan: DecodedScan,
    /// How its samples were understood.
    pub meaning: Meaning,
    /// The part of the scan that is picture: what networks see, and what gets colour.
    pub area: PictureArea,
    /// What the scene network said.
    pub scores: SceneScores,
    /// What was made of it.
    pub route: Route,
    /// The network's copy.
    pub copy: NetworkCopy,
    /// Full-size denoised grey, only when the published lightness is to be changed.
    pub lightness: Option<Plane>,
    /// Noise σ of the scan at its own size, when the published lightness was to be changed if noisy.
    pub lightness_sigma: Option<f32>,
}

/// What the colour network is given.
#[derive(Debug)]
pub struct NetworkCopy {
    /// Its size.
    pub extent: ModelExtent,
    /// The padded copy, sRGB-encoded grey in 0..=1; with levels where its tones are few.
    pub input: Plane,
    /// Black and white of the copy before levels; `None` when they are off.
    pub tones: Option<Tones>,
    /// Noise σ of the copy before denoising, 8-bit code values.
    pub noise_sigma: f32,
    /// What was denoised.
    pub denoised: ApplyTo,
}

/// What preparation came to.
#[derive(Debug)]
pub enum Preparation {
    /// Go on.
    Ready(Box<Prepared>),
    /// Leave the scan alone; words for a registrar.
    Skip(String),
}

/// A reduced copy and what was found on it.
struct Copy {
    extent: ModelExtent,
    grey: Plane,
    sigma: f32,
    denoised: bool,
}

pub(super) fn prepare(
    shop: &Workshop,
    profile: &Profile,
    bytes: Vec<u8>,
    watch: &mut Stopwatch,
) -> Result<Preparation, StageError> {
    crate::faults::point("decode");
    // The authors' pipeline makes its own lightness of the samples.
    let keep = match profile.preprocessing {
        Preprocessing::Fit => Keep::Lightness,
        Preprocessing::Parity => Keep::SrgbSamples,
    };
    let read = watch.time("decode", || codec::read(&bytes, &profile.limits, keep))?;
    // As large as the scan, and not needed any more.
    drop(bytes);
    let size = read.scan.image.size();
    let area = match profile.border {
        Border::Auto => watch.time("border", || imaging::picture_area(&read.scan.image)),
        Border::Off => PictureArea::whole(size),
    };
    let features = watch.time("features", || read.features(area.rect));
    if let Some(skip) = routing::precheck(&features, &profile.rules) {
        return Ok(Preparation::Skip(skip.to_string()));
    }
    let ReadScan { scan, colour, .. } = read;
    let look = copy(shop, profile, &scan, area.rect, profile.other.extent.extent(area.rect.size()), watch)?;
    let scores = watch.time("route", || shop.engine.scene_scores(look.grey.clone())).map_err(StageError::inference("route"))?;
    if let Some(skip) = routing::page(&scores, &profile.rules) {
        return Ok(Preparation::Skip(skip.to_string()));
    }
    let route = routing::route(&scores, &profile.rules);
    let sizing = &profile.scene(route.scene).extent;
    let copy = match profile.preprocessing {
        Preprocessing::Parity => parity_copy(&scan, sizing, watch),
        Preprocessing::Fit if *sizing == profile.other.extent => look,
        Preprocessing::Fit => copy(shop, profile, &scan, area.rect, sizing.extent(area.rect.size()), watch)?,
    };
    let (lightness, lightness_sigma) = match profile.denoise.apply_to {
        ApplyTo::Output => {
            let (lightness, sigma) = watch.time("denoise", || clean_lightness(shop, profile, &scan, area.rect))?;
            (lightness, Some(sigma))
        }
        ApplyTo::Network | ApplyTo::Off => (None, None),
    };
    let copy = copy.padded(profile.levels, lightness.is_some(), watch);
    let meaning = colour.into_meaning();
    let prepared = Prepared { scan, meaning, area, scores, route, copy, lightness, lightness_sigma };
    Ok(Preparation::Ready(Box::new(prepared)))
}

/// A copy of another extent than the one that was prepared.
pub(super) fn smaller(
    shop: &Workshop,
    profile: &Profile,
    prepared: &Prepared,
    extent: ModelExtent,
    watch: &mut Stopwatch,
) -> Result<NetworkCopy, StageError> {
    let copy = copy(shop, profile, &prepared.scan, prepared.area.rect, extent, watch)?;
    Ok(copy.padded(profile.levels, prepared.lightness.is_some(), watch))
}

impl Copy {
    /// As the network takes it; `lightness`: whether the published lightness was denoised as well.
    fn padded(self, levels: Levels, lightness: bool, watch: &mut Stopwatch) -> NetworkCopy {
        let Self { extent, mut grey, sigma: noise_sigma, denoised } = self;
        // After the denoiser, which knows noise as it is in the scan, and after the scene network, whose thresholds hold for the scan's tones.
        let tones = match levels {
            Levels::Auto => Some(watch.time("levels", || levelled(&mut grey))),
            Levels::Off => None,
        };
        let input = watch.time("pad", || imaging::network_input(&grey, &extent));
        let denoised = match (lightness, denoised) {
            (true, _) => ApplyTo::Output,
            (false, true) => ApplyTo::Network,
            (false, false) => ApplyTo::Off,
        };
        NetworkCopy { extent, input, tones, noise_sigma, denoised }
    }
}

/// Reduces the picture in the scan for a network and cleans the copy when its noise asks for it.
fn copy(
    shop: &Workshop,
    profile: &Profile,
    scan: &DecodedScan,
    area: Rect,
    extent: ModelExtent,
    watch: &mut Stopwatch,
) -> Result<Copy, StageError> {
    let grey = watch.time("resize", || imaging::grey_copy_of(&scan.image, area, extent.content()));
    let sigma = watch.time("noise", || imaging::estimate_noise(&grey));
    let wanted = profile.denoise.apply_to != ApplyTo::Off && sigma > profile.denoise.threshold;
    if !wanted {
        return Ok(Copy { extent, grey, sigma, denoised: false });
    }
    let clean = watch.time("denoise", || shop.engine.denoise(grey, sigma)).map_err(StageError::inference("denoise"))?;
    Ok(Copy { extent, grey: clean, sigma, denoised: true })
}

/// Stretches the tones of a copy that has few; what they were.
fn levelled(grey: &mut Plane) -> Tones {
    let tones = Tones::of(grey);
    if tones.are_few() {
        tones.stretch(grey);
    }
    tones
}

/// The copy that the authors' pipeline makes; the configuration allows no denoising beside it.
fn parity_copy(scan: &DecodedScan, sizing: &Sizing, watch: &mut Stopwatch) -> Copy {
    let extent = sizing.squashed();
    let grey = watch.time("resize", || imaging::parity_input(&scan.image, extent.content()));
    let sigma = watch.time("noise", || imaging::estimate_noise(&grey));
    Copy { extent, grey, sigma, denoised: false }
}

/// The full-size grey without noise, borders included, or `None` when the picture has too little noise to speak of; and the
/// picture's noise σ.
fn clean_lightness(
    shop: &Workshop,
    profile: &Profile,
    scan: &DecodedScan,
    area: Rect,
) -> Result<(Option<Plane>, f32), StageError> {
    let noisy = imaging::grey_copy(&scan.image, scan.image.size());
    let sigma = if area == Rect::whole(scan.image.size()) {
        imaging::estimate_noise(&noisy)
    } else {
        imaging::estimate_noise(&Region::from(area).cut(&noisy))
    };
    if sigma <= profile.denoise.threshold {
        return Ok((None, sigma));
    }
    let clean = clean_in_tiles(&shop.engine, &noisy, sigma).map_err(StageError::inference("denoise"))?;
    Ok((Some(clean), sigma))
}

fn clean_in_tiles(engine: &Engine, noisy: &Plane, sigma: f32) -> Result<Plane, InferenceError> {
    let Size { width, height } = noisy.size();
    let mut clean = Plane::filled(noisy.size(), 0.0);
    for top in (0..height).step_by(TILE as usize) {
        for left in (0..width).step_by(TILE as usize) {
            let inner = Region::new(left, top, TILE, TILE, width, height);
            let outer = inner.grown(OVERLAP, width, height);
            inner.paste(&engine.denoise(outer.cut(noisy), sigma)?, &outer, &mut clean);
        }
    }
    Ok(clean)
}

/// A rectangle of a plane.
#[derive(Debug, Clone, Copy)]
struct Region {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

impl From<Rect> for Region {
    fn from(Rect { left, top, width, height }: Rect) -> Self {
        Self { left, top, right: left + width, bottom: top + height }
    }
}

impl Region {
    fn new(left: u32, top: u32, width: u32, height: u32, max_width: u32, max_height: u32) -> Self {
        Self { left, top, right: (left + width).min(max_width), bottom: (top + height).min(max_height) }
    }

    fn grown(self, by: u32, max_width: u32, max_height: u32) -> Self {
        Self {
            left: self.left.saturating_sub(by),
            top: self.top.saturating_sub(by),
            right: (self.right + by).min(max_width),
            bottom: (self.bottom + by).min(max_height),
        }
    }

    fn cut(&self, plane: &Plane) -> Plane {
        let columns = self.left as usize..self.right as usize;
        let data = (self.top..self.bottom).flat_map(|y| &plane.row(y)[columns.clone()]).copied().collect();
        let size = Size::new(self.right - self.left, self.bottom - self.top);
        Plane::new(size, data).expect("the rows of a region fill it")
    }

    /// Copies this region out of `from`, which shows `outer`, into `to`, which shows everything.
    fn paste(&self, from: &Plane, outer: &Self, to: &mut Plane) {
        let stride = to.size().width as usize;
        let count = (self.right - self.left) as usize;
        for y in self.top..self.bottom {
            let source = &from.row(y - outer.top)[(self.left - outer.left) as usize..][..count];
            to.data_mut()[y as usize * stride + self.left as usize..][..count].copy_from_slice(source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::{Catalogue, EngineSettings, GuardBounds, ModelKind, ProviderChoice};

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "small test numbers")]
    fn tiles_cut_and_pasted_give_the_plane_back() {
        let size = Size::new(2100, 1500);
        let plane = Plane::new(size, (0..2100 * 1500).map(|value| value as f32).collect()).unwrap();
        let mut rebuilt = Plane::filled(size, -1.0);
        for top in (0..size.height).step_by(TILE as usize) {
            for left in (0..size.width).step_by(TILE as usize) {
                let inner = Region::new(left, top, TILE, TILE, size.width, size.height);
                let outer = inner.grown(OVERLAP, size.width, size.height);
                inner.paste(&outer.cut(&plane), &outer, &mut rebuilt);
            }
        }
        assert_eq!(rebuilt, plane);
    }

    /// Needs an ONNX Runtime, as every test of the whole line does: `autochrome setup` fetches it.
    #[test]
    fn tiles_of_a_denoised_plane_have_no_seams() {
        let models = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let catalogue = Catalogue::open(&models).unwrap();
        let denoiser = catalogue.only(ModelKind::Denoise).unwrap().clone();
        let settings = EngineSettings {
            provider: ProviderChoice::Cpu,
            memory_mib: 0,
            model_memory_mib: 1,
            threads: 1,
            sessions: 1,
            guard: GuardBounds::default(),
        };
        let engine = Engine::start(&settings, &catalogue, &[denoiser]).unwrap();
        let mut random = fastrand::Rng::with_seed(6);
        let size = Size::new(TILE + 120, 96);
        let noisy = Plane::new(size, (0..size.pixels()).map(|_| random.f32()).collect()).unwrap();
        let (whole, tiled) = (engine.denoise(noisy.clone(), 50.0).unwrap(), clean_in_tiles(&engine, &noisy, 50.0).unwrap());
        let pairs = whole.data().iter().zip(tiled.data());
        let largest = pairs.map(|(whole, tiled)| (whole - tiled).abs()).fold(0.0, f32::max);
        assert!(largest < 2e-6, "{largest}");
    }
}
