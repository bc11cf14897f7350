//! An attempt to connect, in a thread of its own: name resolution and handshakes may wait, and nobody else does.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::Duration,
};

use super::{Connector, shared::Shared};

/// Begins the attempt with this number. Its transport, or its error, comes to `State::opened`, unless the client has
/// given the attempt up by then.
pub(crate) fn begin(
    shared: &Arc<Shared>,
    connector: &Arc<dyn Connector>,
    number: u64,
    endpoint: u8,
    timeout: Duration,
) -> io::Result<()> {
    let (shared, connector) = (Arc::clone(shared), Arc::clone(connector));
    let attempt = move || {
        let connect = || connector.connect(endpoint, timeout);
        let opened = catch_unwind(AssertUnwindSafe(connect))
            .unwrap_or_else(|_| Err(io::Error::other("the connector panicked")));
        let mut state = shared.lock();
        if state.opening.attempt == Some(number) {
            state.opening.attempt = None;
            state.opening.opened = Some(opened);
            shared.wake(&mut state);
        } else {
            // It may take its time to close.
            drop(state);
            drop(opened);
        }
    };
    thread::Builder::new().name("mqtt connect".into()).spawn(attempt).map(drop)
}
