//! Chooses among the bugs of this build, one for each patch. `cargo xtask mutations` puts this file into its copy of
//! mqtt-core, and adds a last line that names the bugs to it: `bugs! { EarlyIdReuse, ... }`.

use core::sync::atomic::{AtomicU8, Ordering};

/// The number of the bug that is switched on, counted from 1; 0 while there is none.
static ON: AtomicU8 = AtomicU8::new(0);

/// Switches one bug on, for every client of the program, and the others off.
pub fn set(bug: Option<Bug>) {
    ON.store(bug.map_or(0, |bug| bug as u8), Ordering::Relaxed);
}

/// The bugs that `name` stands for: one of them, or each if it is `all`.
pub fn called(name: &str) -> Option<&'static [Bug]> {
    if name == "all" {
        return Some(&Bug::ALL);
    }
    Bug::ALL.chunks(1).find(|one| one.iter().all(|bug| bug.name() == name))
}

macro_rules! bugs {
    ($first:ident $(, $name:ident)* $(,)?) => {
        /// A bug that can be switched on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Bug {
            $first = 1,
            $($name,)*
        }

        impl Bug {
            /// Every bug.
            pub const ALL: [Self; [stringify!($first) $(, stringify!($name))*].len()] =
                [Self::$first $(, Self::$name)*];

            /// Its name, as the command line has it.
            pub const fn name(self) -> &'static str {
                match self {
                    Self::$first => stringify!($first),
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// Whether it is switched on.
            pub fn is_on(self) -> bool {
                ON.load(Ordering::Relaxed) == self as u8
            }
        }
    };
}

