//! The view: a pure function from a [`Snapshot`] to a frame of any size.

use mqtt_core::ConnectionState;
use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span},
    widgets::{Block, Paragraph},
};

use crate::board::{Snapshot, TaskRow};

/// Rows of the two blocks at the top, with their borders.
const TOP: u16 = 7;
/// Columns of the name of a task, and of its times.
const NAME: u16 = 13;
const TIMES: u16 = 17;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, shown: &Snapshot) {
    let tasks = u16::try_from(shown.tasks.len()).unwrap_or(u16::MAX).saturating_add(2);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(TOP),
        Constraint::Max(tasks),
        Constraint::Min(3),
    ]);
    let [head, top, middle, bottom] = rows.areas(frame.area());
    let [left, right] = Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(top);
    frame.render_widget(title(shown, head.width), head);
    frame.render_widget(Paragraph::new(link(shown)).block(Block::bordered().title(" link ")), left);
    let messages = Block::bordered().title(" messages ");
    frame.render_widget(Paragraph::new(self::messages(shown)).block(messages), right);
    let block = Block::bordered().title(" tasks: the rest of each deadline ");
    let inner = block.inner(middle);
    frame.render_widget(block, middle);
    let rows: Vec<Line<'_>> = shown.tasks.iter().map(|row| task(row, inner)).collect();
    frame.render_widget(Paragraph::new(rows), inner);
    let block = Block::bordered().title(" events ");
    let lines = events(shown, block.inner(bottom));
    frame.render_widget(Paragraph::new(lines).block(block), bottom);
}

fn title(shown: &Snapshot, width: u16) -> Line<'static> {
    let left = format!(" {}", shown.name);
    let right = format!("up {}   q: end ", uptime(shown.uptime));
    let gap = usize::from(width).saturating_sub(left.chars().count() + right.chars().count());
    Line::from(format!("{left}{}{right}", " ".repeat(gap)))
        .style(Style::new().add_modifier(Modifier::REVERSED))
}

/// A line of a name and its value.
fn fact(name: &'static str, value: impl Into<Span<'static>>) -> Line<'static> {
    let name = Span::styled(format!(" {name:<13}"), Style::new().fg(Color::DarkGray));
    Line::from(vec![name, value.into()])
}

fn link(shown: &Snapshot) -> Vec<Line<'static>> {
    let is_up = shown.link == ConnectionState::Up;
    let colour = if is_up { Color::Green } else { Color::Yellow };
    let state = Span::styled(format!("● {}", shown.link_word()), Style::new().fg(colour));
    let broker = if shown.broker.is_empty() { "none yet".into() } else { shown.broker.clone() };
    vec![
        fact("state", state),
        fact("broker", broker),
        fact("round trip", shown.round_trip()),
        fact("connections", shown.counters.connections.to_string()),
        fact("bites", shown.hardware.clone()),
    ]
}

fn messages(shown: &Snapshot) -> Vec<Line<'static>> {
    let figures = &shown.figures;
    let is_up = shown.link == ConnectionState::Up;
    let (queue, in_flight) = if is_up { (0, shown.unanswered) } else { (shown.unanswered, 0) };
    let dropped = figures.dropped;
    let colour = if dropped == 0 { Color::Reset } else { Color::Red };
    vec![
        fact("queue", queue.to_string()),
        fact("in flight", in_flight.to_string()),
        fact("readings", format!("{} accepted", figures.accepted)),
        fact("dropped", Span::styled(dropped.to_string(), Style::new().fg(colour))),
        fact("acknowledged", figures.acknowledged.to_string()),
    ]
}

fn task(row: &TaskRow, area: Rect) -> Line<'static> {
    let colour = match (row.left.saturating_mul(100)).checked_div(row.deadline).unwrap_or(0) {
        0..20 => Color::Red,
        20..50 => Color::Yellow,
        _ => Color::Green,
    };
    let width = usize::from(area.width.saturating_sub(NAME + TIMES + 2));
    let bar = bar(row, width);
    let times = format!("{} of {}", seconds(row.left), seconds(row.deadline));
    let name: String = row.name.chars().take(usize::from(NAME) - 1).collect();
    Line::from(vec![
        Span::raw(format!(" {name:<0$}", usize::from(NAME) - 1)),
        Span::styled(bar.0, Style::new().fg(colour)),
        Span::styled(bar.1, Style::new().fg(Color::DarkGray)),
        Span::raw(format!("{times:>0$} ", usize::from(TIMES))),
    ])
}

/// The filled and the empty part of a bar. Only a task that starves has no filled part.
fn bar(row: &TaskRow, width: usize) -> (String, String) {
    let (left, deadline) = (u64::from(row.left), u64::from(row.deadline.max(1)));
    let filled = (left * width as u64).div_ceil(deadline);
    let filled = usize::try_from(filled).unwrap_or(width).min(width);
    ("█".repeat(filled), "░".repeat(width - filled))
}

/// The last lines that fit.
fn events(shown: &Snapshot, area: Rect) -> Vec<Line<'static>> {
    let first = shown.lines.len().saturating_sub(area.height.into());
    let lines = shown.lines.iter().skip(first);
    let lines = lines.map(|line| {
        let at = format!(" {:>6}.{} s  ", line.at / 1_000, line.at % 1_000 / 100);
        let at = Span::styled(at, Style::new().fg(Color::DarkGray));
        Line::from(vec![at, Span::raw(line.text.clone())])
    });
    lines.collect()
}

fn seconds(millis: u32) -> String {
    match millis / 1_000 {
        seconds @ 0..100 => format!("{seconds}.{} s", millis % 1_000 / 100),
        seconds => format!("{seconds} s"),
    }
}

fn uptime(millis: u64) -> String {
    let seconds = millis / 1_000;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

#[cfg(test)]
mod tests;
