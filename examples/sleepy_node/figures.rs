//! The table of several days.

use crate::{day::Day, node::Cause};

/// How much slack a day had.
pub(crate) fn label(slack: u32) -> String {
    match slack {
        0 => "none".into(),
        slack if slack < 60_000 => format!("{} s", slack / 1_000),
        slack => format!("{} min", slack / 60_000),
    }
}

/// Wake-ups and the time of the radio a day, a row for each slack.
pub(crate) fn table(days: &[(u32, Day)]) -> Vec<String> {
    let heads = ["slack"].into_iter().chain(Cause::ALL.map(Cause::name)).chain([
        "all",
        "radio on",
        "radio s",
        "PINGREQs",
        "records",
        "feeds",
        "longest silence",
        "arrived",
    ]);
    let heads: Vec<&str> = heads.collect();
    let mut lines = vec![format!("| {} |", heads.join(" | "))];
    lines.push(format!("|{}", "---|".repeat(heads.len())));
    for (slack, day) in days {
        let mut line = format!("| {} |", label(*slack));
        for cause in Cause::ALL {
            line += &format!(" {} |", day.count(cause));
        }
        let Day { wakes, radio, broker, published, records, feeds } = day;
        line += &format!(
            " {} | {} | {} | {} | {records} | {feeds} | {} s | {} of {published} |",
            wakes.len(),
            radio.on.len(),
            radio.seconds(),
            broker.pings,
            broker.longest_silence / 1_000,
            broker.messages.len(),
        );
        lines.push(line);
    }
    lines
}
