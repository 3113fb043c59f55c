//! The gateway's development certificate, for a listener that a test patches back to TLS.

use std::net::IpAddr;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};

use super::secrets::write_private;
use crate::StackError;
use crate::running::layout::Layout;

/// Writes a CA of this run and, signed by it, a certificate for `localhost` and the gateway's address.
///
/// # Errors
///
/// When a certificate cannot be made or a file cannot be written.
pub fn write(layout: &Layout, gateway: IpAddr) -> Result<(), StackError> {
    let (authority, certificate, key) = make(gateway)
        .map_err(|error| StackError::configuration("the gateway's certificate", error))?;
    write_private(&layout.gateway_ca(), &authority)?;
    write_private(&layout.tls().join("tls.crt"), &certificate)?;
    write_private(&layout.tls().join("tls.key"), &key)
}

fn make(gateway: IpAddr) -> Result<(String, String, String), rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.distinguished_name.push(DnType::CommonName, "ib-gateway development gateway CA");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;

    let key = KeyPair::generate()?;
    let mut leaf = CertificateParams::new(vec!["localhost".to_owned()])?;
    leaf.subject_alt_names.push(SanType::IpAddress(gateway));
    leaf.distinguished_name.push(DnType::CommonName, "ib-gateway development gateway");
    let leaf = leaf.signed_by(&key, &authority)?;
    Ok((authority.as_ref().pem(), leaf.pem(), key.serialize_pem()))
}
