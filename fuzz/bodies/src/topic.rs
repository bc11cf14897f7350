//! Topic names and filters against a simple model of section 4.7 of the standard.

use mqtt_core::{Filter, Topic, TopicError, topic::Router};

/// Takes the bytes before the first line feed as a filter and those after it as a name. Without a line feed all bytes
/// are both. Each is also tried as the other.
pub fn topic(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let first = parts.next().unwrap_or_default();
    let second = parts.next().unwrap_or(first);
    for part in [first, second] {
        validation_agrees_with_the_model(part);
    }
    if let (Ok(filter), Ok(name)) = (Filter::from_bytes(first), Topic::from_bytes(second)) {
        matching_agrees_with_the_model(filter, name);
        a_share_is_made_of_its_parts(filter);
        a_router_asks_each_filter(filter, name);
    }
}

fn validation_agrees_with_the_model(bytes: &[u8]) {
    let name = Topic::from_bytes(bytes);
    let filter = Filter::from_bytes(bytes);
    assert_blamed(name.err(), &model_name_faults(bytes));
    assert_blamed(filter.err(), &model_filter_faults(bytes));
    if let Ok(text) = std::str::from_utf8(bytes) {
        assert_eq!(Topic::new(text), name);
        assert_eq!(Filter::new(text), filter);
    }
    if let Ok(name) = name {
        assert_eq!(name.as_bytes(), bytes);
        assert_eq!(name.as_str().as_bytes(), bytes);
        assert_eq!(Ok(Filter::from(name)), filter, "a name is a filter");
    }
    if let Ok(filter) = filter {
        assert_eq!(filter.as_str().as_bytes(), filter.as_bytes());
    }
}

fn matching_agrees_with_the_model(filter: Filter<'_>, name: Topic<'_>) {
    let inside = filter.share().map_or(filter, |(_, inside)| inside);
    assert_eq!(filter.matches(name), model_matches(inside.as_str(), name.as_str()));
}

fn a_share_is_made_of_its_parts(filter: Filter<'_>) {
    let levels: Vec<&str> = filter.as_str().splitn(3, '/').collect();
    let expected = match levels.as_slice() {
        ["$share", group, inside] => {
            let named = !group.is_empty() && !group.contains(['+', '#']) && !inside.is_empty();
            named.then_some((*group, *inside))
        }
        _ => None,
    };
    assert_eq!(filter.share().map(|(group, inside)| (group, inside.as_str())), expected);
    if let Some((_, inside)) = filter.share() {
        assert_eq!(Filter::new(inside.as_str()), Ok(inside), "well-formed by itself");
    }
}

fn a_router_asks_each_filter(filter: Filter<'_>, name: Topic<'_>) {
    let mut router = Router::new([(filter, 0), (Filter::from(name), 1), (filter, 2)]);
    let expected: Vec<i32> = router
        .filters()
        .zip(0..)
        .filter(|(filter, _)| filter.matches(name))
        .map(|(_, at)| at)
        .collect();
    assert!(router.route(name).eq(&expected));
    assert!(router.route_mut(name).map(|at| *at).eq(expected));
}

/// A text is refused if and only if it is faulty, and for one of its faults.
fn assert_blamed(error: Option<TopicError>, faults: &[TopicError]) {
    match error {
        None => assert_eq!(faults, []),
        Some(error) => assert!(faults.contains(&error), "{error:?}, though it has {faults:?}"),
    }
}

fn model_name_faults(bytes: &[u8]) -> Vec<TopicError> {
    let mut faults = model_text_faults(bytes);
    if bytes.contains(&b'+') || bytes.contains(&b'#') {
        faults.push(TopicError::WildcardInName);
    }
    faults
}

fn model_filter_faults(bytes: &[u8]) -> Vec<TopicError> {
    let mut faults = model_text_faults(bytes);
    let levels: Vec<&[u8]> = bytes.split(|byte| *byte == b'/').collect();
    let misplaced = levels.iter().zip(1..).any(|(level, nth)| match *level {
        b"+" => false,
        b"#" => nth < levels.len(),
        level => level.contains(&b'+') || level.contains(&b'#'),
    });
    if misplaced {
        faults.push(TopicError::MisplacedWildcard);
    }
    faults
}

fn model_text_faults(bytes: &[u8]) -> Vec<TopicError> {
    let faults = [
        (bytes.is_empty(), TopicError::Empty),
        (bytes.len() > 65_535, TopicError::TooLong),
        (std::str::from_utf8(bytes).is_err(), TopicError::Utf8),
        (bytes.contains(&0), TopicError::NullCharacter),
    ];
    faults.into_iter().filter(|(faulty, _)| *faulty).map(|(_, fault)| fault).collect()
}

/// Both sides have as many levels, or the name has at least as many as come before a `#`, and each is the same or `+`.
fn model_matches(filter: &str, name: &str) -> bool {
    let mut wanted: Vec<&str> = filter.split('/').collect();
    let levels: Vec<&str> = name.split('/').collect();
    if name.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let open = wanted.last() == Some(&"#");
    if open {
        wanted.pop();
    }
    let long_enough = levels.len() == wanted.len() || open && levels.len() > wanted.len();
    long_enough
        && wanted.iter().zip(&levels).all(|(wanted, level)| *wanted == "+" || wanted == level)
}
