//! Holds the example `quickstart` and nothing else: `cargo run --release --example quickstart`.
