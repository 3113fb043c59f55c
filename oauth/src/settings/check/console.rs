//! Checking the `console` section: with the page comes the client that it is.

use super::{Problems, clients::check_scopes};
use crate::{
    clients::{ActsFor, CONSOLE_CLIENT, Client, ClientKind, RegisteredRedirect, Source},
    settings::{Issuer, file},
};

/// The client of the console, if the console is switched on.
pub(super) fn check(file: file::Console, issuer: &Issuer, found: &mut Problems) -> Option<Client> {
    if !file.enabled {
        return None;
    }
    found.warn("console.enabled", "everybody who reaches the gateway gets its test page");
    check_scopes("console.scopes", &file.scopes, found);
    let uri = format!("{}/console", issuer.url);
    let redirect = RegisteredRedirect::parse(&uri)
        .map_err(|reason| found.add("console.enabled", format!("{uri} {reason}")))
        .ok()?;
    Some(Client {
        id: CONSOLE_CLIENT.to_owned(),
        name: "Gateway console".to_owned(),
        source: Source::Settings,
        kind: ClientKind::Public,
        acts_for: ActsFor::Persons,
        redirects: vec![redirect],
        scopes: file.scopes,
    })
}
