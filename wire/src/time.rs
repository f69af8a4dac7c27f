//! RFC 3339 times with milliseconds in UTC, such as `2026-11-21T08:00:00.123Z`.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;
use orch_core::id::Millis;

const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(3));

/// Writes a time. A time that no calendar holds is written as the nearest one that it does.
pub fn rfc3339(time: Millis) -> String {
    PRINTER.timestamp_to_string(&timestamp(time))
}

/// The same into a buffer.
pub(crate) fn write_rfc3339(out: &mut Vec<u8>, time: Millis) {
    // A `Vec` takes everything.
    let _ = PRINTER.print_timestamp(&timestamp(time), out);
}

fn timestamp(time: Millis) -> Timestamp {
    let nearest = if time < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(time).unwrap_or(nearest)
}

/// Reads a time with any offset and any number of fraction digits; what is below a millisecond is dropped.
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    text.parse::<Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_795_248_000_123, "2026-11-21T08:00:00.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(rfc3339(ms), text);
            assert_eq!(parse_rfc3339(text), Some(ms));
        }
        assert_eq!(parse_rfc3339("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse_rfc3339("yesterday"), None);
    }

    proptest! {
        #[test]
        fn every_time_comes_back(ms in -60_000_000_000_000_i64..250_000_000_000_000) {
            prop_assert_eq!(parse_rfc3339(&rfc3339(ms)), Some(ms));
        }
    }
}
