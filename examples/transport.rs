//! A transport to one broker, with an account of the packets if one is wanted.

use std::{
    fmt,
    io::{self, Read, Write},
    time::Duration,
};

use mqtt_core::driver::{
    address::without_login,
    blocking::{Brokers, Connector},
    stream::{Link, Source, Stream},
};

use crate::account::{Account, Conversation};

/// Opens connections to one broker.
#[derive(Clone)]
pub struct Tcp {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The account that shows the packets, if there is one.
    pub account: Option<Account>,
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tcp").field(&self.name(0)).field(&self.account).finish()
    }
}

impl Connector for Tcp {
    fn connect(&self, endpoint: u8, timeout: Duration) -> io::Result<Link> {
        let name = self.name(endpoint);
        let opened = Brokers::new(&[&name])
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
            .and_then(|brokers| brokers.connect(0, timeout));
        let Some(account) = &self.account else { return opened };
        match opened {
            Ok(link) => {
                account.tell(&format!("-- connection to {name} open"));
                Ok(Box::new(Told { link, conversation: Conversation::new(account) }))
            }
            Err(error) => {
                account.tell(&format!("-- no connection to {name}: {error}"));
                Err(error)
            }
        }
    }

    fn name(&self, _endpoint: u8) -> String {
        // A user may have given a URL for a host.
        let (host, port) = (without_login(&self.host), self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// A connection whose packets are shown.
struct Told {
    link: Link,
    conversation: Conversation,
}

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.link.read(buffer)?;
        if count == 0 {
            self.conversation.closed("the broker");
        } else {
            self.conversation.received(buffer.get(..count).unwrap_or_default());
        }
        Ok(count)
    }
}

impl Write for Told {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Self { link, conversation } = self;
        conversation.send(bytes, |bytes| link.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.link.flush()
    }
}

impl Stream for Told {
    fn source(&self) -> Source<'_> {
        self.link.source()
    }

    fn has_input(&self) -> bool {
        self.link.has_input()
    }

    fn has_output(&self) -> bool {
        self.link.has_output()
    }

    fn finish(&mut self) -> io::Result<()> {
        self.link.finish()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.conversation.closed("the client");
    }
}
