//! The last figures: sizes and counts that may hardly grow, in the files of `xtask/last`. A new figure may exceed the
//! last one by two per cent. The command that measures it has a flag `--record`, which makes the new figures the last
//! ones.

use std::fmt::Write as _;

use crate::workspace::Workspace;

/// A number may grow by this percentage.
const GROWTH: u64 = 2;

/// A file of last figures: a line for each, with the number and the name.
pub(crate) struct Last(Vec<(String, u64)>);

impl Last {
    /// The figures in `file`.
    pub(crate) fn read(workspace: &Workspace, file: &str) -> Result<Self, String> {
        let text = std::fs::read_to_string(workspace.root.join(file));
        let text = text.map_err(|error| format!("{file}: {error}"))?;
        figures(&text).map(Self).map_err(|line| format!("{file}: '{line}' is no figure"))
    }

    /// The figure called `name`.
    pub(crate) fn of(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, figure)| *figure)
    }
}

/// Makes `figures` the last ones: writes them into `file`, for `command`.
pub(crate) fn record<'a>(
    workspace: &Workspace,
    file: &str,
    command: &str,
    figures: impl Iterator<Item = (&'a str, u64)>,
) -> Result<(), String> {
    let mut text = format!("# The last figures; `cargo xtask {command} --record` writes them.\n");
    for (name, figure) in figures {
        let _ = writeln!(text, "{figure} {name}");
    }
    std::fs::write(workspace.root.join(file), text).map_err(|error| format!("{file}: {error}"))
}

fn figures(text: &str) -> Result<Vec<(String, u64)>, &str> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (figure, name) = line.split_once(' ').ok_or(line)?;
            Ok((name.to_owned(), figure.parse().map_err(|_| line)?))
        })
        .collect()
}

/// The largest number that passes after `last`.
pub(crate) const fn most(last: u64) -> u64 {
    let growth = last * GROWTH / 100;
    last + if growth == 0 { 1 } else { growth }
}

/// By how many per cent `now` differs from `last`, to a tenth.
pub(crate) fn change(last: u64, now: u64) -> String {
    let last_or_one = last.max(1);
    let tenths = (now.abs_diff(last) * 1000 + last_or_one / 2) / last_or_one;
    let sign = if now < last { '-' } else { '+' };
    format!("{sign}{}.{}", tenths / 10, tenths % 10)
}

/// With a comma after each thousand.
pub(crate) fn grouped(number: u64) -> String {
    match (number / 1000, number % 1000) {
        (0, rest) => rest.to_string(),
        (thousands, rest) => format!("{},{rest:03}", grouped(thousands)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_file_are_read() {
        let read = figures("# A remark.\n19384 client\n187 decode PUBLISH, 64 B\n");
        let expected = [("client".to_owned(), 19_384), ("decode PUBLISH, 64 B".to_owned(), 187)];
        assert_eq!(read.expect("figures"), expected);
        assert_eq!(figures("many client\n"), Err("many client"));
    }

    #[test]
    fn a_number_may_grow_by_two_per_cent_and_at_least_by_one() {
        assert_eq!(most(19_384), 19_771);
        assert_eq!(most(100), 102);
        assert_eq!(most(30), 31);
    }

    #[test]
    fn a_change_is_printed_with_its_sign() {
        assert_eq!(change(1000, 1000), "+0.0");
        assert_eq!(change(1000, 987), "-1.3");
        assert_eq!(change(1000, 1_125), "+12.5");
    }

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(5_012), "5,012");
        assert_eq!(grouped(1_000_000), "1,000,000");
    }
}
