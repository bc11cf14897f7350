//! QoS, packets, both directions.
