//! Tasks in the background that serve a connection.

use ::tokio::task::JoinHandle;

use super::{Client, EventQueue, Events, queue::queue};
use crate::event::Event;

impl Events {
    /// Serves the connection in a task of its own, and gives each event to `handler`, which may make requests with the
    /// client that it is given. The handler must not wait: a slow one takes its events from
    /// [`into_queue`](Self::into_queue).
    ///
    /// The task ends once the client is stopped, as after `disconnect`, or if `handler` panics. Later requests then fail
    /// with [`Error::NotServed`](super::Error::NotServed).
    pub fn spawn(
        mut self,
        mut handler: impl FnMut(&Client, Event<'_>) + Send + 'static,
    ) -> JoinHandle<()> {
        let client = Client::new(self.requests());
        self.runtime().spawn(async move {
            while let Some(event) = self.next().await {
                handler(&client, event);
            }
        })
    }

    /// Serves the connection in a task of its own, and puts the events into a queue of at most `most`, at least one.
    ///
    /// If nobody takes events and the queue is full, the client reads nothing more, so the broker waits; what is due,
    /// such as PINGREQs and answers, is still sent. Drop the queue to end the client.
    #[must_use = "the client ends with the queue"]
    pub fn into_queue(self, most: usize) -> EventQueue {
        let runtime = self.runtime();
        let (filling, queue) = queue(self, most);
        runtime.spawn(filling);
        queue
    }
}
