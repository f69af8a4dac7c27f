//! Durations as people write them: `500ms`, `1.5s`, `2h30m`.

use thiserror::Error;

use crate::id::Millis;

/// A text is no duration that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDuration {
    /// It is not written as one.
    #[error("`{0}` is no duration: write numbers with ms, s, m or h, such as 500ms, 1.5s or 2h30m")]
    Malformed(String),
    /// It is longer than anybody waits.
    #[error("`{0}` is longer than a hundred years, the longest duration")]
    TooLong(String),
}

/// Longest duration: ten thousand years would overflow nothing, a hundred are enough.
const MAX_MS: f64 = 100.0 * 365.0 * 24.0 * 3_600_000.0;

/// Reads `^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$` as milliseconds; fractions of a millisecond are rounded.
pub fn parse(text: &str) -> Result<Millis, InvalidDuration> {
    let invalid = || InvalidDuration::Malformed(text.to_owned());
    if text.is_empty() {
        return Err(invalid());
    }
    let mut rest = text;
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(invalid)?;
        let (number, tail) = rest.split_at(digits);
        let well_formed = number.starts_with(|c: char| c.is_ascii_digit())
            && number.ends_with(|c: char| c.is_ascii_digit())
            && number.matches('.').count() <= 1;
        let value: f64 = number.parse().ok().filter(|_| well_formed).ok_or_else(invalid)?;
        // `ms` before `m`: the longer unit wins.
        let (unit_ms, unit_len) = [("ms", 1.0), ("s", 1_000.0), ("m", 60_000.0), ("h", 3_600_000.0)]
            .into_iter()
            .find(|(unit, _)| tail.starts_with(unit))
            .map(|(unit, ms)| (ms, unit.len()))
            .ok_or_else(invalid)?;
        total += value * unit_ms;
        rest = &tail[unit_len..];
    }
    if total > MAX_MS { Err(InvalidDuration::TooLong(text.to_owned())) } else { Ok(total.round() as Millis) }
}

/// Writes milliseconds for people: `0.4s`, `42s`, `3m05s`, `2h00m`.
pub fn display(ms: Millis) -> String {
    let ms = ms.max(0);
    match ms {
        0..10_000 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
        10_000..60_000 => format!("{}s", ms / 1_000),
        60_000..3_600_000 => format!("{}m{:02}s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{}h{:02}m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        let cases = [
            ("500ms", 500),
            ("1s", 1_000),
            ("1.5s", 1_500),
            ("2h30m", 9_000_000),
            ("1m1s1ms", 61_001),
            ("0s", 0),
        ];
        for (text, ms) in cases {
            assert_eq!(parse(text), Ok(ms), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in ["", "5", "s", "-1s", "1 s", "1.s", ".5s", "1d", "1..2s", "1.2.3s", "1e3s"] {
            assert_eq!(parse(text), Err(InvalidDuration::Malformed(text.to_owned())));
        }
        let long = "999999999999h";
        assert_eq!(parse(long), Err(InvalidDuration::TooLong(long.to_owned())), "it is written as one");
    }

    #[test]
    fn writes_for_people() {
        let cases = [(0, "0.0s"), (430, "0.4s"), (42_000, "42s"), (185_000, "3m05s"), (7_200_000, "2h00m")];
        for (ms, text) in cases {
            assert_eq!(display(ms), text);
        }
    }
}
