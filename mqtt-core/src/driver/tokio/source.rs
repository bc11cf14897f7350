//! [`Reactor`]: the runtime that wakes the serving task, and [`Registered`], the source of a link there.
//!
//! The reactor tells once that bytes have come, or that the system takes bytes again. So its word is used up before the
//! read or the write that follows: if more comes after that, the reactor tells again.

use core::task::{Context, Poll};
use std::{io, sync::Arc};

use ::tokio::{net::TcpStream, runtime::Handle};

use super::Error;
use crate::driver::{
    host::{feeding::Job, service::Watch, shared::Shared},
    readiness::Interest,
    stream::Source,
};

/// The runtime whose reactor and timers wake the serving task.
pub(super) struct Reactor(pub(super) Handle);

impl Reactor {
    /// That of the caller.
    pub(super) fn current() -> Result<Self, Error> {
        let no_runtime = |error| Error::of_this_program(io::Error::other(error));
        Handle::try_current().map(Self).map_err(no_runtime)
    }
}

impl Watch for Reactor {
    const ONCE: bool = true;

    type Source = Registered;

    /// Files have no other way to be read without a wait of this task.
    fn read(&self, shared: &Arc<Shared>, mut job: Job) {
        let shared = Arc::clone(shared);
        let _runs = self.0.spawn_blocking(move || {
            job.run();
            shared.end_read(job);
        });
    }

    fn watch(&self, source: Source<'_>) -> io::Result<Registered> {
        let _context = self.0.enter();
        let source = std::net::TcpStream::from(source.try_clone_to_owned()?);
        // No stream waits, and tokio takes only those whose descriptor says so.
        source.set_nonblocking(true)?;
        TcpStream::from_std(source).map(Registered)
    }
}

/// A second descriptor of the source. It is only waited for, and for that every kind of descriptor is the same.
pub(super) struct Registered(TcpStream);

impl Registered {
    /// What the source is ready for. The task is woken for what it is not ready for.
    ///
    /// An error is that of a reactor that has gone: nothing comes any more.
    pub(super) fn poll(&self, context: &mut Context<'_>, interest: Interest) -> Interest {
        let Self(source) = self;
        let readable = interest.readable
            && matches!(source.poll_read_ready(context), Poll::Ready(Ok(())))
            && self.use_up(::tokio::io::Interest::READABLE);
        let writable = interest.writable
            && matches!(source.poll_write_ready(context), Poll::Ready(Ok(())))
            && self.use_up(::tokio::io::Interest::WRITABLE);
        Interest { readable, writable }
    }

    /// The reactor tells again.
    fn use_up(&self, interest: ::tokio::io::Interest) -> bool {
        let blocks = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        let _used_up = self.0.try_io(interest, blocks);
        true
    }
}
