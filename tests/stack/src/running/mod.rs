//! A stack while it runs: where its files and ports are, its processes, and how they become ready.

pub mod dns;
pub mod identity;
pub mod layout;
pub mod places;
pub mod process;
pub mod readiness;
pub mod stack;
