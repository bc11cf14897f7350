//! The verdicts on a broker: held against the differences that are known of it, and as a section of `brokers.md`.

use std::fmt::Write as _;

use super::room::{Difference, Verdict};
use crate::brokers::{Engine, Known};

/// Everything that is not as known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surprises {
    /// Differences that are not known, with details.
    pub new: Vec<String>,
    /// Known differences that were not seen although their conversation was held.
    pub gone: Vec<String>,
}

/// Holds the verdicts against the known differences.
#[must_use]
pub fn judge(known: &[Known], verdicts: &[Verdict]) -> Surprises {
    let mut surprises = Surprises::default();
    for Verdict { conversation, differences, .. } in verdicts {
        let known = || known.iter().filter(|known| known.conversations.contains(conversation));
        for Difference { statement, seen, detail } in differences {
            if !known().any(|known| known.seen == seen && known.statement == *statement) {
                surprises.new.push(format!("{conversation}: {seen} ({statement}) {detail}"));
            }
        }
        for known in known().filter(|known| !known.sometimes) {
            if differences.iter().all(|difference| difference.seen != known.seen) {
                surprises.gone.push(format!("{conversation}: {}", known.seen));
            }
        }
    }
    surprises
}

/// The section of `brokers.md` about a broker.
#[must_use]
pub fn section(engine: &Engine, version: &str, verdicts: &[Verdict]) -> String {
    let mut text = format!("## {} {version}\n\n", engine.name);
    if engine.known.is_empty() {
        text.push_str("No difference was seen.\n");
    } else {
        text.push_str("| difference | statement | the client | shown by |\n|---|---|---|---|\n");
    }
    for Known { conversations, seen, statement, client, sometimes } in engine.known {
        let often = if *sometimes { " (not each time)" } else { "" };
        let shown_by = conversations.join(", ");
        let _ = writeln!(text, "| {seen}{often} | {statement} | {client} | {shown_by} |");
    }
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for Verdict { conversation, not_possible, .. } in verdicts {
        let Some(why) = not_possible else { continue };
        match reasons.iter_mut().find(|(known, _)| known == why) {
            Some((_, conversations)) => conversations.push(conversation),
            None => reasons.push((why, vec![conversation])),
        }
    }
    for (why, conversations) in reasons {
        let _ = write!(text, "\nNot held, because {why}: {}.\n", conversations.join(", "));
    }
    text
}

/// The version that the table has for a broker, and its section.
#[must_use]
pub fn in_table<'a>(table: &'a str, engine: &Engine) -> Option<(&'a str, &'a str)> {
    let heading = format!("## {} ", engine.name);
    let start = table.find(&heading)?;
    let rest = table.get(start..)?;
    let end = rest.find("\n\n## ").map_or(rest.len(), |end| end + 1);
    let section = rest.get(..end)?;
    let version = section.lines().next()?.strip_prefix(&heading)?;
    Some((version, section))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KNOWN: &[Known] = &[Known::new(&["a", "b"], "barks", "[MQTT-1]", "listens")];

    fn verdict(conversation: &'static str, seen: &[&str]) -> Verdict {
        let differences = seen.iter().map(|seen| Difference {
            statement: "[MQTT-1]",
            seen: (*seen).to_owned(),
            detail: String::new(),
        });
        Verdict {
            conversation,
            differences: differences.collect(),
            not_possible: None,
            measured: Vec::new(),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn a_known_difference_is_no_surprise() {
        let verdicts = [verdict("a", &["barks"]), verdict("b", &["barks"]), verdict("c", &[])];
        assert_eq!(judge(KNOWN, &verdicts), Surprises::default());
    }

    #[test]
    fn a_new_difference_and_one_that_is_gone_are_named() {
        let surprises = judge(KNOWN, &[verdict("a", &[]), verdict("c", &["barks"])]);
        assert_eq!(surprises.gone, ["a: barks"]);
        assert_eq!(surprises.new, ["c: barks ([MQTT-1]) "]);
    }

    #[test]
    fn a_difference_that_is_not_there_each_time_is_never_gone() {
        const SOMETIMES: &[Known] =
            &[Known::new(&["a"], "barks", "[MQTT-1]", "listens").sometimes()];
        assert_eq!(judge(SOMETIMES, &[verdict("a", &[])]), Surprises::default());
    }

    #[test]
    fn a_section_is_found_in_the_table() {
        let some = crate::brokers::ENGINES.first().expect("there are brokers");
        let engine = &Engine { name: "dog", known: KNOWN, ..**some };
        let section = section(engine, "1.2", &[]);
        let table = format!("# Brokers\n\n{section}\n## cat 2.0\n\nNo difference was seen.\n");
        assert_eq!(in_table(&table, engine), Some(("1.2", &*section)));
        assert_eq!(in_table(&section, engine), Some(("1.2", &*section)));
        assert_eq!(in_table("# Brokers\n", engine), None);
    }
}
