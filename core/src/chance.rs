//! Chance that repeats: what is spread or fails by chance does so alike on every machine and in every fold of one log.

/// A number from 0 up to but not including 1, the same for the same parts: FNV-1a of 64 bits, and the finaliser of
/// `SplitMix64`, because FNV alone leaves the upper bits of short texts alike.
pub fn unit(parts: &[&[u8]]) -> f64 {
    // A byte that no UTF-8 has keeps the parts apart.
    let bytes = parts.iter().flat_map(|part| part.iter().chain(&[0xff]));
    let mut hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^= hash >> 31;
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_parts_are_spread_evenly_and_kept_apart() {
        let mut tenths = [0; 10];
        for n in 0..10_000_u32 {
            tenths[(unit(&[b"run", &n.to_le_bytes()]) * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|n| (900..1_100).contains(n)), "{tenths:?}");
        assert_eq!(unit(&[b"a", b"b"]).to_bits(), unit(&[b"a", b"b"]).to_bits());
        assert_ne!(unit(&[b"ab", b"c"]).to_bits(), unit(&[b"a", b"bc"]).to_bits());
    }
}
