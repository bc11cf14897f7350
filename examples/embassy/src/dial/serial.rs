//! MQTT over a serial line, with a gateway at its other end that passes the bytes on to a broker.

use embassy_time::{Duration, with_timeout};
use embedded_io_async::{ErrorType, Read, Write};
use mqtt_core::TransportFault;
use mqtt_core::driver::asynch::{Dial, Link, Whole, WholeReader, WholeWriter, fault};

/// The line counts as quiet after this time without a byte.
const QUIET: Duration = Duration::from_millis(50);

/// A UART, or anything else of `embedded_io_async` that reads and writes.
///
/// It goes into a [`Whole`], which drops a read whenever something is written. So its reads have to be cancel-safe: a
/// read that is dropped must not have taken bytes. Reads from a buffer that an interrupt or a DMA fills are:
/// `embassy_rp::uart::BufferedUart`, `embassy_stm32::usart::{BufferedUart, RingBufferedUartRx}`,
/// `embassy_nrf::buffered_uarte::BufferedUarte`. A plain `Uart` that starts a DMA transfer for each read is not. Give the
/// two halves of such a UART to a [`Link`] that splits: there no read is dropped while the connection lives.
pub struct SerialLine<U>(U);

impl<U> SerialLine<U> {
    /// The line at this UART. Its baud rate and flow control are set already.
    pub const fn new(uart: U) -> Self {
        Self(uart)
    }
}

impl<U: Read + Write> Dial for SerialLine<U> {
    type Link<'a>
        = SerialLink<'a, U>
    where
        Self: 'a;

    /// A line is always open, so it may still bring the rest of an earlier connection. That is dropped first.
    async fn dial(&mut self, _endpoint: u8) -> Result<SerialLink<'_, U>, TransportFault> {
        let mut rest = [0; 32];
        while let Ok(read) = with_timeout(QUIET, self.0.read(&mut rest)).await {
            match read {
                Ok(0) => return Err(TransportFault::Reset),
                Ok(_) => {}
                Err(error) => return Err(fault(&error)),
            }
        }
        Ok(SerialLink { line: Whole::new(&mut self.0), is_over: false })
    }
}

/// The line, for one connection.
///
/// A line has no end that a read could find. So a read ends after `shut`: otherwise an orderly end would wait five
/// seconds for the other side.
pub struct SerialLink<'a, U> {
    line: Whole<&'a mut U>,
    is_over: bool,
}

impl<'a, U: Read + Write> Link for SerialLink<'a, U> {
    type Reader<'l>
        = SerialReader<'l, &'a mut U>
    where
        Self: 'l;
    type Writer<'l>
        = WholeWriter<'l, &'a mut U>
    where
        Self: 'l;

    const BUFFERS: bool = false;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        let (line, writer) = self.line.split();
        (SerialReader { line, is_over: self.is_over }, writer)
    }

    async fn shut(&mut self) {
        self.is_over = true;
    }
}

/// The incoming direction.
pub struct SerialReader<'l, U> {
    line: WholeReader<'l, U>,
    is_over: bool,
}

impl<U: ErrorType> ErrorType for SerialReader<'_, U> {
    type Error = U::Error;
}

impl<U: Read> Read for SerialReader<'_, U> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, U::Error> {
        if self.is_over { Ok(0) } else { self.line.read(buffer).await }
    }
}
