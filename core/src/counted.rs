//! Counts in sentences.

/// A number and what it counts: `1 object`, `2 objects`, `3 dependencies`.
pub fn counted(n: usize, noun: &str) -> String {
    match (n, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{n} {stem}ies"),
        (_, None) => format!("{n} {noun}s"),
    }
}

/// A number with a comma between thousands: `1,000,000`.
pub fn grouped(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The verb behind a count: `is` or `are`.
pub fn are(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one_and_all_else_are_many() {
        let of = |n| format!("{} {}, {}", counted(n, "object"), are(n), counted(n, "dependency"));
        assert_eq!(of(0), "0 objects are, 0 dependencies");
        assert_eq!(of(1), "1 object is, 1 dependency");
        assert_eq!(of(2), "2 objects are, 2 dependencies");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 999, 1_000, 65_535, 1_000_000].map(grouped),
            ["0", "999", "1,000", "65,535", "1,000,000"]
        );
    }
}
