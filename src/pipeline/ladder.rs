//! What is tried when the device has no memory for a picture.
//!
//! The engine lets everything else go and makes a fresh session in its smallest form; then come smaller copies within the scene's
//! bounds, and the processor where the configuration allows it. Every step that found no memory is recorded; a scan for which
//! none is left is handed back.

use super::prepare::{self, Prepared};
use super::{NO_MEMORY, Profile, StageError, Stopwatch, Workshop};
use crate::imaging::{ModelExtent, Preprocessing};
use crate::inference::{ColorizeRequest, Coloured, InferenceError, Provider, Setback};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rung {
    /// As it was prepared.
    Prepared,
    /// A smaller copy.
    Smaller(ModelExtent),
    /// As it was prepared, on the processor.
    Processor,
}

/// Why a step came to nothing.
enum Failed {
    /// No memory: the next step may find some.
    NoMemory(Setback),
    /// Anything else.
    Stage(StageError),
}

/// Colours a prepared scan, and leaves in `prepared` what was coloured.
pub(super) fn colour(
    shop: &Workshop,
    profile: &Profile,
    prepared: &mut Prepared,
    watch: &mut Stopwatch,
) -> Result<Coloured, StageError> {
    let id = &profile.scene(prepared.route.scene).model.id;
    let ((coloured, copy), mut setbacks) = descend(rungs(shop, profile, prepared), |rung| {
        let smaller = match rung {
            Rung::Smaller(extent) => Some(prepare::smaller(shop, profile, prepared, extent, watch).map_err(|error| {
                let tried = format!("denoising at {}", extent.size());
                if error.stage == NO_MEMORY {
                    Failed::NoMemory(Setback { tried, found: error.reason })
                } else {
                    Failed::Stage(error)
                }
            })?),
            Rung::Prepared | Rung::Processor => None,
        };
        let input = smaller.as_ref().unwrap_or(&prepared.copy).input.clone();
        let size = input.size();
        let request = ColorizeRequest::new(id.clone(), input, profile.precision);
        let (request, place) = match rung {
            Rung::Processor => (request.on_processor(), Provider::Cpu),
            Rung::Prepared | Rung::Smaller(_) => (request, shop.engine.device().provider),
        };
        match watch.time("network", || shop.engine.colorize(request)) {
            Ok(coloured) => Ok((coloured, smaller)),
            Err(InferenceError::OutOfMemory { detail, .. }) => {
                Err(Failed::NoMemory(Setback { tried: format!("{size} on {place}"), found: detail }))
            }
            Err(error) => Err(Failed::Stage(StageError::inference("network")(error))),
        }
    })?;
    if let Some(copy) = copy {
        prepared.copy = copy;
    }
    setbacks.extend(coloured.setbacks);
    Ok(Coloured { setbacks, ..coloured })
}

/// The steps for one scan, in order.
fn rungs(shop: &Workshop, profile: &Profile, prepared: &Prepared) -> Vec<Rung> {
    let smaller = match profile.preprocessing {
        Preprocessing::Fit => profile.scene(prepared.route.scene).extent.smaller(prepared.area.rect.size()),
        // What is compared with the authors' results has their size or none.
        Preprocessing::Parity => Vec::new(),
    };
    let processor = shop.engine.may_use_processor() && shop.engine.device().provider != Provider::Cpu;
    let smaller = smaller.into_iter().map(Rung::Smaller);
    [Rung::Prepared].into_iter().chain(smaller).chain(processor.then_some(Rung::Processor)).collect()
}

/// Takes one step after the other until one comes to something, and says which found no memory before it.
fn descend<T>(rungs: Vec<Rung>, mut step: impl FnMut(Rung) -> Result<T, Failed>) -> Result<(T, Vec<Setback>), StageError> {
    let mut setbacks = Vec::new();
    for rung in rungs {
        match step(rung) {
            Ok(value) => return Ok((value, setbacks)),
            Err(Failed::NoMemory(setback)) => {
                tracing::warn!("No memory for {}: {}", setback.tried, setback.found);
                setbacks.push(setback);
            }
            Err(Failed::Stage(error)) => return Err(error),
        }
    }
    let tried: Vec<_> = setbacks.iter().map(|Setback { tried, found }| format!("{tried}: {found}")).collect();
    Err(StageError::no_memory(&tried.join("; then ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::{ExtentRules, Size, Sizing};
    use crate::job::Outcome;

    fn no_memory(tried: &str) -> Failed {
        Failed::NoMemory(Setback { tried: tried.to_owned(), found: "full".to_owned() })
    }

    fn three() -> Vec<Rung> {
        let rules = ExtentRules { min_height: 960, max_height: 1280, enlarge: true, max_area: u64::MAX };
        let smaller = Sizing::Bounded(rules).smaller(Size::new(4000, 4000));
        [Rung::Prepared, Rung::Smaller(smaller[0]), Rung::Processor].into()
    }

    #[test]
    fn every_step_that_found_no_memory_is_told_in_order() {
        let (rung, setbacks) = descend(three(), |rung| match rung {
            Rung::Prepared => Err(no_memory("large")),
            Rung::Smaller(_) => Err(no_memory("smaller")),
            Rung::Processor => Ok(rung),
        })
        .unwrap();
        assert_eq!(rung, Rung::Processor);
        assert_eq!(setbacks.iter().map(|setback| setback.tried.as_str()).collect::<Vec<_>>(), ["large", "smaller"]);
    }

    #[test]
    fn a_first_step_that_works_is_the_only_one() {
        let mut steps = 0;
        let (rung, setbacks) = descend(three(), |rung| {
            steps += 1;
            Ok(rung)
        })
        .unwrap();
        assert_eq!((rung, setbacks.len(), steps), (Rung::Prepared, 0, 1));
    }

    #[test]
    fn a_scan_without_a_step_left_is_handed_back_uncharged_with_all_that_was_tried() {
        let error = descend(three(), |_| Err::<(), _>(no_memory("x"))).unwrap_err();
        assert_eq!(error.outcome(), Outcome::NoMemory);
        assert!(error.reason.ends_with("x: full; then x: full; then x: full"), "{}", error.reason);
    }

    #[test]
    fn another_failure_ends_it() {
        let mut steps = 0;
        let error = descend(three(), |_| {
            steps += 1;
            Err::<(), _>(Failed::Stage(StageError::panicked("no")))
        })
        .unwrap_err();
        assert_eq!((steps, error.stage), (1, "panic"));
    }
}
