//! The loop that writes.

use embedded_io_async::Write;

use super::{Share, fault, keeping::changed, payloads::Feeder};
use crate::{error::TransportFault, time::Instant};

/// Writes what is ready, by way of `out`, until the transport fails; `None`: the peer has closed it. `buffers`: it is
/// flushed when nothing more waits.
///
/// Bytes are copied, because they must not be borrowed from the client while the write waits.
pub(super) async fn send(
    share: &impl Share,
    feeder: &mut impl Feeder,
    out: &mut [u8],
    writer: &mut impl Write,
    buffers: bool,
    now: &impl Fn() -> Instant,
) -> Option<TransportFault> {
    let mut kept = false;
    loop {
        let (count, seen) = share.with(|state| (state.transmit(out, now()), state.changes()));
        let count = if count == 0 { feeder.feed(share, out, now).await } else { count };
        let done = if count != 0 {
            kept = buffers;
            writer.write(out.get(..count).unwrap_or_default()).await
        } else if core::mem::take(&mut kept) {
            match writer.flush().await {
                Ok(()) => continue,
                Err(error) => Err(error),
            }
        } else {
            changed(share, seen).await;
            continue;
        };
        match done {
            Ok(0) => return None,
            Ok(count) => share.with(|state| state.transmitted(count, now())),
            Err(error) => return Some(fault(&error)),
        }
    }
}
