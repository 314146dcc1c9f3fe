//! The CIEDE2000 colour difference.

use std::f64::consts::{PI, TAU};

/// CIEDE2000 (kL = kC = kH = 1) between two Lab colours, after G. Sharma, W. Wu and E. Dalal, *The CIEDE2000 color-difference
/// formula: implementation notes, supplementary test data, and mathematical observations* (2005). About 1 is just noticeable.
pub fn delta_e_2000(one: [f32; 3], other: [f32; 3]) -> f32 {
    difference(one.map(f64::from), other.map(f64::from)) as f32
}

/// The same in double precision; step numbers are the paper's.
fn difference([l1, a1, b1]: [f64; 3], [l2, a2, b2]: [f64; 3]) -> f64 {
    // 1: chroma with a* stretched near neutral, and hue.
    let pull = pull(f64::midpoint(a1.hypot(b1), a2.hypot(b2)));
    let g = 0.5 * (1.0 - pull);
    let (a1, a2) = ((1.0 + g) * a1, (1.0 + g) * a2);
    let (c1, c2) = (a1.hypot(b1), a2.hypot(b2));
    let (h1, h2) = (hue(a1, b1), hue(a2, b2));
    // 2: differences of lightness, chroma and hue.
    let neutral = c1 * c2 == 0.0;
    let turn = match h2 - h1 {
        _ if neutral => 0.0,
        turn if turn > PI => turn - TAU,
        turn if turn < -PI => turn + TAU,
        turn => turn,
    };
    let (dl, dc, dh) = (l2 - l1, c2 - c1, 2.0 * (c1 * c2).sqrt() * (turn / 2.0).sin());
    // 3: means and the weights they give.
    let (l, c) = (f64::midpoint(l1, l2), f64::midpoint(c1, c2));
    let h = match h1 + h2 {
        sum if neutral => sum,
        sum if (h1 - h2).abs() <= PI => sum / 2.0,
        sum if sum < TAU => (sum + TAU) / 2.0,
        sum => (sum - TAU) / 2.0,
    };
    let degrees = |degrees: f64| degrees.to_radians();
    let t = 1.0 - 0.17 * (h - degrees(30.0)).cos() + 0.24 * (2.0 * h).cos() + 0.32 * (3.0 * h + degrees(6.0)).cos()
        - 0.20 * (4.0 * h - degrees(63.0)).cos();
    let bend = degrees(30.0) * (-((h.to_degrees() - 275.0) / 25.0).powi(2)).exp();
    let middle = (l - 50.0).powi(2);
    let sl = 1.0 + 0.015 * middle / (20.0 + middle).sqrt();
    let sc = 1.0 + 0.045 * c;
    let sh = 1.0 + 0.015 * c * t;
    let rotation = -(2.0 * bend).sin() * 2.0 * self::pull(c);
    let (dl, dc, dh) = (dl / sl, dc / sc, dh / sh);
    (dl * dl + dc * dc + dh * dh + rotation * dc * dh).max(0.0).sqrt()
}

/// √(C⁷ / (C⁷ + 25⁷)): from 0 for neutrals to 1 for strong colours.
fn pull(chroma: f64) -> f64 {
    let seventh = chroma.powi(7);
    (seventh / (seventh + 25_f64.powi(7))).sqrt()
}

/// Hue angle in 0..2π; 0 for neutrals.
fn hue(a: f64, b: f64) -> f64 {
    if a == 0.0 && b == 0.0 { 0.0 } else { b.atan2(a).rem_euclid(TAU) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs 1 to 34 of the paper's table 1.
    const PAIRS: [([f64; 3], [f64; 3], f64); 34] = [
        ([50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485], 2.0425),
        ([50.0, 3.1571, -77.2803], [50.0, 0.0, -82.7485], 2.8615),
        ([50.0, 2.8361, -74.0200], [50.0, 0.0, -82.7485], 3.4412),
        ([50.0, -1.3802, -84.2814], [50.0, 0.0, -82.7485], 1.0),
        ([50.0, -1.1848, -84.8006], [50.0, 0.0, -82.7485], 1.0),
        ([50.0, -0.9009, -85.5211], [50.0, 0.0, -82.7485], 1.0),
        ([50.0, 0.0, 0.0], [50.0, -1.0, 2.0], 2.3669),
        ([50.0, -1.0, 2.0], [50.0, 0.0, 0.0], 2.3669),
        ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0009], 7.1792),
        ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0010], 7.1792),
        ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0011], 7.2195),
        ([50.0, 2.49, -0.001], [50.0, -2.49, 0.0012], 7.2195),
        ([50.0, -0.001, 2.49], [50.0, 0.0009, -2.49], 4.8045),
        ([50.0, -0.001, 2.49], [50.0, 0.0010, -2.49], 4.8045),
        ([50.0, -0.001, 2.49], [50.0, 0.0011, -2.49], 4.7461),
        ([50.0, 2.5, 0.0], [50.0, 0.0, -2.5], 4.3065),
        ([50.0, 2.5, 0.0], [73.0, 25.0, -18.0], 27.1492),
        ([50.0, 2.5, 0.0], [61.0, -5.0, 29.0], 22.8977),
        ([50.0, 2.5, 0.0], [56.0, -27.0, -3.0], 31.9030),
        ([50.0, 2.5, 0.0], [58.0, 24.0, 15.0], 19.4535),
        ([50.0, 2.5, 0.0], [50.0, 3.1736, 0.5854], 1.0),
        ([50.0, 2.5, 0.0], [50.0, 3.2972, 0.0], 1.0),
        ([50.0, 2.5, 0.0], [50.0, 1.8634, 0.5757], 1.0),
        ([50.0, 2.5, 0.0], [50.0, 3.2592, 0.3350], 1.0),
        ([60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387], 1.2644),
        ([63.0109, -31.0961, -5.8663], [62.8187, -29.7946, -4.0864], 1.2630),
        ([61.2901, 3.7196, -5.3901], [61.4292, 2.2480, -4.9620], 1.8731),
        ([35.0831, -44.1164, 3.7933], [35.0232, -40.0716, 1.5901], 1.8645),
        ([22.7233, 20.0904, -46.6940], [23.0331, 14.9730, -42.5619], 2.0373),
        ([36.4612, 47.8580, 18.3852], [36.2715, 50.5065, 21.2231], 1.4146),
        ([90.8027, -2.0831, 1.4410], [91.1528, -1.6435, 0.0447], 1.4441),
        ([90.9257, -0.5406, -0.9208], [88.6381, -0.8985, -0.7239], 1.5381),
        ([6.7747, -0.2908, -2.4247], [5.8714, -0.0985, -2.2286], 0.6377),
        ([2.0776, 0.0795, -1.1350], [0.9033, -0.0636, -0.5514], 0.9082),
    ];

    #[test]
    fn the_published_pairs_have_the_published_differences() {
        for (index, (one, other, published)) in PAIRS.into_iter().enumerate() {
            for found in [difference(one, other), difference(other, one)] {
                assert!((found - published).abs() < 1e-4, "pair {}: {found} is not {published}", index + 1);
            }
        }
    }
}
