//! [`Traced`]: a connector whose links are shown.

use std::{boxed::Box, io, string::String, sync::Arc, time::Duration, vec::Vec};

use super::Connector;
use crate::driver::{
    stream::Link,
    trace::{Sink, Tap},
};

/// Opens the links of another connector, and shows sinks what goes over them.
#[derive(Clone)]
#[must_use]
pub struct Traced<C> {
    connector: C,
    sinks: Vec<Arc<dyn Sink>>,
}

impl<C> Traced<C> {
    /// The links of `connector`, shown to no sink so far.
    pub const fn new(connector: C) -> Self {
        Self { connector, sinks: Vec::new() }
    }

    /// Shows the links to `sink` as well.
    pub fn sink(mut self, sink: impl Sink + 'static) -> Self {
        self.sinks.push(Arc::new(sink));
        self
    }

    pub(super) fn sinks(mut self, sinks: Vec<Arc<dyn Sink>>) -> Self {
        self.sinks.extend(sinks);
        self
    }
}

impl<C: core::fmt::Debug> core::fmt::Debug for Traced<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Traced").field("connector", &self.connector).finish_non_exhaustive()
    }
}

impl<C: Connector> Connector for Traced<C> {
    fn connect(&self, endpoint: u8, timeout: Duration) -> io::Result<Link> {
        let opened = self.connector.connect(endpoint, timeout);
        if self.sinks.is_empty() {
            return opened;
        }
        let peer = self.connector.name(endpoint);
        match opened {
            Ok(link) => Ok(Box::new(Tap::new(link, &peer, &self.sinks))),
            Err(error) => {
                self.sinks.iter().for_each(|sink| sink.not_open(&peer, &error));
                Err(error)
            }
        }
    }

    fn name(&self, endpoint: u8) -> String {
        self.connector.name(endpoint)
    }
}
