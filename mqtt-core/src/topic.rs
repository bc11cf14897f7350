//! Topic names, topic filters and matching: section 4.7 of the standard.
//!
//! A message is published to a [`Topic`]; a subscription is made to a [`Filter`]. Both borrow a string, and it is
//! always well-formed: a function that takes one need not check it again. [`topic!`](crate::topic!) and
//! [`filter!`](crate::filter!) check constant strings at compile time. [`Router`] finds the handlers of a message.
//!
//! Nothing here normalises, allocates, recurses or panics. The time of every function is linear in the bytes it reads.
//!
//! ```
//! use mqtt_core::{Filter, Topic, TopicError, filter, topic};
//!
//! const READINGS: Filter<'static> = filter!("plant/+/temperature");
//! assert!(READINGS.matches(topic!("plant/boiler/temperature")));
//! assert!(!READINGS.matches(topic!("plant/boiler/pump/temperature")));
//!
//! let name = Topic::new("plant/boiler/temperature")?;
//! assert_eq!(name.as_str(), "plant/boiler/temperature");
//! assert_eq!(Topic::new("plant/+/temperature"), Err(TopicError::WildcardInName));
//! assert_eq!(Filter::new("plant/boiler#"), Err(TopicError::MisplacedWildcard));
//! # Ok::<(), TopicError>(())
//! ```

use core::fmt;

use thiserror::Error;

/// The most bytes that a topic name or filter can have [MQTT-4.7.3-3].
pub const MAX_LEN: usize = u16::MAX as usize;

/// A topic name: 1 to 65,535 bytes of UTF-8 without U+0000 and without wildcards.
///
/// Levels are separated by `/`. A level may be empty, so `/a`, `a/` and `a` are three names. Two names are equal if
/// their bytes are equal [MQTT-4.7.3-4]: upper and lower case differ, and a leading U+FEFF counts [MQTT-1.5.3-3].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic<'a>(&'a [u8]);

impl<'a> Topic<'a> {
    /// The topic name `name`.
    ///
    /// # Errors
    ///
    /// Each [`TopicError`] but [`TopicError::Utf8`] and [`TopicError::MisplacedWildcard`].
    pub const fn new(name: &'a str) -> Result<Self, TopicError> {
        Self::from_bytes(name.as_bytes())
    }

    /// The topic name with these bytes, which are checked to be UTF-8.
    ///
    /// # Errors
    ///
    /// Each [`TopicError`] but [`TopicError::MisplacedWildcard`].
    pub const fn from_bytes(name: &'a [u8]) -> Result<Self, TopicError> {
        match check(name, Wildcards::Refused) {
            Ok(()) => Ok(Self(name)),
            Err(error) => Err(error),
        }
    }

    /// The name: the same bytes as given.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The name as a string. Takes time linear in its length, which [`Topic::as_bytes`] does not.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        text(self.0)
    }
}

/// A topic filter: like a [`Topic`], but a level may be `+` (any one level) and the last one may be `#` (the level
/// before it and everything below).
///
/// Shared subscriptions, `$share/group/filter`, are not part of MQTT 3.1.1, but many brokers accept them from 3.1.1
/// clients. Here they are filters like any other, and [`Filter::matches`] uses the filter inside; see
/// [`Filter::share`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter<'a>(&'a [u8]);

impl<'a> Filter<'a> {
    /// The topic filter `filter`.
    ///
    /// # Errors
    ///
    /// Each [`TopicError`] but [`TopicError::Utf8`] and [`TopicError::WildcardInName`].
    pub const fn new(filter: &'a str) -> Result<Self, TopicError> {
        Self::from_bytes(filter.as_bytes())
    }

    /// The topic filter with these bytes, which are checked to be UTF-8.
    ///
    /// # Errors
    ///
    /// Each [`TopicError`] but [`TopicError::WildcardInName`].
    pub const fn from_bytes(filter: &'a [u8]) -> Result<Self, TopicError> {
        match check(filter, Wildcards::Allowed) {
            Ok(()) => Ok(Self(filter)),
            Err(error) => Err(error),
        }
    }

    /// The filter: the same bytes as given.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The filter as a string. Takes time linear in its length, which [`Filter::as_bytes`] does not.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        text(self.0)
    }

    /// Whether a subscription to this filter gets the messages that are published to `topic`.
    ///
    /// A shared subscription matches like the filter inside it, because it gets the same messages.
    ///
    /// ```
    /// use mqtt_core::{filter, topic};
    ///
    /// assert!(filter!("sport/#").matches(topic!("sport")), "# includes the level before it");
    /// assert!(!filter!("sport/+").matches(topic!("sport")), "+ is one level, no fewer");
    /// assert!(filter!("sport/+").matches(topic!("sport/")), "and that level may be empty");
    /// assert!(!filter!("#").matches(topic!("$SYS/uptime")), "wildcards do not reach into $-topics");
    /// assert!(filter!("$share/group/sport/+").matches(topic!("sport/tennis")));
    /// ```
    #[must_use]
    pub fn matches(&self, topic: Topic<'_>) -> bool {
        levels_match(inside_share(self.0).unwrap_or(self.0), topic.0)
    }

    /// The group and the filter inside, if this is a shared subscription: `$share/group/filter`, with a group that is
    /// not empty and has no wildcard, and a filter that is not empty.
    ///
    /// A filter that only looks like one (`$share`, `$share/group`, `$share//filter`, `$share/+/filter`) gives `None`:
    /// it matches literally, as in the standard. A second `$share/` in the filter inside is an ordinary level.
    ///
    /// ```
    /// use mqtt_core::filter;
    ///
    /// assert_eq!(filter!("$share/pumps/plant/#").share(), Some(("pumps", filter!("plant/#"))));
    /// assert_eq!(filter!("plant/#").share(), None);
    /// ```
    #[must_use]
    pub fn share(&self) -> Option<(&'a str, Self)> {
        let inside = inside_share(self.0)?;
        let group = SHARE.len()..self.0.len() - inside.len() - 1;
        Some((text(self.0.get(group)?), Self(inside)))
    }
}

/// Why a string is not a valid topic name or topic filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[error("{}", self.message())]
#[non_exhaustive]
pub enum TopicError {
    /// No bytes at all [MQTT-4.7.3-1].
    Empty,
    /// More than 65,535 bytes [MQTT-4.7.3-3].
    TooLong,
    /// Not UTF-8 [MQTT-1.5.3-1].
    Utf8,
    /// U+0000 [MQTT-4.7.3-2].
    NullCharacter,
    /// `+` or `#` in a topic name [MQTT-3.3.2-2].
    WildcardInName,
    /// A `#` that is not the last level, or a wildcard that is not alone in its level [MQTT-4.7.1-2], [MQTT-4.7.1-3].
    MisplacedWildcard,
}

impl TopicError {
    /// The text that `Display` writes, for use in constants.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Empty => "empty topic",
            Self::TooLong => "topic longer than 65,535 bytes",
            Self::Utf8 => "ill-formed UTF-8 in a topic",
            Self::NullCharacter => "U+0000 in a topic",
            Self::WildcardInName => "wildcard in a topic name",
            Self::MisplacedWildcard => "misplaced wildcard in a topic filter",
        }
    }
}

/// A [`Topic`] from a constant string, checked at compile time.
///
/// ```
/// use mqtt_core::{Topic, topic};
///
/// const STATE: Topic<'static> = topic!("plant/boiler/state");
/// # assert_eq!(STATE.as_str(), "plant/boiler/state");
/// ```
///
/// An invalid topic name does not compile:
///
/// ```compile_fail,E0080
/// mqtt_core::topic!("plant/+/state");
/// ```
/// ```compile_fail,E0080
/// mqtt_core::topic!("");
/// ```
/// ```compile_fail,E0080
/// mqtt_core::topic!("plant\0");
/// ```
#[macro_export]
macro_rules! topic {
    ($name:expr) => {{
        const TOPIC: $crate::Topic<'static> = match $crate::Topic::new($name) {
            ::core::result::Result::Ok(topic) => topic,
            ::core::result::Result::Err(error) => ::core::panic!("{}", error.message()),
        };
        TOPIC
    }};
}

/// A [`Filter`] from a constant string, checked at compile time.
///
/// ```
/// use mqtt_core::{Filter, filter};
///
/// const STATES: Filter<'static> = filter!("plant/+/state");
/// # assert_eq!(STATES.as_str(), "plant/+/state");
/// ```
///
/// An invalid topic filter does not compile:
///
/// ```compile_fail,E0080
/// mqtt_core::filter!("plant/#/state");
/// ```
/// ```compile_fail,E0080
/// mqtt_core::filter!("plant+/state");
/// ```
/// ```compile_fail,E0080
/// mqtt_core::filter!("");
/// ```
#[macro_export]
macro_rules! filter {
    ($filter:expr) => {{
        const FILTER: $crate::Filter<'static> = match $crate::Filter::new($filter) {
            ::core::result::Result::Ok(filter) => filter,
            ::core::result::Result::Err(error) => ::core::panic!("{}", error.message()),
        };
        FILTER
    }};
}

/// Routes messages to handlers by filter. The table is in storage of the caller: an array, a slice or a vector of
/// filters, each with its handler. A handler can be anything: a function pointer, an enum, an index, a closure.
///
/// If filters overlap, each of them gets the message. A broker may deliver such a message once for each subscription
/// [MQTT-3.3.5-1], or once for all of them. If each handler has to run only once, subscribe to filters that do not
/// overlap.
///
/// ```
/// use mqtt_core::{filter, topic, topic::Router};
///
/// let mut total = 0;
/// let router = Router::new([
///     (filter!("meter/+/energy"), u32::wrapping_add as fn(u32, u32) -> u32),
///     (filter!("meter/#"), |total, _| total + 1_000),
/// ]);
/// for handler in router.route(topic!("meter/7/energy")) {
///     total = handler(total, 42);
/// }
/// assert_eq!(total, 1_042, "both match, in the order of the table");
/// assert_eq!(router.route(topic!("pump/7")).count(), 0);
/// ```
///
/// Handlers that change their state are called through [`Router::route_mut`]:
///
/// ```
/// use mqtt_core::{Filter, filter, topic, topic::Router};
///
/// let (mut alarms, mut bytes) = (0, 0);
/// let mut on_alarm = |_: &[u8]| alarms += 1;
/// let mut on_reading = |payload: &[u8]| bytes += payload.len();
/// let routes: [(Filter<'_>, &mut dyn FnMut(&[u8])); 2] =
///     [(filter!("+/alarm"), &mut on_alarm), (filter!("+/reading"), &mut on_reading)];
///
/// Router::new(routes).route_mut(topic!("boiler/reading")).for_each(|handler| handler(b"21.5"));
/// assert_eq!((alarms, bytes), (0, 4));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Router<R>(R);

impl<R> Router<R> {
    /// A router over `routes`: anything that is `AsRef<[(Filter, H)]>`.
    pub const fn new(routes: R) -> Self {
        Self(routes)
    }

    /// The handlers of the filters that match `topic`, in the order of the table.
    pub fn route<'r, 'f: 'r, H: 'r>(&'r self, topic: Topic<'r>) -> impl Iterator<Item = &'r H>
    where
        R: AsRef<[(Filter<'f>, H)]>,
    {
        let routes = self.0.as_ref().iter();
        routes.filter(move |(filter, _)| filter.matches(topic)).map(|(_, handler)| handler)
    }

    /// As [`Router::route`], for handlers that can be changed or called as `FnMut`.
    pub fn route_mut<'r, 'f: 'r, H: 'r>(
        &'r mut self,
        topic: Topic<'r>,
    ) -> impl Iterator<Item = &'r mut H>
    where
        R: AsMut<[(Filter<'f>, H)]>,
    {
        let routes = self.0.as_mut().iter_mut();
        routes.filter(move |(filter, _)| filter.matches(topic)).map(|(_, handler)| handler)
    }

    /// The filters, in the order of the table, to subscribe to.
    pub fn filters<'r, 'f: 'r, H: 'r>(&'r self) -> impl Iterator<Item = Filter<'f>>
    where
        R: AsRef<[(Filter<'f>, H)]>,
    {
        self.0.as_ref().iter().map(|(filter, _)| *filter)
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Debug for Topic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Topic").field(&self.as_str()).finish()
    }
}

impl fmt::Debug for Filter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").field(&self.as_str()).finish()
    }
}

impl<'a> TryFrom<&'a str> for Topic<'a> {
    type Error = TopicError;

    fn try_from(name: &'a str) -> Result<Self, TopicError> {
        Self::new(name)
    }
}

impl<'a> TryFrom<&'a str> for Filter<'a> {
    type Error = TopicError;

    fn try_from(filter: &'a str) -> Result<Self, TopicError> {
        Self::new(filter)
    }
}

/// The filter that matches only this name. If the name is a shared subscription, it matches the filter inside.
impl<'a> From<Topic<'a>> for Filter<'a> {
    fn from(topic: Topic<'a>) -> Self {
        Self(topic.0)
    }
}

const SHARE: &[u8] = b"$share/";

/// Whether wildcards may appear: in a filter, not in a name.
#[derive(Clone, Copy)]
enum Wildcards {
    Allowed,
    Refused,
}

const fn check(bytes: &[u8], wildcards: Wildcards) -> Result<(), TopicError> {
    if bytes.is_empty() {
        return Err(TopicError::Empty);
    }
    if bytes.len() > MAX_LEN {
        return Err(TopicError::TooLong);
    }
    // Every received PUBLISH is checked here, so the common case is checked first, and fast.
    if is_plain(bytes) {
        return Ok(());
    }
    // [MQTT-1.5.3-1]: encoded surrogates are ill-formed as well.
    if core::str::from_utf8(bytes).is_err() {
        return Err(TopicError::Utf8);
    }
    check_levels(bytes, wildcards)
}

/// Whether all bytes are ASCII and none is NUL, `+` or `#`. It reads a word at a time.
const fn is_plain(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk() {
        if !is_plain_word(usize::from_ne_bytes(*word)) {
            return false;
        }
        rest = tail;
    }
    // The last bytes are read as a whole word, which repeats some bytes.
    if let Some((_, word)) = bytes.split_last_chunk() {
        return is_plain_word(usize::from_ne_bytes(*word));
    }
    while let [byte, tail @ ..] = rest {
        if matches!(byte, 0 | b'+' | b'#' | 0x80..) {
            return false;
        }
        rest = tail;
    }
    true
}

const fn is_plain_word(word: usize) -> bool {
    const ONES: usize = usize::MAX / 0xFF;
    // `#` is 0x23 and `+` is 0x2B: with bit 3 set they are equal, and the XOR makes both zero.
    let wildcard = (word | (ONES * 0x08)) ^ (ONES * b'+' as usize);
    // If all bytes are ASCII, subtracting 1 from each sets a high bit if and only if a byte is zero.
    let special = word | word.wrapping_sub(ONES) | wildcard.wrapping_sub(ONES);
    special & (ONES << 7) == 0
}

const fn check_levels(bytes: &[u8], wildcards: Wildcards) -> Result<(), TopicError> {
    let mut level_starts = true;
    let mut rest = bytes;
    while let [byte, tail @ ..] = rest {
        match *byte {
            0 => return Err(TopicError::NullCharacter),
            // [MQTT-4.7.1-1]: only filters may have wildcards.
            b'+' | b'#' if matches!(wildcards, Wildcards::Refused) => {
                return Err(TopicError::WildcardInName);
            }
            // [MQTT-4.7.1-2]: `#` is alone in its level, and its level is the last.
            b'#' if !(level_starts && tail.is_empty()) => {
                return Err(TopicError::MisplacedWildcard);
            }
            // [MQTT-4.7.1-3]: `+` is alone in its level.
            b'+' if !(level_starts && matches!(tail, [] | [b'/', ..])) => {
                return Err(TopicError::MisplacedWildcard);
            }
            _ => {}
        }
        level_starts = *byte == b'/';
        rest = tail;
    }
    Ok(())
}

/// `bytes`, which were checked to be UTF-8, as a string. Safe code has to check them again. Most received topics are
/// matched and not printed, so this is cheaper than to keep a string.
const fn text(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            debug_assert!(false, "topics and filters are UTF-8");
            ""
        }
    }
}

/// The filter inside a shared subscription. It is well-formed, because its levels are levels of the whole.
fn inside_share(filter: &[u8]) -> Option<&[u8]> {
    let group_and_filter = filter.strip_prefix(SHARE)?;
    let mut rest = group_and_filter;
    while let [byte, tail @ ..] = rest {
        match byte {
            b'/' => {
                let group_len = group_and_filter.len() - rest.len();
                return (group_len > 0 && !tail.is_empty()).then_some(tail);
            }
            b'+' | b'#' => return None,
            _ => rest = tail,
        }
    }
    None
}

/// `+` takes exactly one level and `#` the rest, so there is nothing to backtrack.
fn levels_match(filter: &[u8], topic: &[u8]) -> bool {
    // [MQTT-4.7.2-1]: a filter that starts with a wildcard does not match a topic that starts with `$`.
    if matches!((filter, topic), ([b'+' | b'#', ..], [b'$', ..])) {
        return false;
    }
    let (mut filter, mut topic) = (filter, topic);
    loop {
        // [MQTT-4.7.3-4]: bytes are compared as they are. A name has no wildcards, so equal bytes are not wildcards.
        let same = filter.iter().zip(topic).take_while(|(wanted, byte)| wanted == byte).count();
        topic = topic.get(same..).unwrap_or_default();
        match filter.get(same..).unwrap_or_default() {
            [] => return topic.is_empty(),
            [b'#', ..] => return true,
            // `sport/#` matches `sport`.
            [b'/', b'#'] if topic.is_empty() => return true,
            [b'+', below @ ..] => {
                filter = below;
                let level = topic.iter().take_while(|byte| **byte != b'/').count();
                topic = topic.get(level..).unwrap_or_default();
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
