//! The secret by which the gateway proves itself, rotated under load: the service takes two, Envoy's file
//! is replaced, the old one is taken away. No client notices, and the old one opens nothing any more.
#![cfg(test)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use ib_end_to_end::{Connection, Deployment, PATIENCE, Part, Request, StackOptions, eventually};
use serde_json::{Value, json};

const NEXT: &str = "the-next-credential-of-the-gateway-0123456789";
const WORKERS: u32 = 3;
/// Logins of each: half before Envoy's file is replaced, half after.
const LOGINS: u32 = 12;

#[test]
fn the_gateways_secret_is_rotated_under_load_and_no_client_notices() {
    let Some(gateway) = Deployment::own(StackOptions::default()) else { return };
    let run = gateway.stack().addresses().run_directory.clone();
    let old_file = gateway.reach().gateway_credential_file.clone();
    let old = fs::read_to_string(&old_file).unwrap().trim().to_owned();
    let next_file = run.join("secrets").join("next-credential");
    fs::write(&next_file, NEXT).unwrap();
    assert_eq!((status(&gateway, &old), status(&gateway, NEXT)), (200, 401));

    // 1. The service takes both.
    give_service(&gateway, &run, &[&old_file, &next_file]);
    assert_eq!((status(&gateway, &old), status(&gateway, NEXT)), (200, 200));

    // 2. Envoy is given the new one, while each request is a question to the service.
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                for _ in 0..LOGINS {
                    let token = gateway.log_in().access_token;
                    let request = gateway.proxied("GET", "/rotated?echo").bearer(&token);
                    gateway.send(&request).with_status(200);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let half = WORKERS * LOGINS / 2;
        eventually("half of the load", PATIENCE, || {
            (done.load(Ordering::SeqCst) >= half).then_some(())
        });
        let beside = run.join("secrets").join("beside");
        fs::write(&beside, format!("Bearer {NEXT}")).unwrap();
        fs::rename(beside, run.join("secrets").join("gateway-authorization")).unwrap();
    });
    assert_eq!(done.load(Ordering::SeqCst), WORKERS * LOGINS);

    // 3. The old one is taken away.
    give_service(&gateway, &run, &[&next_file]);
    assert_eq!((status(&gateway, &old), status(&gateway, NEXT)), (401, 200));
    eventually("a login with the new secret", PATIENCE, || {
        let token = gateway.log_in().access_token;
        let answer = gateway.send(&gateway.proxied("GET", "/rotated?echo").bearer(&token));
        (answer.status == 200).then_some(())
    });
}

/// Restarts the service with these credentials.
fn give_service(gateway: &Deployment, run: &Path, files: &[&Path]) {
    let path = run.join("oauth.yaml");
    let mut settings: Value = serde_saphyr::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let files: Vec<_> = files.iter().map(|file| json!({ "file": file })).collect();
    settings["gateway"]["credentials"] = json!(files);
    fs::write(&path, settings.to_string()).unwrap();
    gateway.kill(Part::Service);
    gateway.start_part(Part::Service);
}

/// How the internal port answers to a credential.
fn status(gateway: &Deployment, credential: &str) -> u16 {
    let address = gateway.reach().service_internal;
    let request = Request::get("/revocations").bearer(credential);
    let mut connection = Connection::open(address).unwrap();
    connection.exchange(&request, &address.to_string()).unwrap().status
}
