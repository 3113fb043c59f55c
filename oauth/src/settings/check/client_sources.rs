//! Checking the sections about clients that are not in the settings.

use std::time::Duration;

use super::{
    DAY, Problems, clients::check_scopes, hosts, machine_credentials::check_others, secrets,
};
use crate::{
    hosts::HostList,
    settings::{DocumentSettings, RegistrationSettings, file},
};

/// `refresh_token_seconds`: a registration has to outlive the last grant that it has.
pub(super) fn registration(
    file: file::Registration,
    refresh_token_seconds: u64,
    found: &mut Problems,
) -> Option<RegistrationSettings> {
    let redirect_hosts = hosts("registration.redirect_hosts", &file.redirect_hosts, found);
    check_scopes("registration.scopes", &file.scopes, found);
    check_others("registration.scopes", &file.scopes, found);
    let unused_days = found.range("registration.unused_days", file.unused_days, 1..=3_660);
    let unused_seconds = unused_days.saturating_mul(DAY);
    // A use is noted once a day.
    if file.enabled && unused_seconds < refresh_token_seconds.saturating_add(DAY) {
        found.add(
            "registration.unused_days",
            "must be more than tokens.refresh_token_seconds by a day, or clients would end before \
             their grants",
        );
    }
    let maximum_per_day =
        found.range("registration.maximum_per_day", file.maximum_per_day, 1..=1_000_000);
    let initial_access_token = file.initial_access_token_file.and_then(|path| {
        let field = "registration.initial_access_token_file";
        found.exposed(field, &path);
        secrets::secret_hash(&path).map_err(|reason| found.add(field, reason)).ok()
    });
    if file.enabled && initial_access_token.is_none() {
        found.warn("registration", "without an initial access token anybody may register a client");
    }
    file.enabled.then(|| RegistrationSettings {
        redirect_hosts: HostList::new(redirect_hosts),
        scopes: file.scopes,
        initial_access_token,
        confidential: file.confidential,
        unused_seconds,
        maximum_per_day,
    })
}

pub(super) fn documents(
    file: file::ClientDocuments,
    found: &mut Problems,
) -> Option<DocumentSettings> {
    let hosts = hosts("client_documents.allowed_hosts", &file.allowed_hosts, found);
    check_scopes("client_documents.scopes", &file.scopes, found);
    check_others("client_documents.scopes", &file.scopes, found);
    if file.enabled && file.allowed_hosts.is_empty() {
        found.add("client_documents.allowed_hosts", "needs at least one host");
    }
    let mut seconds = |name: &str, value, allowed| {
        found.seconds(&format!("client_documents.{name}"), value, allowed)
    };
    let shortest: Duration =
        seconds("minimum_cache_seconds", file.minimum_cache_seconds, 30..=3_600);
    let longest = seconds("maximum_cache_seconds", file.maximum_cache_seconds, 30..=7 * DAY);
    if shortest > longest {
        found.add(
            "client_documents.maximum_cache_seconds",
            "must not be less than minimum_cache_seconds",
        );
    }
    file.enabled.then(|| DocumentSettings {
        hosts: HostList::new(hosts),
        scopes: file.scopes,
        shortest,
        longest,
    })
}
