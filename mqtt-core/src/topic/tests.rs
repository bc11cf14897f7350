//! Topic names and filters: the examples of the standard, each mistake, and matching against a model.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{format, string::String, vec, vec::Vec};

use proptest::prelude::*;

use super::*;

#[test]
fn the_examples_of_the_standard_match_as_the_standard_says() {
    let examples = [
        // 4.7.1.2, multi-level wildcard
        ("sport/tennis/player1/#", "sport/tennis/player1", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/ranking", true),
        ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
        ("sport/#", "sport", true),
        ("#", "sport/tennis/player1", true),
        // 4.7.1.3, single-level wildcard
        ("sport/tennis/+", "sport/tennis/player1", true),
        ("sport/tennis/+", "sport/tennis/player2", true),
        ("sport/tennis/+", "sport/tennis/player1/ranking", false),
        ("sport/+", "sport", false),
        ("sport/+", "sport/", true),
        ("+/+", "/finance", true),
        ("/+", "/finance", true),
        ("+", "/finance", false),
        // 4.7.2, topics beginning with $
        ("#", "$SYS/monitor/Clients", false),
        ("+/monitor/Clients", "$SYS/monitor/Clients", false),
        ("$SYS/#", "$SYS/monitor/Clients", true),
        ("$SYS/monitor/+", "$SYS/monitor/Clients", true),
        // 4.7.3, semantic and usage
        ("ACCOUNTS", "Accounts", false),
        ("Accounts payable", "Accounts payable", true),
        ("/finance", "finance", false),
        ("finance", "finance", true),
    ];
    for (filter, topic, expected) in examples {
        assert_eq!(matches(filter, topic), expected, "{filter} and {topic}");
    }
}

#[test]
fn the_examples_of_the_standard_are_well_formed_as_the_standard_says() {
    for filter in ["sport/tennis/#", "#", "+", "+/tennis/#", "sport/+/player1", "/", "//", "a//+"] {
        assert_eq!(Filter::new(filter).unwrap().as_str(), filter);
    }
    for filter in ["sport/tennis#", "sport/tennis/#/ranking", "sport+", "+sport", "a/+b/c", "##"] {
        assert_eq!(Filter::new(filter), Err(TopicError::MisplacedWildcard), "{filter}");
    }
    for topic in ["/", "//", "/finance", "finance/", "Accounts payable", "$SYS/uptime", "$"] {
        assert_eq!(Topic::new(topic).unwrap().as_str(), topic);
    }
}

#[test]
fn an_empty_level_counts_as_a_level() {
    assert!(matches("+/+/+", "//"));
    assert!(matches("a//b", "a//b"));
    assert!(matches("a/+/b", "a//b"));
    assert!(!matches("a/b", "a//b"));
    assert!(!matches("a/+", "a//"));
    assert!(matches("a/#", "a/"));
    assert!(matches("/#", "/"));
    assert!(!matches("/#", "a"));
}

#[test]
fn a_hash_below_a_plus_matches_the_level_of_the_plus() {
    assert!(matches("+/#", "a"));
    assert!(matches("+/#", "/"));
    assert!(!matches("+/+/#", "a"));
    assert!(!matches("+/#", "$a"));
}

#[test]
fn a_dollar_below_the_first_level_is_an_ordinary_character() {
    assert!(matches("a/+", "a/$b"));
    assert!(matches("/#", "/$b"));
    assert!(matches("$/+", "$/$"));
}

#[test]
fn each_mistake_has_its_error() {
    assert_eq!(Topic::new(""), Err(TopicError::Empty));
    assert_eq!(Filter::new(""), Err(TopicError::Empty));
    assert_eq!(Topic::from_bytes(&[]), Err(TopicError::Empty));
    assert_eq!(Topic::from_bytes(b"a\xFF"), Err(TopicError::Utf8));
    assert_eq!(Filter::from_bytes(b"\xC3"), Err(TopicError::Utf8));
    assert_eq!(Topic::new("a\0b"), Err(TopicError::NullCharacter));
    assert_eq!(Filter::new("a/\0"), Err(TopicError::NullCharacter));
    assert_eq!(Topic::new("a/+"), Err(TopicError::WildcardInName));
    assert_eq!(Topic::new("a#b"), Err(TopicError::WildcardInName));
    assert_eq!(Filter::new("a#b"), Err(TopicError::MisplacedWildcard));
}

#[test]
fn a_topic_has_at_most_65_535_bytes() {
    let longest = "x".repeat(65_535);
    assert_eq!(Topic::new(&longest).unwrap().as_str().len(), MAX_LEN);
    assert!(Filter::new(&longest).unwrap().matches(Topic::new(&longest).unwrap()));
    let longer = "x".repeat(65_536);
    assert_eq!(Topic::new(&longer), Err(TopicError::TooLong));
    assert_eq!(Filter::new(&longer), Err(TopicError::TooLong));
    // Bytes count, not characters.
    assert_eq!(Topic::new(&"ü".repeat(32_768)), Err(TopicError::TooLong));
}

/// [MQTT-1.5.3-3]
#[test]
fn a_byte_order_mark_is_kept_and_counts() {
    let marked = Topic::from_bytes(b"\xEF\xBB\xBFa").unwrap();
    assert_eq!(marked.as_bytes(), b"\xEF\xBB\xBFa");
    assert_ne!(marked, topic!("a"));
    assert!(!filter!("a").matches(marked));
    assert!(filter!("\u{FEFF}a").matches(marked));
}

/// [MQTT-1.5.3-1]
#[test]
fn encoded_surrogates_and_other_ill_formed_utf8_are_refused() {
    let ill_formed: [&[u8]; 6] = [
        b"a/\xED\xA0\x80",
        b"a/\xED\xBF\xBF",
        b"\xC0\xAF",
        b"\xE2\x82",
        b"\xF4\x90\x80\x80",
        b"0123456\x80",
    ];
    for bytes in ill_formed {
        assert_eq!(Topic::from_bytes(bytes), Err(TopicError::Utf8), "{bytes:x?}");
        assert_eq!(Filter::from_bytes(bytes), Err(TopicError::Utf8), "{bytes:x?}");
    }
}

/// [MQTT-4.7.3-4]
#[test]
fn unicode_is_neither_normalised_nor_folded() {
    assert!(matches("città/+/温度", "città/キッチン/温度"));
    assert!(!matches("caf\u{e9}", "cafe\u{301}"), "composed and decomposed differ");
    assert!(!matches("Ä", "ä"));
    assert!(matches("+", "\u{10FFFF}"));
}

#[test]
fn a_special_byte_is_found_at_each_index_of_each_length() {
    for (len, at) in (1..=40_usize).flat_map(|len| (0..len).map(move |at| (len, at))) {
        for byte in 0..=u8::MAX {
            let mut bytes = vec![b'a'; len];
            *bytes.get_mut(at).unwrap() = byte;
            let expected = match byte {
                0 => Err(TopicError::NullCharacter),
                b'+' | b'#' => Err(TopicError::WildcardInName),
                0x80.. => Err(TopicError::Utf8),
                _ => Ok(()),
            };
            assert_eq!(Topic::from_bytes(&bytes).map(|_| ()), expected, "{byte} at {at} of {len}");
        }
    }
}

#[test]
fn a_shared_subscription_matches_as_the_filter_inside() {
    assert!(matches("$share/g/a/+", "a/b"));
    assert!(matches("$share/g/#", "a/b"));
    assert!(matches("$share/g//a", "/a"));
    assert!(matches("$share/g/$SYS/#", "$SYS/uptime"));
    assert!(!matches("$share/g/#", "$SYS/uptime"));
    assert!(!matches("$share/g/a", "$share/g/a"));
    assert_eq!(filter!("$share/g//a").share(), Some(("g", filter!("/a"))));
    assert_eq!(filter!("$share/ü/温度").share(), Some(("ü", filter!("温度"))));
}

#[test]
fn a_share_inside_a_share_is_an_ordinary_level() {
    let nested = filter!("$share/a/$share/b/c");
    assert_eq!(nested.share(), Some(("a", filter!("$share/b/c"))));
    assert!(nested.matches(topic!("$share/b/c")));
    assert!(!nested.matches(topic!("c")));
}

#[test]
fn a_filter_that_only_looks_like_a_share_matches_literally() {
    let filters =
        ["$share", "$share/", "$share/g", "$share/g/", "$share//a", "$shared/g/a", "$Share/g/a"];
    for filter in filters {
        assert_eq!(Filter::new(filter).unwrap().share(), None);
        assert!(matches(filter, filter));
    }
    for filter in ["$share/+/a", "$share/#", "$share/+"] {
        assert_eq!(Filter::new(filter).unwrap().share(), None);
    }
    assert!(matches("$share/+/a", "$share/b/a"));
    assert!(matches("$share/#", "$share"));
}

#[test]
fn a_name_as_a_filter_matches_only_itself() {
    let filter = Filter::from(topic!("a/b"));
    assert!(filter.matches(topic!("a/b")));
    assert!(!filter.matches(topic!("a/c")));
}

#[test]
fn names_and_filters_are_printed_unchanged() {
    assert_eq!(format!("{} {:?}", topic!("a/ü"), topic!("a/ü")), r#"a/ü Topic("a/ü")"#);
    assert_eq!(format!("{:>4} {:?}", filter!("+"), filter!("+")), r#"   + Filter("+")"#);
    assert_eq!(format!("{}", TopicError::Empty), TopicError::Empty.message());
}

/// [MQTT-3.3.5-1]
#[test]
fn overlapping_filters_each_get_the_message() {
    let router = Router::new([(filter!("a/#"), 1), (filter!("b"), 2), (filter!("+/c"), 3)]);
    let handlers = |topic| router.route(topic).copied().collect::<Vec<u8>>();
    assert_eq!(handlers(topic!("a/c")), [1, 3]);
    assert_eq!(handlers(topic!("b")), [2]);
    assert_eq!(handlers(topic!("d")), []);
}

#[test]
fn a_router_may_be_over_a_slice_or_a_vector() {
    let routes = [(filter!("a"), "first"), (filter!("b"), "second")];
    let borrowed = Router::new(routes.as_slice());
    assert_eq!(borrowed.route(topic!("b")).collect::<Vec<_>>(), [&"second"]);
    assert_eq!(borrowed.filters().collect::<Vec<_>>(), [filter!("a"), filter!("b")]);

    let mut growing = Router::new(vec![(filter!("a"), String::new())]);
    for text in growing.route_mut(topic!("a")) {
        text.push('!');
    }
    assert_eq!(growing.route(topic!("a")).collect::<Vec<_>>(), ["!"]);
}

fn matches(filter: &str, topic: &str) -> bool {
    Filter::new(filter).unwrap().matches(Topic::new(topic).unwrap())
}

/// Section 4.7 as it reads, level by level.
fn model_matches(filter: &str, topic: &str) -> bool {
    fn rest_matches(filter: &[&str], topic: &[&str]) -> bool {
        match (filter, topic) {
            (["#"], _) | ([], []) => true,
            (["+", filter @ ..], [_, topic @ ..]) => rest_matches(filter, topic),
            ([wanted, filter @ ..], [level, topic @ ..]) => {
                wanted == level && rest_matches(filter, topic)
            }
            _ => false,
        }
    }
    let (filter, topic): (Vec<_>, Vec<_>) =
        (filter.split('/').collect(), topic.split('/').collect());
    let filter = match filter.as_slice() {
        ["$share", group, inside @ ..]
            if !group.is_empty() && !group.contains(['+', '#']) && !matches!(inside, [] | [""]) =>
        {
            inside
        }
        whole => whole,
    };
    let hidden = topic.iter().take(1).any(|level| level.starts_with('$'));
    !(hidden && matches!(filter, ["+" | "#", ..])) && rest_matches(filter, &topic)
}

fn model_is_topic(bytes: &[u8]) -> bool {
    (1..=65_535).contains(&bytes.len())
        && std::str::from_utf8(bytes).is_ok_and(|text| !text.contains(['\0', '+', '#']))
}

fn model_is_filter(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let levels: Vec<_> = text.split('/').collect();
    let well_placed = |(at, level): (usize, &&str)| match *level {
        "+" => true,
        "#" => at + 1 == levels.len(),
        level => !level.contains(['+', '#']),
    };
    (1..=65_535).contains(&bytes.len())
        && !text.contains('\0')
        && levels.iter().enumerate().all(well_placed)
}

proptest! {
    #[test]
    fn matching_agrees_with_the_model(
        filter in r"(\$share/)?([ab$]|\+|/){0,6}#?",
        topic in "[ab$/]{1,6}",
    ) {
        if let Ok(filter) = Filter::new(&filter) {
            prop_assert_eq!(
                filter.matches(Topic::new(&topic).unwrap()),
                model_matches(filter.as_str(), &topic)
            );
        }
    }

    #[test]
    fn a_filter_made_from_a_name_matches_it(
        levels in prop::collection::vec(("[a-cü]{0,3}", 0..3_u8), 1..6),
        cut in any::<prop::sample::Index>(),
        hash in any::<bool>(),
    ) {
        let topic = levels.iter().map(|(level, _)| level.as_str()).collect::<Vec<_>>().join("/");
        prop_assume!(!topic.is_empty());
        let mut filter: Vec<_> =
            levels.iter().map(|(level, wild)| if *wild == 0 { "+" } else { level }).collect();
        if hash {
            filter.truncate(cut.index(levels.len() + 1));
            filter.push("#");
        }
        let filter = filter.join("/");
        prop_assert!(matches(&filter, &topic), "{} and {}", filter, topic);
    }

    #[test]
    fn validation_agrees_with_the_model(bytes in prop::collection::vec(
        prop_oneof![4 => prop::sample::select(&b"ab/+#\0\xC3\xBC\xED\xA0\x80"[..]), 1 => any::<u8>()],
        0..24,
    )) {
        prop_assert_eq!(Topic::from_bytes(&bytes).is_ok(), model_is_topic(&bytes));
        prop_assert_eq!(Filter::from_bytes(&bytes).is_ok(), model_is_filter(&bytes));
    }

    #[test]
    fn a_string_and_its_bytes_get_the_same_result(text in any::<String>()) {
        prop_assert_eq!(Topic::new(&text), Topic::from_bytes(text.as_bytes()));
        if let Ok(topic) = Topic::new(&text) {
            prop_assert_eq!(topic.as_str(), text.as_str());
        }
    }
}
