use super::*;

fn written(folder: &Path, gateway_url: &str, redis: bool) -> Result<(), String> {
    Containers {
        folder: folder.to_owned(),
        envoy_folder: Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy"),
        gateway_url: gateway_url.to_owned(),
        envoy_admin: SocketAddr::from((Ipv4Addr::LOCALHOST, 9901)),
        redis,
    }
    .write()
    .map_err(|error| error.to_string())
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn the_gateways_container_gets_its_credential_and_none_of_the_services_keys() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "http://127.0.0.1:8080", true).unwrap();
    let service = folder.path().join("service/secrets");
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let of_gateway: Vec<_> =
        files_below(&folder.path().join("envoy")).into_iter().map(read).collect();
    for name in ["sealing-key", "token-tag-key", "redis-password"] {
        let secret = read(service.join(name));
        assert!(secret.len() > 40, "{name}");
        assert!(of_gateway.iter().all(|text| !text.contains(&secret)), "{name}");
    }
    let credential = format!("Bearer {}", read(service.join("gateway-credential")));
    assert_eq!(of_gateway.iter().filter(|text| **text == credential).count(), 1);
}

#[test]
fn redis_knows_the_services_password_by_its_hash_alone() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "http://127.0.0.1:8080", true).unwrap();
    let users = std::fs::read_to_string(folder.path().join("redis/users.acl")).unwrap();
    let password =
        std::fs::read_to_string(folder.path().join("service/secrets/redis-password")).unwrap();
    assert!(!users.contains(&password));
    assert!(users.contains("~{main}:*") && users.contains("user default on nopass -@all +ping\n"));
}

#[test]
fn a_second_start_keeps_the_secrets_so_that_the_store_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = || {
        let mut files = files_below(&folder.path().join("service/secrets"));
        files.push(folder.path().join("grafana/admin-password"));
        files.into_iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
    };
    written(folder.path(), "http://127.0.0.1:8080", false).unwrap();
    let before = secrets();
    written(folder.path(), "http://127.0.0.1:18080", true).unwrap();
    assert_eq!(secrets(), before);
}

#[test]
fn the_gateway_answers_for_the_host_and_stage_of_its_url_and_lets_no_private_network_through() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "http://localhost:18080/dev/", false).unwrap();
    let text = std::fs::read_to_string(folder.path().join("envoy/envoy.json")).unwrap();
    for expected in [
        r#"\"resource\":\"http://localhost:18080/dev/proxy/\""#,
        r#""path": "/dev/healthz""#,
        r#""address": "service""#,
        r#""name": "10.0.0.0_8""#,
        r#""name": "172.16.0.0_12""#,
        r#""name": "192.168.0.0_16""#,
    ] {
        assert!(text.contains(expected), "{expected}");
    }
    assert!(!text.contains("198.18.0.0_15"), "the simulator's network");
    let settings = std::fs::read_to_string(folder.path().join("service/oauth.yaml")).unwrap();
    assert!(settings.contains("http://localhost:18080/dev\n"), "{settings}");
    assert!(settings.contains(STORE) && !settings.contains("127.0.0.2"), "{settings}");
}

#[test]
fn what_is_no_url_of_a_gateway_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    for bad in ["", "127.0.0.1:8080", "ftp://localhost/", "unix:/tmp/socket"] {
        let error = written(folder.path(), bad, false).unwrap_err();
        assert!(error.contains("the gateway's URL"), "{bad}: {error}");
    }
}
