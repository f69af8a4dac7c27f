//! Tables as text: the first column and texts to the left, numbers to the right.

use crate::printer::{Paint, Tone};
use crate::shown;

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    right: bool,
    tone: Option<Tone>,
}

impl Cell {
    /// A text.
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self { text: shown::line(text.as_ref()).into_owned(), right: false, tone: None }
    }

    /// A text at the right end of its column, as numbers are.
    pub(crate) fn right(text: impl AsRef<str>) -> Self {
        Self { right: true, ..Self::text(text) }
    }

    /// A number.
    pub(crate) fn number(number: usize) -> Self {
        Self::right(number.to_string())
    }

    /// The cell with the colour of its meaning.
    pub(crate) fn tone(self, tone: Tone) -> Self {
        Self { tone: Some(tone), ..self }
    }

    /// The cell with the colour of its meaning when `condition` holds.
    pub(crate) fn tone_if(self, condition: bool, tone: Tone) -> Self {
        if condition { self.tone(tone) } else { self }
    }
}

/// The rows as lines, each indented by two spaces.
pub(crate) fn render(rows: &[Vec<Cell>], paint: Paint) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let gap = " ".repeat(width - cell.text.chars().count());
            let shown = cell.tone.map_or_else(|| cell.text.clone(), |tone| paint.paint(tone, &cell.text));
            let (first, second) = if cell.right { (gap, shown) } else { (shown, gap) };
            line.extend(["  ", &first, &second]);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [
            vec![Cell::text("STAGE"), Cell::right("TOTAL"), Cell::text("NOTE")],
            vec![Cell::text("été"), Cell::number(7), Cell::text("")],
        ];
        assert_eq!(render(&rows, Paint::OFF), "  STAGE  TOTAL  NOTE\n  été        7\n");
    }
}
