//! Messages that outlive the read buffer.

use mqtt_core::driver::tokio::SharedEvent;

use crate::peer::{connected, options};

#[tokio::test]
async fn messages_of_one_read_lie_side_by_side_where_they_were_read() {
    let (_client, mut events, mut peer) = connected(&options()).await;
    peer.send(&b"\x30\x08\0\x01thello".repeat(3));
    for _ in 0..3 {
        let Some(SharedEvent::Message(shared)) = events.next_shared().await else { panic!() };
        assert_eq!((shared.topic().as_str(), &shared.payload[..]), ("t", &b"hello"[..]));
        let topic = shared.topic_bytes().as_ptr() as usize;
        assert_eq!(shared.payload.as_ptr() as usize, topic + 1, "no byte was copied");
    }
}
