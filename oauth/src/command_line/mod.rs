//! The commands that are more than a few lines. Only the program has them, not the library.

pub(crate) mod copies;
pub(crate) mod credentials;
pub(crate) mod grants;
