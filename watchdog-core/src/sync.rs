//! The atomics: those of `portable-atomic`, or of loom while it tries all interleavings.
//!
//! Only loads and stores are used, which every core has, also those without compare-and-swap.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
#[cfg(not(loom))]
pub(crate) use portable_atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

/// Functions that are `const` but under loom, whose atomics cannot be made at build time.
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
