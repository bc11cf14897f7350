//! Firmware update over MQTT: what a device needs of it, without std, without a heap, and without MQTT.
//!
//! - [`manifest`]: what an image is, signed (ed25519): product, version, size, hash (SHA-256), chunk size.
//! - [`chunk`]: the messages of the protocol: a chunk of the image, and the wish of a device for chunks.
//! - [`slots`]: two images in flash, A and B; which one boots; trial, confirmation and roll-back.
//! - [`reception`]: an update that is received into the other slot, bytes of any length at a time.
//! - [`nor`]: a model of NOR flash over any memory: erased by sectors, written once, and cut off at any operation.
//!
//! The flash is a `NorFlash` of [embedded-storage](embedded_storage), which the HALs implement. The program beside this
//! library, `main.rs`, has a publisher and a device for a host, whose flash is a file: `docs/fota.md` tells how to run
//! it and argues its design.
//!
//! ```
//! use ed25519_dalek::SigningKey;
//! use mqtt_fota::chunk::ChunkHeader;
//! use mqtt_fota::manifest::Manifest;
//! use mqtt_fota::nor::{Nor, Ram};
//! use mqtt_fota::reception::Taken;
//! use mqtt_fota::slots::Slots;
//!
//! let key = SigningKey::from_bytes(&[7; 32]);
//! let image = [0x5A; 5_000];
//! let manifest = Manifest::of_image("meter".parse()?, "1.0.0".parse()?, 4_096, &image);
//!
//! let flash: Nor<_, 4_096, 8> = Nor::new(Ram::<65_536>::erased());
//! let mut slots = Slots::new(flash, key.verifying_key())?;
//! assert!(slots.boot()?.is_none(), "there is no image yet");
//! let mut reception = slots.begin(&manifest.sign(&key), manifest.product, None)?;
//! for number in 0..manifest.chunks() {
//!     // As a message brings it: the head, then the bytes.
//!     let bytes = &image[manifest.range(number).expect("a chunk of this image")];
//!     reception.start();
//!     reception.bytes(&mut slots, &ChunkHeader::of(&manifest, number, bytes).encode())?;
//!     reception.bytes(&mut slots, bytes)?;
//!     assert_eq!(reception.end(&mut slots)?, Taken::Stored);
//! }
//! assert!(reception.finish(&mut slots, |_| ())?, "its hash is right");
//!
//! let mut running = slots.boot()?.expect("an image");
//! assert!(running.trial, "it has to show that it works");
//! slots.confirm(&mut running)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), no_std)]

pub mod chunk;
mod fields;
mod layout;
pub mod manifest;
pub mod nor;
pub mod reception;
pub mod slots;
mod version;

pub use version::{Version, VersionError};

/// The commands and the Rust code of the page.
#[cfg(doctest)]
#[doc = include_str!("../../docs/fota.md")]
mod page {}
