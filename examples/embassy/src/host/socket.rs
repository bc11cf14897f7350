//! [`HostSocket`]: a TCP socket of edge-nal-std, for TLS.

extern crate std;

use core::cell::RefCell;
use std::io;
use std::net::{Shutdown, SocketAddrV4};
use std::rc::Rc;

use edge_nal_std::{Stack, TcpSocket};
use embedded_io_async::{Read as _, Write as _};
use mqtt_core::TransportFault;
use mqtt_core::driver::asynch::fault;

use crate::dial::tls::Socket;

/// A TCP socket of the operating system.
#[derive(Default)]
pub struct HostSocket(RefCell<Option<Rc<TcpSocket>>>);

impl HostSocket {
    fn socket(&self) -> io::Result<Rc<TcpSocket>> {
        self.0.borrow().clone().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn end(&self, how: Shutdown) {
        if let Ok(socket) = self.socket() {
            // If it fails, the peer is gone already.
            let _gone = socket.get_ref().shutdown(how);
        }
    }
}

impl Socket for HostSocket {
    type Error = io::Error;

    async fn connect(&self, to: SocketAddrV4) -> Result<(), TransportFault> {
        let connected = edge_nal::TcpConnect::connect(&Stack::new(), to.into()).await;
        let socket = connected.map_err(|error| fault(&error))?;
        socket.get_ref().set_nodelay(true).map_err(|error| fault(&error))?;
        self.0.replace(Some(Rc::new(socket)));
        Ok(())
    }

    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&*self.socket()?).read(buffer).await
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.socket()?).write(bytes).await
    }

    fn shut(&self) {
        self.end(Shutdown::Write);
    }

    fn abort(&self) {
        self.end(Shutdown::Both);
        self.0.replace(None);
    }
}
