//! How deep JSON text nests: whoever reads a record may use a reader that stops at about 128 levels.

/// Deepest nesting of `meta` and `params`, and of what workers answer. Readers stop at about 128 levels (`serde_json`
/// does), and a record wraps the value in a few of its own.
pub const MAX_DEPTH: usize = 100;

/// Whether arrays and objects nest deeper than `limit`. One pass without a stack; the text need not be JSON.
pub fn is_deeper_than(json: &[u8], limit: usize) -> bool {
    // Counting brackets is quicker than following them, and few records have so many.
    let brackets = json.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
    brackets > limit && deepest(json) > limit
}

fn deepest(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text) = (0_usize, 0, false);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            b'\\' if in_text => _ = bytes.next(),
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_where_they_nest() {
        assert_eq!(deepest(br#"{"a": [[1], {"b": [2]}], "c": [[]]}"#), 4);
        assert_eq!(deepest(b"7"), 0);
        assert_eq!(deepest(b"]]]["), 1, "junk");
    }

    #[test]
    fn brackets_inside_of_texts_do_not_count() {
        assert_eq!(deepest(br#"{"a[[[": "{{{\"[[[", "b": "\\", "c": [1]}"#), 2);
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert!(!is_deeper_than(nested(100).as_bytes(), 100));
        assert!(is_deeper_than(nested(101).as_bytes(), 100));
        assert!(!is_deeper_than("[]".repeat(1_000).as_bytes(), 100), "many, but side by side");
    }
}
