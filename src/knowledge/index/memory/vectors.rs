//! Vectors in a byte for a number, compared with a question's.
//!
//! Every vector has its own scale, so that its largest number is ±127. That takes a quarter of the room of `f32`, and as
//! the memory's speed is what bounds a search through many of them, about a quarter of the time. The cosine is then off by
//! less than a thousandth. Sums are whole numbers, which the compiler may add in any order and so in vectors.

/// The largest number of a stored vector.
const STORED: f32 = 127.0;
/// The largest number of a question's: the product with a stored one, times 8,000 of them, is within an `i32`.
const ASKED: f32 = 2047.0;

/// Numbers that are multiplied at a time. With so many, the compiler widens them in one go and multiplies pairs, which is
/// twice as fast as what it makes of one long sum.
const LANES: usize = 32;

/// Vectors of one length.
#[derive(Debug, Default)]
pub(super) struct Vectors {
    dimension: usize,
    /// Each filled up with zeros to a multiple of [`LANES`].
    numbers: Vec<[i8; LANES]>,
    /// What a vector's numbers are to be multiplied with to give it the length 1.
    scales: Vec<f32>,
}

/// A question's vector, prepared.
#[derive(Debug)]
pub(super) struct Asked {
    dimension: usize,
    numbers: Vec<[i16; LANES]>,
    scale: f32,
}

impl Vectors {
    pub(super) fn new(dimension: usize) -> Self {
        Self { dimension, ..Self::default() }
    }

    pub(super) const fn dimension(&self) -> usize {
        self.dimension
    }

    /// Adds one; of another length, it is like nothing.
    pub(super) fn push(&mut self, vector: &[f32]) {
        let (largest, length) = measure(vector);
        if vector.len() != self.dimension || largest == 0.0 {
            self.numbers.extend(std::iter::repeat_n([0; LANES], self.width()));
            self.scales.push(0.0);
            return;
        }
        let factor = STORED / largest;
        #[expect(clippy::cast_possible_truncation, reason = "within ±127, and a cast of floats saturates")]
        let stored = |x: f32| (x * factor).round() as i8;
        self.numbers.extend(vector.chunks(LANES).map(|part| lanes(part, stored)));
        self.scales.push(1.0 / (factor * length));
    }

    /// Adds one of another list of the same length as it is.
    pub(super) fn push_from(&mut self, other: &Self, row: usize) {
        self.numbers.extend_from_slice(other.numbers(row));
        self.scales.push(other.scales[row]);
    }

    pub(super) fn shrink(&mut self) {
        self.numbers.shrink_to_fit();
        self.scales.shrink_to_fit();
    }

    pub(super) fn bytes(&self) -> usize {
        self.numbers.capacity() * LANES + self.scales.capacity() * size_of::<f32>()
    }

    /// Parts of a vector.
    const fn width(&self) -> usize {
        self.dimension.div_ceil(LANES)
    }

    fn numbers(&self, row: usize) -> &[[i8; LANES]] {
        &self.numbers[row * self.width()..(row + 1) * self.width()]
    }

    /// The cosine of a row and a question of this list's length.
    pub(super) fn cosine(&self, row: usize, asked: &Asked) -> f32 {
        scaled(self.numbers(row), &asked.numbers, self.scales[row] * asked.scale)
    }

    /// The cosines of all rows, in order.
    pub(super) fn cosines<'a>(&'a self, asked: &'a Asked) -> impl Iterator<Item = f32> + 'a {
        let rows = self.numbers.chunks_exact(self.width().max(1)).zip(&self.scales);
        rows.map(|(numbers, scale)| scaled(numbers, &asked.numbers, scale * asked.scale))
    }
}

impl Asked {
    /// `None` when it has no direction.
    pub(super) fn new(vector: &[f32]) -> Option<Self> {
        let (largest, length) = measure(vector);
        if !(largest > 0.0 && length.is_finite()) {
            return None;
        }
        let factor = ASKED / largest;
        #[expect(clippy::cast_possible_truncation, reason = "within ±2047, and a cast of floats saturates")]
        let asked = |x: f32| (x * factor).round() as i16;
        let numbers = vector.chunks(LANES).map(|part| lanes(part, asked)).collect();
        Some(Self { dimension: vector.len(), numbers, scale: 1.0 / (factor * length) })
    }

    pub(super) const fn dimension(&self) -> usize {
        self.dimension
    }
}

fn lanes<T: Default + Copy>(part: &[f32], number: impl Fn(f32) -> T) -> [T; LANES] {
    std::array::from_fn(|i| part.get(i).map_or_else(T::default, |x| number(*x)))
}

fn measure(vector: &[f32]) -> (f32, f32) {
    let largest = vector.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    (largest, vector.iter().map(|x| x * x).sum::<f32>().sqrt())
}

#[expect(clippy::cast_precision_loss, reason = "a cosine is not that exact")]
fn scaled(stored: &[[i8; LANES]], asked: &[[i16; LANES]], scale: f32) -> f32 {
    stored.iter().zip(asked).map(|(a, b)| dot(a, b)).sum::<i32>() as f32 * scale
}

fn dot(stored: &[i8; LANES], asked: &[i16; LANES]) -> i32 {
    let wide: [i16; LANES] = std::array::from_fn(|i| i16::from(stored[i]));
    wide.iter().zip(asked).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn exact(a: &[f32], b: &[f32]) -> f32 {
        let dot: f32 = a.iter().zip(b).map(|(x, y)| x * y).sum();
        dot / (measure(a).1 * measure(b).1)
    }

    #[test]
    fn what_has_no_direction_is_like_nothing() {
        let mut vectors = Vectors::new(2);
        vectors.push(&[0.0, 0.0]);
        vectors.push(&[1.0]);
        let asked = Asked::new(&[3.0, 4.0]).expect("a direction");
        assert_eq!(vectors.cosines(&asked).collect::<Vec<_>>(), [0.0, 0.0]);
        assert!(Asked::new(&[0.0, 0.0]).is_none() && Asked::new(&[]).is_none() && Asked::new(&[f32::NAN]).is_none());
    }

    #[test]
    fn the_largest_sums_fit() {
        let long = vec![-1.0; 8000];
        let mut vectors = Vectors::new(long.len());
        vectors.push(&long);
        let asked = Asked::new(&long).expect("a direction");
        assert!((vectors.cosine(0, &asked) - 1.0).abs() < 1e-4);
    }

    proptest! {
        #[test]
        fn cosines_are_nearly_exact(
            rows in prop::collection::vec(prop::collection::vec(-1.0f32..1.0, 50), 1..8),
            question in prop::collection::vec(-1.0f32..1.0, 50),
        ) {
            let mut vectors = Vectors::new(50);
            rows.iter().for_each(|row| vectors.push(row));
            let Some(asked) = Asked::new(&question) else { return Ok(()) };
            for (i, found) in vectors.cosines(&asked).enumerate() {
                prop_assert!((found - exact(&rows[i], &question)).abs() < 0.005, "{found} {}", exact(&rows[i], &question));
                prop_assert_eq!(found, vectors.cosine(i, &asked));
            }
        }
    }
}
