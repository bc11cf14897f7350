//! [`Radio`]: a network that can be made to die: nothing arrives, nothing ends, and writing seems to work.

use core::future::pending;

use embedded_io_async::{ErrorType, Read, Write};
use mqtt_core::TransportFault;
use mqtt_core::driver::asynch::{Dial, Link};

use crate::node::{fault, link::Modem};

/// A dialler whose links can die.
#[derive(Debug)]
pub struct Radio<D>(D);

impl<D> Radio<D> {
    /// The radio over this network.
    pub const fn new(network: D) -> Self {
        Self(network)
    }
}

impl<D: Dial> Dial for Radio<D> {
    type Link<'a>
        = RadioLink<D::Link<'a>>
    where
        Self: 'a;

    async fn dial(&mut self, endpoint: u8) -> Result<Self::Link<'_>, TransportFault> {
        if fault::is_radio_dead() {
            return pending().await;
        }
        self.0.dial(endpoint).await.map(RadioLink)
    }
}

impl<D> Modem for Radio<D> {
    /// On a device: power off, a pause, power on, and wait until it has registered.
    async fn restart(&mut self) {
        log::warn!("modem: restarted");
        fault::restarted();
    }
}

/// A connection over the radio.
#[derive(Debug)]
pub struct RadioLink<L>(L);

impl<L: Link> Link for RadioLink<L> {
    type Reader<'l>
        = Half<L::Reader<'l>>
    where
        Self: 'l;
    type Writer<'l>
        = Half<L::Writer<'l>>
    where
        Self: 'l;

    const BUFFERS: bool = L::BUFFERS;

    fn split(&mut self) -> (Self::Reader<'_>, Self::Writer<'_>) {
        let (reader, writer) = self.0.split();
        (Half(reader), Half(writer))
    }

    async fn shut(&mut self) {
        self.0.shut().await;
    }
}

/// A direction of a connection.
#[derive(Debug)]
pub struct Half<T>(T);

impl<T: ErrorType> ErrorType for Half<T> {
    type Error = T::Error;
}

impl<T: Read> Read for Half<T> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, T::Error> {
        let read = self.0.read(buffer).await;
        if fault::is_radio_dead() { pending().await } else { read }
    }
}

impl<T: Write> Write for Half<T> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, T::Error> {
        if fault::is_radio_dead() { Ok(bytes.len()) } else { self.0.write(bytes).await }
    }

    async fn flush(&mut self) -> Result<(), T::Error> {
        if fault::is_radio_dead() { Ok(()) } else { self.0.flush().await }
    }
}
