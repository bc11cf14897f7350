//! What the system tests share: real brokers and independent clients.
