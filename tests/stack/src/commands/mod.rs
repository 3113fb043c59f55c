//! The commands of the program `ib-stack`.

pub mod arguments;
pub mod background;
pub mod browser;
pub mod callback;
pub mod console;
pub mod demonstration;
pub mod files;
pub mod foreground;
pub mod oauth_client;
pub mod state;
pub mod supervise;
