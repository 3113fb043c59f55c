//! Keys that change while the service runs: those in files, which are read again on a signal
//! (`reload`), and those that the service makes and keeps in its store (`keeper`).

mod generate;
mod keeper;
mod reload;
mod stored;
mod watch;

pub(crate) use generate::generate;
pub(crate) use keeper::{KeyKeeper, RotateError};
pub(crate) use reload::reload;
pub(crate) use stored::{KeyKind, KeyState};
pub(crate) use watch::{KeySignals, follow_signals, poll};
