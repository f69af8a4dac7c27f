//! Chance that can be repeated.

/// A stream of numbers from a seed: SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Chance(u64);

impl Chance {
    /// From `ORCH_TEST_SEED`, else from the clock; the seed is printed.
    pub(crate) fn new() -> Self {
        let seed = std::env::var("ORCH_TEST_SEED").map_or_else(
            |_| orch_e2e::executions::now_ms() as u64,
            |text| text.parse().expect("ORCH_TEST_SEED is a number"),
        );
        println!("ORCH_TEST_SEED={seed} repeats these choices");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// In any order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}
