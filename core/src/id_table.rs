//! A hash table from text to small numbers. It holds the first bytes of each name and no more: the caller keeps the
//! names, and compares those that are longer.
//!
//! Half the memory of a `HashMap<ObjectId, ObjectIx>`, and a quarter of the time at a million ids: there each look-up
//! follows two pointers, and each of them misses every cache.

use std::hash::{BuildHasher, RandomState};

/// Numbers by name. Open addressing with linear probing, at most half full.
#[derive(Debug, Clone)]
pub(crate) struct IdTable {
    /// The length is a power of two.
    slots: Vec<Slot>,
    len: usize,
    /// Differs from table to table: nobody can prepare ids that collide. It decides no result, because nothing walks
    /// over the slots.
    seed: u64,
}

/// A name and its number in sixteen bytes, so that four share a cache line.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    /// [`EMPTY`] when free.
    number: u32,
}

/// What a table needs to know of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    /// Up to seven bytes of the name, and above them its length, [`LONGER`] when there are more bytes.
    head: u64,
    hash: u32,
}

const EMPTY: u32 = u32::MAX;
const LONGER: u64 = 8;
/// Odd, with about as many ones as zeros: the fractional part of the golden ratio.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

impl IdTable {
    /// An empty table with room for `expected` names.
    pub(crate) fn with_capacity(expected: usize) -> Self {
        let slots = (expected.max(8) * 2).next_power_of_two();
        Self { slots: vec![Slot::FREE; slots], len: 0, seed: RandomState::new().hash_one(0) }
    }

    /// The key of a name in this table.
    pub(crate) fn key(&self, name: &[u8]) -> Key {
        let mut hash = mix(self.seed ^ name.len() as u64);
        let mut rest = name;
        while let Some((word, tail)) = rest.split_first_chunk::<8>() {
            hash = mix(hash ^ u64::from_le_bytes(*word));
            rest = tail;
        }
        let last = short_word(rest);
        let head = if name.len() < 8 {
            last | (name.len() as u64) << 56
        } else {
            short_word(&name[..7]) | LONGER << 56
        };
        Key { head, hash: (mix(hash ^ last) >> 32) as u32 }
    }

    /// The number of the name with this key; `is_name` compares the name of a candidate.
    pub(crate) fn find(&self, key: Key, mut is_name: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut at = key.hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot.number == EMPTY {
                return None;
            }
            if slot.key == key && (key.is_whole() || is_name(slot.number)) {
                return Some(slot.number);
            }
            at = (at + 1) & mask;
        }
    }

    /// The numbers whose names [`IdTable::find`] will most likely ask for. A memory access that misses all caches takes
    /// longer than everything else about a name; asked for in one go, many are under way at once. So a caller with
    /// many names first asks this, touches the names it gives, and then looks up.
    pub(crate) fn likely(&self, keys: &[Key], numbers: &mut Vec<u32>) {
        let mask = self.slots.len() - 1;
        numbers.clear();
        numbers.extend(keys.iter().filter_map(|key| {
            let slot = self.slots[key.hash as usize & mask];
            (slot.key == *key && !key.is_whole()).then_some(slot.number)
        }));
    }

    /// Adds a name that is not in the table. `number` is below `u32::MAX`.
    pub(crate) fn insert(&mut self, key: Key, number: u32) {
        if (self.len + 1) * 2 > self.slots.len() {
            let doubled = vec![Slot::FREE; self.slots.len() * 2];
            for slot in std::mem::replace(&mut self.slots, doubled) {
                if slot.number != EMPTY {
                    self.place(slot);
                }
            }
        }
        self.place(Slot { key, number });
        self.len += 1;
    }

    fn place(&mut self, slot: Slot) {
        let mask = self.slots.len() - 1;
        let mut at = slot.key.hash as usize & mask;
        while self.slots[at].number != EMPTY {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
    }
}

impl Slot {
    const FREE: Self = Self { key: Key { head: 0, hash: 0 }, number: EMPTY };
}

impl Key {
    /// Whether the key holds the whole name, so that equal keys are equal names.
    fn is_whole(self) -> bool {
        self.head >> 56 != LONGER
    }
}

/// Multiplies to 128 bits and folds the halves: each bit of the input reaches each bit of the result.
fn mix(word: u64) -> u64 {
    let product = u128::from(word) * u128::from(MULTIPLIER);
    (product as u64) ^ ((product >> 64) as u64)
}

/// At most seven bytes as one word.
fn short_word(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_inserted_and_nothing_else() {
        let long = |n: u32| format!("a-name-of-more-than-eight-bytes-{n}");
        let names: Vec<String> = (0..5_000).flat_map(|n| [format!("n{n}"), long(n)]).collect();
        let mut table = IdTable::with_capacity(0);
        for (number, name) in (0..).zip(&names) {
            let key = table.key(name.as_bytes());
            assert_eq!(table.find(key, |held| names[held as usize] == *name), None);
            table.insert(key, number);
        }
        for (number, name) in (0..).zip(&names) {
            let key = table.key(name.as_bytes());
            assert_eq!(table.find(key, |held| names[held as usize] == *name), Some(number));
        }
        for absent in ["", "n", "n5000", "x", "n00", &long(5_000)] {
            let key = table.key(absent.as_bytes());
            assert_eq!(table.find(key, |held| names[held as usize] == absent), None);
        }
    }

    #[test]
    fn equal_keys_of_long_names_do_not_make_them_equal() {
        let mut table = IdTable::with_capacity(0);
        let key = table.key(b"eight-bytes-and-more");
        table.insert(key, 1);
        table.insert(key, 2);
        assert_eq!(table.find(key, |number| number == 2), Some(2));
        assert_eq!(table.find(key, |_| false), None);
        let mut likely = Vec::new();
        table.likely(&[key, table.key(b"short")], &mut likely);
        assert_eq!(likely, [1]);
    }

    #[test]
    fn short_names_that_differ_have_different_keys() {
        let table = IdTable::with_capacity(0);
        let names: [&[u8]; 8] = [b"", b"\0", b"\0\0", b"a", b"\0a", b"aaaaaaa", b"aaaaaaaa", b"aaaaaaab"];
        for (i, one) in names.iter().enumerate() {
            for other in &names[..i] {
                assert_ne!(table.key(one), table.key(other), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn names_that_differ_in_one_byte_have_different_hashes() {
        let table = IdTable::with_capacity(0);
        let base = *b"abcdefghijklmnop";
        for len in 1..=base.len() {
            for at in 0..len {
                let mut other = base;
                other[at] ^= 1;
                assert_ne!(table.key(&base[..len]).hash, table.key(&other[..len]).hash, "{len} {at}");
            }
        }
    }
}
