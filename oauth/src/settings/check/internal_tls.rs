//! Checking TLS on the internal port, its files included.

use rustls::pki_types::ServerName;

use super::Problems;
use crate::{
    internal_tls,
    settings::{InternalTlsSettings, file},
};

pub(super) fn check(
    file: file::internal_tls::InternalTls,
    found: &mut Problems,
) -> InternalTlsSettings {
    let mut client_names = Vec::new();
    for (position, name) in file.client_names.into_iter().enumerate() {
        match ServerName::try_from(name) {
            Ok(name) => client_names.push(name),
            Err(_) => {
                let field = format!("internal_tls.client_names[{position}]");
                found.add(field, "must be a DNS name or an address");
            }
        }
    }
    found.exposed("internal_tls.key_file", &file.key_file);
    let settings = InternalTlsSettings {
        certificate_file: file.certificate_file,
        key_file: file.key_file,
        client_ca_file: file.client_ca_file,
        client_names,
    };
    if let Err(internal_tls::Unusable { field, reason }) = internal_tls::load(&settings) {
        found.add(format!("internal_tls.{field}"), reason);
    }
    settings
}
