//! The journal of a client for tasks.

use std::sync::{Arc, Mutex};

use mqtt_core::{
    ConnectionState, QoS, Record, RestoreError,
    driver::{
        journal::{Journal, ReplayError},
        tokio::{Client, Config, Error},
    },
};

use crate::peer::{listen, options};

/// Records in RAM.
#[derive(Clone, Default)]
struct Notebook(Arc<Mutex<Pages>>);

#[derive(Default)]
struct Pages {
    records: usize,
    fails: bool,
}

impl Journal for Notebook {
    type Error = std::io::Error;

    async fn append(&mut self, _record: &Record<'_>) -> Result<(), std::io::Error> {
        let mut pages = self.0.lock().unwrap();
        if pages.fails {
            return Err(std::io::ErrorKind::StorageFull.into());
        }
        pages.records += 1;
        Ok(())
    }

    async fn read(
        &mut self,
        _take: impl FnMut(&[u8]) -> Result<(), RestoreError>,
    ) -> Result<(), ReplayError<std::io::Error>> {
        Ok(())
    }

    fn is_long(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_publish_returns_once_it_is_in_the_journal_also_offline() {
    let (_listener, address) = listen();
    let notebook = Notebook::default();
    let config = Config::new(&options()).journal(notebook.clone());
    let (client, _events) = Client::start(config, &[&address]).unwrap();
    for _ in 0..3 {
        let before = notebook.0.lock().unwrap().records;
        let _ = client.publish("t", b"x", QoS::AtLeastOnce, false).await.unwrap();
        assert_eq!(notebook.0.lock().unwrap().records, before + 1);
    }
}

#[tokio::test]
async fn a_journal_that_fails_stops_the_client_until_a_reconnect() {
    let (_listener, address) = listen();
    let notebook = Notebook::default();
    let config = Config::new(&options()).journal(notebook.clone());
    let (client, mut events) = Client::start(config, &[&address]).unwrap();
    notebook.0.lock().unwrap().fails = true;
    let failed = client.publish_wait("t", b"x", QoS::AtLeastOnce, false).await;
    assert!(matches!(failed, Err(Error::Journal(_))), "{failed:?}");
    while events.next().await.is_some() {}
    assert!(matches!(events.last_error(), Some(Error::Journal(_))));
    assert_eq!(client.state(), ConnectionState::Stopped);
    notebook.0.lock().unwrap().fails = false;
    client.reconnect();
    assert!(client.publish("t", b"x", QoS::AtLeastOnce, false).await.is_ok());
}
