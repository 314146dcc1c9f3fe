//! A size and a number of pictures, as `bench --networks` is told them.

use crate::imaging::Size;

/// One size and number of pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// Of every picture; sides are multiples of 32.
    pub size: Size,
    /// Pictures of a run.
    pub pictures: usize,
}

/// A run of up to eight pictures; more were never faster.
const MOST_PICTURES: usize = 8;
/// Longest side; the product's own networks stay below half of it.
const LONGEST: u32 = 4096;

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.size.width, self.size.height, self.pictures)
    }
}

impl std::str::FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<u32> = text.split('x').map(str::parse).collect::<Result<_, _>>().unwrap_or_default();
        let side = |side: &u32| (32..=LONGEST).contains(side) && side.is_multiple_of(32);
        match numbers[..] {
            [width, height, pictures] if side(&width) && side(&height) && (1..=MOST_PICTURES).contains(&(pictures as usize)) => {
                Ok(Self { size: Size::new(width, height), pictures: pictures as usize })
            }
            _ => Err(format!(
                "{text:?} is no WIDTHxHEIGHTxPICTURES: sides are multiples of 32 up to {LONGEST}, pictures 1 to {MOST_PICTURES}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_two_sides_and_a_number_of_pictures() {
        assert_eq!("1280x960x2".parse(), Ok(Cell { size: Size::new(1280, 960), pictures: 2 }));
        for wrong in ["512x512", "512x500x1", "512x512x0", "512x512x9", "0x512x1", "512x512x1x1", "-512x512x1", "8192x512x1", ""]
        {
            assert!(wrong.parse::<Cell>().unwrap_err().contains("multiples of 32"), "{wrong}");
        }
    }
}
