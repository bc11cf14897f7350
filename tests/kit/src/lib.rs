//! The test kit: one driver of a client, one scripted peer, and the helpers that all tests share.
//!
//! - [`drive`] carries out the actions of `Client::poll`. Everything outside the client is a [`World`](drive::World).
//! - [`script`] is a peer in virtual time for tests of one behaviour: it shows packets and events as lines of text.
//! - [`wire`] holds packets that are put together by hand, and finds the packets in a stream of bytes.
//! - [`record`] works on records of the journal, with a checksum that is not the library's own.
//! - [`text`] turns packets and events into lines.
//! - `certificates` has an authority of the test's own, behind the feature of that name.
//! - `terminal` opens pseudo-terminals, behind the feature `terminals`.
//! - `command_line` and `mutation` are for the programs `sim` and `model`, behind the feature `command-line`.
//!
//! Nothing here is a model of a broker. The simulator, the model checker and the fuzz targets have one each, so that a
//! mistake in one of them is not a mistake in all. `tests/README.md` lists the kinds of tests and their purposes.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[cfg(feature = "certificates")]
pub mod certificates;
#[cfg(feature = "command-line")]
pub mod command_line;
pub mod drive;
#[cfg(feature = "command-line")]
pub mod mutation;
pub mod record;
pub mod script;
#[cfg(feature = "terminals")]
pub mod terminal;
pub mod text;
pub mod wire;
