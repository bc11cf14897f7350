//! MQTT over a serial line, with a gateway at its other end that passes the bytes on to a broker.

use embassy_time::{Duration, with_timeout};
use embedded_io_async::{Read, Write};
use mqtt_core::TransportFault;
use mqtt_core::driver::asynch::{Dial, Whole, fault};

/// The line counts as quiet after this time without a byte.
const QUIET: Duration = Duration::from_millis(50);

/// A UART, or anything else of `embedded_io_async` that reads and writes.
///
/// It goes into a [`Whole`], which drops a read whenever something is written. So its reads have to be cancel-safe: a
/// read that is dropped must not have taken bytes. Reads from a buffer that an interrupt or a DMA fills are:
/// `embassy_rp::uart::BufferedUart`, `embassy_stm32::usart::{BufferedUart, RingBufferedUartRx}`,
/// `embassy_nrf::buffered_uarte::BufferedUarte`. A plain `Uart` that starts a DMA transfer for each read is not. Give the
/// two halves of such a UART to a [`Link`](mqtt_core::driver::asynch::Link) that splits: there no read is dropped while
/// the connection lives.
pub struct SerialLine<U>(U);

impl<U> SerialLine<U> {
    /// The line at this UART. Its baud rate and flow control are set already.
    pub const fn new(uart: U) -> Self {
        Self(uart)
    }
}

impl<U: Read + Write> Dial for SerialLine<U> {
    type Link<'a>
        = Whole<&'a mut U>
    where
        Self: 'a;

    /// A line is always open, so it may still bring the rest of an earlier connection. That is dropped first.
    async fn dial(&mut self, _endpoint: u8) -> Result<Whole<&mut U>, TransportFault> {
        let mut rest = [0; 32];
        while let Ok(read) = with_timeout(QUIET, self.0.read(&mut rest)).await {
            match read {
                Ok(0) => return Err(TransportFault::Reset),
                Ok(_) => {}
                Err(error) => return Err(fault(&error)),
            }
        }
        Ok(Whole::new(&mut self.0))
    }
}
