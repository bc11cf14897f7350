//! Payloads without a heap.

use core::fmt::{Arguments, Write as _};

/// The longest payload.
pub(crate) type Text = heapless::String<48>;

/// These words as a payload; what is too long is cut off.
pub(crate) fn text(words: Arguments<'_>) -> Text {
    let mut text = Text::new();
    let _cut = text.write_fmt(words);
    text
}
