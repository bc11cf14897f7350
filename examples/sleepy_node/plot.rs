//! The plot: an hour with and without slack, and the figures of a day.

use crate::{
    day::{Day, HOUR},
    figures::label,
    node::Cause,
};

const WIDTH: u64 = 960;
const LEFT: u64 = 110;
/// The hour that is shown.
const FROM: u64 = 4 * HOUR;
/// Pixels of an hour, and of the longest bar.
const SPAN: u64 = 820;

const fn colour(cause: Cause) -> &'static str {
    match cause {
        Cause::Measure => "#b8bec7",
        Cause::Publish => "#1f6fb4",
        Cause::Ping => "#d1495b",
        Cause::Record => "#8b5fbf",
        Cause::Feed => "#e39a1f",
        Cause::Reconnect => "#2f8f5b",
    }
}

fn text(x: u64, y: u64, anchor: &str, words: &str) -> String {
    format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>\n")
}

fn bar(x: u64, y: u64, width: u64, height: u64, fill: &str) -> String {
    format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" fill=\"{fill}\"/>\n")
}

/// An hour: a line for each wake-up, and the radio below.
fn hour(day: &Day, name: &str, y: u64) -> String {
    let place = |at: u64| LEFT + at.saturating_sub(FROM).min(HOUR) * SPAN / HOUR;
    let shown = |at: u64| (FROM..FROM + HOUR).contains(&at);
    let mut svg = text(LEFT - 10, y + 22, "end", name) + &text(LEFT - 10, y + 57, "end", "radio");
    svg += &bar(LEFT, y + 40, SPAN, 1, "#cccccc");
    for (at, cause) in day.wakes.iter().filter(|(at, _)| shown(*at)) {
        let short = *cause == Cause::Measure;
        let (top, height) = if short { (y + 20, 20) } else { (y, 40) };
        svg += &bar(place(*at), top, 3, height, colour(*cause));
    }
    for (start, end) in day.radio.on.iter().filter(|(start, _)| shown(*start)) {
        svg += &bar(place(*start), y + 46, (place(*end) - place(*start)).max(2), 14, "#444444");
    }
    svg
}

/// Bars of a day: wake-ups that the work does not need, and seconds of the radio.
fn bars(days: &[(u32, Day)], top: u64) -> String {
    let extra = |day: &Day| -> usize {
        let work = day.count(Cause::Measure) + day.count(Cause::Publish);
        day.wakes.len() - work
    };
    let most = days.iter().map(|(_, day)| extra(day)).max().unwrap_or(1).max(1);
    let longest = days.iter().map(|(_, day)| day.radio.seconds()).max().unwrap_or(1).max(1);
    let half = SPAN / 2 - 70;
    let mut svg = text(LEFT, top, "start", "wake-ups a day beside the 1440 of the work");
    let right = LEFT + SPAN / 2 + 20;
    svg += &text(right, top, "start", "seconds a day with the radio on");
    for (row, (slack, day)) in (0_u64..).zip(days) {
        let y = top + 12 + row * 26;
        svg += &text(LEFT - 10, y + 14, "end", &format!("slack {}", label(*slack)));
        let mut x = LEFT;
        for cause in [Cause::Ping, Cause::Record, Cause::Feed, Cause::Reconnect] {
            let width = day.count(cause) as u64 * half / most as u64;
            svg += &bar(x, y, width, 18, colour(cause));
            x += width;
        }
        svg += &text(x + 6, y + 14, "start", &format!("{}", extra(day)));
        let width = day.radio.seconds() * half / longest;
        svg += &bar(right, y, width, 18, "#444444");
        svg += &text(right + width + 6, y + 14, "start", &format!("{}", day.radio.seconds()));
    }
    svg
}

/// The plot as the text of a file.
pub(crate) fn svg(days: &[(u32, Day)]) -> String {
    let height = 300 + 26 * days.len() as u64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#222222\">\n"
    );
    svg += &bar(0, 0, WIDTH, height, "#ffffff");
    svg += &text(LEFT, 24, "start", "Wake-ups of an hour, by their reason");
    let mut x = LEFT;
    for cause in Cause::ALL {
        svg += &bar(x, 36, 12, 12, colour(cause));
        svg += &text(x + 17, 47, "start", cause.name());
        x += 100;
    }
    if let [(_, without), .., (slack, with)] = days {
        svg += &hour(without, "no slack", 68);
        svg += &hour(with, &label(*slack), 152);
    }
    for minute in (0..=60).step_by(10) {
        let x = LEFT + minute * SPAN / 60;
        svg += &text(x, 236, "middle", &format!("04:{minute:02}").replace("04:60", "05:00"));
    }
    svg += &bars(days, 276);
    svg + "</svg>\n"
}
