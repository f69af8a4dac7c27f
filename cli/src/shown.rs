//! Text of somebody else (ids, names, messages, logs) as a terminal may get it: what would move the cursor, change
//! colours, begin a line or turn the writing direction is shown as an escape. Pure.

use std::borrow::Cow;

/// One line. Tabs count as control characters too.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    if !text.contains(acts) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if acts(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The lines of a log; its tabs, which indent most often, become spaces.
pub(crate) fn log(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|row| line(&row.replace('\t', "    ")).into_owned())
}

/// Whether a terminal does something else with the character than to show it: control characters (Unicode Cc), line and
/// paragraph separators, and those that turn the direction (Unicode TR9).
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_and_nothing_else() {
        for (text, shown) in [
            ("Été 2026 \\ «ok» 数据", "Été 2026 \\ «ok» 数据"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("one\ntwo\r\tx", "one\\ntwo\\r\\tx"),
            ("\u{9b}2J\u{7f}\0", "\\u{9b}2J\\u{7f}\\u{0}"),
            ("safe\u{202e}exe.cod", "safe\\u{202e}exe.cod"),
        ] {
            assert_eq!(line(text), shown);
        }
    }

    #[test]
    fn a_log_keeps_its_lines_and_its_indentation() {
        assert_eq!(log("a\r\n\tat b\u{7}\n").collect::<Vec<_>>(), ["a", "    at b\\u{7}"]);
    }
}
