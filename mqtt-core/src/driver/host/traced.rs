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

    pub(crate) fn sinks(mut self, sinks: Vec<Arc<dyn Sink>>) -> Self {
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

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        string::ToString as _,
        sync::{Mutex, PoisonError},
    };

    use super::*;
    use crate::driver::trace::Account;

    /// No link can be opened.
    struct Nowhere;

    impl Connector for Nowhere {
        fn connect(&self, _endpoint: u8, _timeout: Duration) -> io::Result<Link> {
            Err(io::ErrorKind::AddrInUse.into())
        }

        fn name(&self, endpoint: u8) -> String {
            std::format!("broker-{endpoint}")
        }
    }

    #[derive(Clone, Default)]
    struct Text(Arc<Mutex<Vec<u8>>>);

    impl Write for Text {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_attempt_that_fails_is_shown_and_its_error_is_passed_on() {
        let text = Text::default();
        let traced = Traced::new(Nowhere).sink(Account::new("meter", text.clone()));
        let error = traced.connect(7, Duration::ZERO).expect_err("there is no link");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let shown = text.0.lock().expect("no writer panics").clone();
        let shown = String::from_utf8(shown).expect("text");
        let line = shown.split_once(" s  ").map(|(_seconds, line)| line.to_string());
        assert_eq!(line, Some("meter  -- no connection to broker-7: address in use\n".to_string()));
    }
}
