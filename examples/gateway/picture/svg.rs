//! A buffer of cells as an SVG.

use std::fmt::Write;

use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};

/// Size of a cell in pixels.
const CELL: (usize, usize) = (9, 18);
/// From the top of a cell to the base line of its text.
const BASE: usize = 14;
const MARGIN: usize = 10;
const BACKGROUND: &str = "#16181d";
const FOREGROUND: &str = "#d8dce4";

/// The picture of `buffer`.
pub(crate) fn of(buffer: &Buffer) -> String {
    let (columns, rows) = (usize::from(buffer.area.width), usize::from(buffer.area.height));
    let (width, height) = (columns * CELL.0 + 2 * MARGIN, rows * CELL.1 + 2 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"15\" xml:space=\"preserve\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n"
    );
    for (row, cells) in buffer.content().chunks(columns.max(1)).enumerate() {
        let mut column = 0;
        // Cells of one style that follow each other are one text.
        for run in cells.chunk_by(|a, b| colours(a) == colours(b)) {
            let text: String = run.iter().map(Cell::symbol).collect();
            if let Some(first) = run.first() {
                put(&mut svg, (column, row), run.len(), &text, colours(first));
            }
            column += run.len();
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn put(
    svg: &mut String,
    (column, row): (usize, usize),
    count: usize,
    text: &str,
    (colour, ground): (&str, &str),
) {
    let (x, y) = (MARGIN + column * CELL.0, MARGIN + row * CELL.1);
    let width = count * CELL.0;
    // A string takes everything.
    if ground != BACKGROUND {
        let height = CELL.1;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{ground}\"/>"
        );
    }
    if text.trim().is_empty() {
        return;
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let base = y + BASE;
    // Whatever the font is, a text is as wide as its cells.
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{base}\" textLength=\"{width}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{colour}\">{text}</text>"
    );
}

/// The colours of text and ground.
fn colours(cell: &Cell) -> (&'static str, &'static str) {
    let (text, ground) = (colour(cell.fg, FOREGROUND), colour(cell.bg, BACKGROUND));
    if cell.modifier.contains(Modifier::REVERSED) { (ground, text) } else { (text, ground) }
}

/// The colours that the view uses.
const COLOURS: [(Color, &str); 4] = [
    (Color::Red, "#e06c75"),
    (Color::Yellow, "#e5c07b"),
    (Color::Green, "#8ec07c"),
    (Color::DarkGray, "#7d8799"),
];

fn colour(colour: Color, default: &'static str) -> &'static str {
    COLOURS.iter().find(|(known, _)| *known == colour).map_or(default, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use ratatui::{layout::Rect, style::Style};

    use super::*;

    #[test]
    fn runs_of_one_style_are_one_text_and_markup_is_escaped() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 2));
        buffer.set_string(0, 0, "a<&", Style::new());
        buffer.set_string(3, 0, "b", Style::new().fg(Color::Red));
        buffer.set_string(0, 1, "c", Style::new().add_modifier(Modifier::REVERSED));
        let svg = of(&buffer);
        assert!(svg.contains("fill=\"#d8dce4\">a&lt;&amp;</text>"), "{svg}");
        assert!(
            svg.contains("textLength=\"9\" lengthAdjust=\"spacingAndGlyphs\" fill=\"#e06c75\">b<")
        );
        assert!(svg.contains("height=\"18\" fill=\"#d8dce4\"/>\n<text"), "{svg}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
}
