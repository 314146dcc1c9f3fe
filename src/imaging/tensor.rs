//! Padding the network's copy to its extent, and cutting the padding out of what comes back.

use super::{ChromaPlanes, ModelExtent, Plane, Size};

/// Pads the grey copy, which has the extent's content size, to the right and below by reflection.
///
/// The border pixel is not repeated (OpenCV's `REFLECT_101`); where the padding is wider than the picture, the reflection
/// goes to and fro, and a side of one pixel is repeated.
///
/// # Panics
/// When the grey copy has another size than the extent's content.
pub fn network_input(grey: &Plane, extent: &ModelExtent) -> Plane {
    let (content, size) = (extent.content(), extent.size());
    assert_eq!(grey.size(), content, "the grey copy was made at the extent's content size");
    let right = columns(content.width, size.width);
    let mut data = Vec::with_capacity(size.pixels() as usize);
    for y in 0..size.height {
        let row = grey.row(reflect(y, content.height));
        data.extend_from_slice(row);
        data.extend(right.iter().map(|&x| row[x]));
    }
    Plane::new(size, data).expect("every row was filled to the padded width")
}

/// Cuts the padding away: planes of the extent's padded size become planes of its content size.
///
/// # Panics
/// When the planes have another size than the extent.
pub fn crop_chroma(chroma: ChromaPlanes, extent: &ModelExtent) -> ChromaPlanes {
    let ChromaPlanes { a, b } = chroma;
    ChromaPlanes { a: crop(a, extent), b: crop(b, extent) }
}

fn crop(plane: Plane, extent: &ModelExtent) -> Plane {
    let (content, size) = (extent.content(), extent.size());
    assert_eq!(plane.size(), size, "the network answers at the size it was given");
    if content == size {
        return plane;
    }
    cut(&plane, content)
}

fn cut(plane: &Plane, content: Size) -> Plane {
    let data = (0..content.height).flat_map(|y| &plane.row(y)[..content.width as usize]).copied().collect();
    Plane::new(content, data).expect("the rows of the content fill it")
}

/// Columns of the content that the padded ones show.
fn columns(content: u32, padded: u32) -> Vec<usize> {
    (content..padded).map(|x| reflect(x, content) as usize).collect()
}

/// The position inside `0..length` that a position beyond it mirrors.
const fn reflect(position: u32, length: u32) -> u32 {
    if length == 1 {
        return 0;
    }
    let period = 2 * (length - 1);
    let within = position % period;
    if within < length { within } else { period - within }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imaging::ExtentRules;

    fn extent(width: u32, height: u32) -> ModelExtent {
        let rules = ExtentRules { min_height: 1, max_height: 4096, enlarge: false, max_area: 1 << 24 };
        ModelExtent::clamp(Size::new(width, height), &rules)
    }

    fn ramp(size: Size) -> Plane {
        Plane::new(size, (0..size.pixels()).map(|index| index as f32).collect()).unwrap()
    }

    #[test]
    fn padding_mirrors_without_repeating_the_border() {
        let extent = extent(30, 1);
        let padded = network_input(&ramp(Size::new(30, 1)), &extent);
        assert_eq!(padded.size(), Size::new(32, 32));
        assert_eq!(padded.row(0)[28..], [28.0, 29.0, 28.0, 27.0]);
        assert_eq!(padded.row(31), padded.row(0));
    }

    #[test]
    fn padding_wider_than_the_picture_goes_to_and_fro() {
        let padded = network_input(&ramp(Size::new(3, 2)), &extent(3, 2));
        assert_eq!(padded.row(0)[..8], [0.0, 1.0, 2.0, 1.0, 0.0, 1.0, 2.0, 1.0]);
        assert_eq!(padded.row(1)[0], 3.0);
        assert_eq!(padded.row(2)[0], 0.0);
        let single = network_input(&ramp(Size::new(1, 1)), &extent(1, 1));
        assert!(single.data().iter().all(|&value| value == 0.0));
    }

    #[test]
    fn cropping_undoes_padding() {
        for (width, height) in [(1, 1), (7, 7), (31, 33), (64, 32), (100, 1), (1, 100), (301, 203)] {
            let extent = extent(width, height);
            let plane = ramp(extent.content());
            let padded = network_input(&plane, &extent);
            let cropped = crop_chroma(ChromaPlanes { a: padded.clone(), b: padded }, &extent);
            assert_eq!(cropped.a, plane, "{width}×{height}");
            assert_eq!(cropped.b, plane, "{width}×{height}");
        }
    }
}
