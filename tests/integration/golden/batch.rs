//! Several grey pictures in one run, and what the network says of each: nothing that a picture alone would not give.

use autochrome::imaging::Size;
use autochrome::inference::ddcolor::{GraphSpec, Outputs, PictureInput, SAID, STRIPS, Weights};
use autochrome::inference::{Precision, Provider};
use ort::value::Tensor;

use super::{differences, recipe, session, toys};

/// As many that the last shuffle works in bands, as it does for one picture of 960 × 1280.
const PICTURES: usize = 16;
const SIZE: Size = Size::new(256, 288);

/// `ab` and `said` of grey pictures of [`SIZE`].
fn run(weights: &Weights, grey: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let pictures = grey.len() / SIZE.pixels() as usize;
    let (input, outputs) = (PictureInput::Grey, Outputs::Guarded);
    let spec = GraphSpec { pictures, input, outputs, ..GraphSpec::new(SIZE, Precision::Fp32, Provider::Cpu) };
    let mut session = session(&weights.graph_of(spec));
    let shape = [pictures, 1, SIZE.height as usize, SIZE.width as usize];
    let input = Tensor::from_array((shape, grey.to_vec())).unwrap();
    let found = session.run(ort::inputs!["grey" => input]).unwrap();
    let values = |name: &str| found[name].try_extract_tensor::<f32>().unwrap().1.to_vec();
    (values("ab"), values("said"))
}

/// Pictures that differ: shifted along their rows, and darker from one to the next.
fn pictures() -> Vec<f32> {
    let picture = recipe::picture(SIZE.height as usize, SIZE.width as usize);
    let one = |index: usize| {
        let dim = 1.0 - index as f32 / 40.0;
        picture[31 * index..].iter().chain(&picture[..31 * index]).map(|value| value * dim).collect::<Vec<f32>>()
    };
    (0..PICTURES).flat_map(one).collect()
}

#[test]
fn pictures_that_share_a_run_are_coloured_as_each_alone() {
    let weights = Weights::read(&toys::first()).unwrap();
    let grey = pictures();
    let pixels = SIZE.pixels() as usize;
    let (ab, said) = run(&weights, &grey);
    for index in [0, 7, 15] {
        let (alone, _) = run(&weights, &grey[index * pixels..][..pixels]);
        let got = &ab[index * 2 * pixels..][..2 * pixels];
        let (largest, _) = differences(got, &alone);
        assert!(largest < 1e-4, "picture {index} differs by {largest}");

        let strips = |kind: usize| &said[(kind * PICTURES + index) * STRIPS..][..STRIPS];
        let mean = |strips: &[f32]| strips.iter().map(|&value| f64::from(value)).sum::<f64>() / STRIPS as f64;
        let (a, b) = got.split_at(pixels);
        let chroma = || a.iter().zip(b).map(|(a, b)| f64::from(a.hypot(*b)));
        assert_eq!(strips(0).iter().sum::<f32>() as usize, 2 * pixels, "all values are finite");
        assert_eq!(strips(1).iter().copied().fold(f32::INFINITY, f32::min), got.iter().copied().fold(f32::INFINITY, f32::min));
        let high = |values: &[f32]| values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert_eq!(high(strips(2)), high(got));
        assert!((mean(strips(3)) - chroma().sum::<f64>() / pixels as f64).abs() < 1e-5);
        assert!((mean(strips(4)) - chroma().map(|chroma| chroma * chroma).sum::<f64>() / pixels as f64).abs() < 1e-4);
    }
    assert_eq!(said.len(), SAID * PICTURES * STRIPS);
}

#[test]
fn a_picture_that_is_no_number_somewhere_is_counted_out_and_its_neighbours_are_not() {
    let weights = Weights::read(&toys::first()).unwrap();
    let mut grey = pictures();
    let pixels = SIZE.pixels() as usize;
    grey.truncate(3 * pixels);
    grey[pixels + 5] = f32::NAN;
    let (_, said) = run(&weights, &grey);
    let finite = |index: usize| said[index * STRIPS..][..STRIPS].iter().sum::<f32>() as usize;
    assert_eq!([finite(0), finite(2)], [2 * pixels; 2]);
    assert!(finite(1) < 2 * pixels, "{} of {} values are finite", finite(1), 2 * pixels);
}
