//! The atomics: from `portable-atomic`, or from loom when it tries all interleavings.
//!
//! The library uses loads and stores only. Every core has these, also a core without compare-and-swap.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
#[cfg(not(loom))]
pub(crate) use portable_atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

// For the daemon of a host.
#[cfg(all(feature = "std", loom))]
pub(crate) use loom::sync::atomic::AtomicU64;
#[cfg(all(feature = "std", not(loom)))]
pub(crate) use portable_atomic::AtomicU64;

/// Functions that are `const`, except under loom: its atomics cannot be made at build time.
macro_rules! const_fn {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $type:ty),*) -> $out:ty $body:block)+) => {
        $(
            #[cfg(not(loom))]
            $(#[$meta])*
            $vis const fn $name($($arg: $type),*) -> $out $body
            #[cfg(loom)]
            $(#[$meta])*
            $vis fn $name($($arg: $type),*) -> $out $body
        )+
    };
}
pub(crate) use const_fn;
