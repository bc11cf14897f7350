//! All memory of the client, and the types that tasks name.
//!
//! Tasks of embassy take no generic arguments, and live as long as the program. So everything that they share is in
//! statics, and the sizes end in [`Storage`]: no other type names them.

use core::cell::RefCell;

use mqtt_core::driver::asynch::{self, State, Storage, split};
use mqtt_core::{ConfigError, Options};
use static_cell::{ConstStaticCell, StaticCell};

/// A `RefCell` is enough, because all tasks run on one executor. If interrupts or a second core publish as well, this is
/// `critical_section::Mutex<RefCell<State<'static>>>` (feature `critical-section` of mqtt-core), and nothing else changes.
pub type Shared = RefCell<State<'static>>;

/// Serves the connection; the argument of one task.
pub type Runner = asynch::Runner<'static, Shared>;

/// Makes requests; each task has a copy.
pub type Client = asynch::Client<'static, Shared>;

/// Makes requests that do not wait; the handler of events has it.
pub type Requests<'s> = asynch::Requests<'s, Shared>;

/// An outbox of 1,024 bytes, 8 requests in flight, 5 tasks that wait at the same time.
pub type Memory = Storage<1024, 8, 5>;

/// A longer packet of the broker comes in pieces.
pub const READ: usize = 256;

/// Holds the largest packet that is frequent: a shorter one makes several segments of it.
pub const WRITE: usize = 128;

/// The halves of a new client with these options.
///
/// # Errors
///
/// If the options do not fit together, or not into the memory.
///
/// # Panics
///
/// If it is called twice.
pub fn start(options: &Options<'_>) -> Result<(Runner, Client), ConfigError> {
    // Constants, so they never lie on the stack, not even while the program starts.
    static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
    static BUFFERS: ConstStaticCell<([u8; READ], [u8; WRITE])> =
        ConstStaticCell::new(([0; READ], [0; WRITE]));
    static SHARED: StaticCell<Shared> = StaticCell::new();

    let state = MEMORY.take().state(options)?;
    let (read, write) = BUFFERS.take();
    split(SHARED.init(RefCell::new(state)), read, write)
}
