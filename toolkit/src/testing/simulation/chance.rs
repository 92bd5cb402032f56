//! Chance from a seed, the same on every machine.

/// Mixes a word well (the finaliser of SplitMix64).
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// A sequence of random numbers (SplitMix64), from a seed: for stories and for whoever needs chance that
/// can be repeated.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The dice of one purpose under a seed: what others draw does not shift what it draws.
    #[must_use]
    pub fn of(seed: u64, purpose: &str, number: u64) -> Self {
        let mut hash = StableHash::new();
        hash.number(seed);
        hash.text(purpose);
        hash.number(number);
        Self(mix(hash.value()))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// A number below `bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.bits() % bound }
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// An index below `count`; 0 when there is none.
    pub fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap_or(0)
    }

    /// A number from 0 to below 1.
    pub fn fraction(&mut self) -> f64 {
        // 53 bits are what a double holds; the cast is exact.
        #[allow(clippy::cast_precision_loss)]
        let bits = (self.bits() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// True once in `1 / probability` times.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }
}

/// FNV-1a, 64 bits: stable over machines, versions and runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StableHash(u64);

impl StableHash {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Its length first, so that `ab` + `c` is not `a` + `bc`.
    pub(super) fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.bytes(text.as_bytes());
    }

    pub(super) fn value(&self) -> u64 {
        self.0
    }
}

impl std::fmt::Write for StableHash {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_for_ever() {
        let mut dice = Dice::new(7);
        assert_eq!([dice.bits(), dice.bits()], [0x63cb_e1e4_5932_0dd7, 0x044c_3cd7_f43c_661c]);
        let mut hash = StableHash::new();
        hash.bytes(b"foobar");
        assert_eq!(hash.value(), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn purposes_do_not_shift_each_other() {
        assert_ne!(Dice::of(1, "a", 0).bits(), Dice::of(1, "b", 0).bits());
        assert_ne!(Dice::of(1, "a", 0).bits(), Dice::of(1, "a", 1).bits());
        assert_ne!(Dice::of(1, "a", 0).bits(), Dice::of(2, "a", 0).bits());
    }

    #[test]
    fn fractions_and_bounds_hold() {
        let mut dice = Dice::new(1);
        for _ in 0..1000 {
            assert!((0.0..1.0).contains(&dice.fraction()));
            assert!((3..=5).contains(&dice.between(3, 5)));
        }
        assert_eq!((dice.below(0), dice.index(0)), (0, 0));
    }
}
