//! Introspections: who waits for them, how long their answers live, and what revocations do to them.

mod lives;
mod revocations;
mod waiting;
