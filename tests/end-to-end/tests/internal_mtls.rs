//! TLS with client certificates between the gateway and the OAuth service (`envoy/internal-mtls.yaml`):
//! the gateway works over it, and whoever has another certificate, or none, gets nothing.
#![cfg(test)]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use ib_end_to_end::{
    Deployment, PATIENCE, PLATFORM_HOST, Snippet, StackOptions, assert_error_body, envoy_folder,
    forged_token, unique_hex,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

/// As the snippet has it.
const SERVICE: &str = "oauth.internal";
const GATEWAY: &str = "gateway.internal";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // A name of its own: a certificate whose issuer has the name of its subject passes for self-signed.
    params.distinguished_name.push(DnType::CommonName, format!("CA {}", unique_hex(4)));
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of `authority` for `name`, and its key.
fn identity(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// The files of both sides.
struct Files {
    folder: TempDir,
    clients: Authority,
}

impl Files {
    fn write() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (servers, clients) = (authority(), authority());
        let files = Self { folder, clients };
        let (certificate, key) = identity(&servers, SERVICE);
        for (name, text) in [
            ("server.crt", certificate),
            ("server.key", key),
            ("client-ca.crt", files.clients.as_ref().pem()),
            ("server-ca.crt", servers.as_ref().pem()),
        ] {
            fs::write(files.path(name), text).unwrap();
        }
        files.give_gateway(&identity(&files.clients, GATEWAY));
        for name in ["internal-client-certificate.yaml", "internal-server-ca.yaml"] {
            let text = fs::read_to_string(envoy_folder().join("sds").join(name)).unwrap();
            let here = files.folder.path().to_str().unwrap();
            assert!(text.contains("internal-tls"));
            fs::write(
                files.path(name),
                text.replace("internal-tls/", &format!("{here}/"))
                    .replace("path: internal-tls ", &format!("path: {here} ")),
            )
            .unwrap();
        }
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn give_gateway(&self, (certificate, key): &(String, String)) {
        fs::write(self.path("client.crt"), certificate).unwrap();
        fs::write(self.path("client.key"), key).unwrap();
    }

    fn service_settings(&self) -> Value {
        json!({ "internal_tls": {
            "certificate_file": self.path("server.crt"),
            "key_file": self.path("server.key"),
            "client_ca_file": self.path("client-ca.crt"),
            "client_names": [GATEWAY],
        } })
    }

    /// The snippet as it stands, with the files of this test.
    fn options(&self) -> StackOptions {
        let mut options = Snippet::read("internal-mtls.yaml").options();
        for operation in &mut options.envoy_patch {
            move_files(operation, self.folder.path());
        }
        options.service_settings = self.service_settings();
        options
    }
}

/// Has every `path: sds/...` lead into `folder`.
fn move_files(value: &mut Value, folder: &Path) {
    match value {
        Value::String(text) => {
            if let Some(name) = text.strip_prefix("sds/") {
                *text = folder.join(name).to_str().unwrap().to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_files(item, folder)),
        Value::Object(fields) => fields.values_mut().for_each(|item| move_files(item, folder)),
        _ => {}
    }
}

#[test]
fn the_gateway_works_over_tls_with_its_certificate() {
    let files = Files::write();
    let Some(gateway) = Deployment::own(files.options()) else { return };
    gateway.await_feeds();
    let grant = gateway.log_in();
    let request = gateway.proxied("GET", "/api/3.0.0/mtls/user?echo").bearer(&grant.access_token);
    gateway.send(&request).with_status(200);
    let unknown = gateway.proxied("GET", "/x").bearer(&forged_token());
    assert_error_body(&gateway.send(&unknown), 401, "invalid_token");
    // In the clear the service says nothing on this port.
    let mut stream = TcpStream::connect(gateway.reach().service_internal).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok();
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_gateway_with_another_certificate_or_none_gets_nothing_and_lets_nothing_pass() {
    let good = Files::write();
    for (what, own) in [
        ("another CA's", Some(identity(&authority(), GATEWAY))),
        ("another name", Some(identity(&good.clients, "somebody.internal"))),
        ("none", None),
    ] {
        let files = Files::write();
        let mut options = files.options();
        options.service_settings = good.service_settings();
        // It trusts the service: what is refused is the gateway.
        fs::copy(good.path("server-ca.crt"), files.path("server-ca.crt")).unwrap();
        match own {
            Some(own) => files.give_gateway(&own),
            None => {
                for operation in &mut options.envoy_patch {
                    let context = "/value/typed_config/common_tls_context";
                    if let Some(Value::Object(context)) = operation.pointer_mut(context) {
                        context.remove("tls_certificate_sds_secret_configs").unwrap();
                    }
                }
            }
        }
        let Some(gateway) = Deployment::own(options) else { return };
        let grant = gateway.log_in();
        for _ in 0..3 {
            let request = gateway.proxied_to(PLATFORM_HOST, "GET", "/x?echo");
            let answer = gateway.send(&request.bearer(&grant.access_token));
            assert_error_body(&answer, 503, "temporarily_unavailable");
            assert!(!answer.text().is_empty(), "{what}");
        }
        assert_eq!(gateway.filter_count("current_revocation_feeds"), 0, "{what}");
    }
}
