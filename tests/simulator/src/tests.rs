//! The whole simulator, in this process, driven over TLS and by its control API.

mod api;
mod control;
mod downloads;
mod hosts;
mod login;
mod rei_cca;
mod support;
