//! TCP to one broker, with an account of the packets if one is wanted.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use mqtt_core::driver::{
    address::without_login,
    blocking::{Connector, Link, ReadHalf, WriteHalf},
};

use crate::account::{Account, Conversation};

/// How long a write may block, as in `Link::tcp`.
const WRITE_PATIENCE: Duration = Duration::from_millis(1);

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
    fn connect(&mut self, endpoint: u8, timeout: Duration) -> io::Result<Link> {
        let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let addresses: Vec<_> = (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        // An address that never answers leaves time for the next one.
        let patience = timeout / addresses.len().max(1) as u32;
        for address in addresses {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(stream) => return link(stream, self.account.as_ref()),
                Err(error) => failed = error,
            }
        }
        if let Some(account) = &self.account {
            account.tell(&format!("-- no connection to {}: {failed}", self.name(endpoint)));
        }
        Err(failed)
    }

    fn name(&self, _endpoint: u8) -> String {
        // A user may have given a URL for a host.
        let (host, port) = (without_login(&self.host), self.port);
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

fn link(stream: TcpStream, account: Option<&Account>) -> io::Result<Link> {
    let Some(account) = account else { return Link::tcp(stream) };
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(WRITE_PATIENCE))?;
    let conversation = Conversation::new(account);
    account.tell(&format!("-- connection to {} open", stream.peer_addr()?));
    let reader = Told { stream: stream.try_clone()?, conversation: conversation.clone() };
    Ok(Link::new(reader, Told { stream, conversation }))
}

/// One half of a connection whose packets are shown.
struct Told {
    stream: TcpStream,
    conversation: Conversation,
}

impl Read for Told {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
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
        let Self { stream, conversation } = self;
        conversation.send(bytes, |bytes| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl ReadHalf for Told {
    fn set_read_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        ReadHalf::set_read_timeout(&mut self.stream, timeout)
    }
}

impl WriteHalf for Told {
    fn close(&mut self) {
        self.conversation.closed("the client");
        WriteHalf::close(&mut self.stream);
    }
}
