//! The program itself: its command line, its start, its stop, and its death.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, in its helpers too"
)]

use std::{
    ffi::OsStr,
    io::{Read as _, Write as _},
    net::TcpStream,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

#[allow(dead_code, reason = "the engines' own tests use all of it")]
mod servers;
mod serving;

use servers::Server;
use serving::{PROGRAM, Serving, settings};

fn run(arguments: &[&str], config: &Path) -> Output {
    Command::new(PROGRAM).args(arguments).arg("--config").arg(config).output().unwrap()
}

#[test]
fn check_says_whether_the_settings_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let good = run(&["check"], &settings(&folder, ""));
    assert!(good.status.success(), "{good:?}");
    let bad = run(&["check"], &settings(&folder, "tokens: { code_seconds: 9999 }"));
    assert_eq!(bad.status.code(), Some(1));
    let told = String::from_utf8(bad.stderr).unwrap();
    assert!(told.contains("tokens.code_seconds: must be between 5 and 600"), "{told}");
    let unknown = run(&["check"], &settings(&folder, "tokens: { colour: red }"));
    let told = String::from_utf8(unknown.stderr).unwrap();
    assert!(told.contains("tokens.colour"), "{told}");
}

#[test]
fn the_environment_overrides_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(["check", "--config"])
        .arg(settings(&folder, ""))
        .env("IB_OAUTH__TOKENS__CODE_SECONDS", "9999")
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("tokens.code_seconds"));
}

#[test]
fn it_serves_on_two_ports_and_ends_well_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let mut serving = Serving::start(&settings(&folder, "log: trace"));
        assert!(serving.get(serving.public, "/healthz").starts_with("HTTP/1.1 200"));
        assert!(serving.get(serving.public, "/metrics").starts_with("HTTP/1.1 404"));
        assert!(serving.get(serving.internal, "/readyz").starts_with("HTTP/1.1 200"));
        assert!(serving.get(serving.internal, "/metrics").contains("oauth_introspections_total"));
        serving.signal(signal);
        assert!(serving.child.wait().unwrap().success());
        let rest: Vec<_> = serving.log.iter().collect();
        assert!(rest.iter().any(|line| line.contains("the service has stopped")), "{rest:?}");
    }
}

#[test]
fn a_request_that_was_accepted_is_answered_before_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(&settings(&folder, ""));
    let mut stream = TcpStream::connect(serving.public).unwrap();
    let head = "POST /token HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n\
                content-type: application/x-www-form-urlencoded\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // The interim answer says that the request has reached its handler.
    let mut interim = [0; 12];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100");
    serving.signal("-TERM");
    while !serving.log.recv().unwrap().contains("the service stops") {}
    stream.write_all(b"a=b").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("HTTP/1.1 400") && answer.contains("grant_type"), "{answer}");
    assert!(serving.child.wait().unwrap().success());
}

#[test]
fn a_gateway_that_waits_for_revocations_delays_no_stop() {
    let folder = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(&settings(&folder, "server: { shutdown_seconds: 600 }"));
    let ask = |query: &str| {
        let mut stream = TcpStream::connect(serving.internal).unwrap();
        write!(
            stream,
            "GET /revocations{query} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             authorization: Bearer gateway-credential-for-tests-0123456789\r\n\r\n"
        )
        .unwrap();
        stream
    };
    let read = |mut stream: TcpStream| {
        let mut answer = String::new();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let told = read(ask(""));
    let head = told.split_once("\"as_of\":").unwrap().1.split_once(',').unwrap().0.to_owned();
    let waiting = ask(&format!("?after={head}&wait=30"));
    let waits = "oauth_revocation_feed_waiting 1";
    while !serving.get(serving.internal, "/metrics").contains(waits) {}
    serving.signal("-TERM");
    let answer = read(waiting);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(&head), "{answer}");
    assert!(serving.child.wait().unwrap().success());
}

#[test]
fn seeding_fills_the_store_with_good_tokens_and_needs_a_development_section() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("tokens.txt");
    let seed = |config: &Path, more: &[&str]| {
        Command::new(PROGRAM)
            .args(["admin", "seed", "--grants", "12", "--client", "c", "--config"])
            .arg(config)
            .arg("--output")
            .arg(&output)
            .args(more)
            .output()
            .unwrap()
    };
    let refused = seed(&settings(&folder, ""), &[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("development: "));
    let config = settings(&folder, "development: {}");
    for (option, value) in [
        ("--platform", "evil.example"),
        ("--api-url", "https://evil.example"),
        ("--api-url", "http://apiv3.intelligencebank.com"),
    ] {
        let refused = seed(&config, &[option, value]);
        assert!(String::from_utf8(refused.stderr).unwrap().contains(option), "{value}");
    }
    assert!(!output.exists());
    let (refresh, codes) = (folder.path().join("refresh.txt"), folder.path().join("codes.txt"));
    let (refresh_path, codes_path) = (refresh.to_str().unwrap(), codes.to_str().unwrap());
    let seeded = seed(
        &config,
        &[
            "--api-url",
            "https://apiv3.intelligencebank.com",
            "--refresh-tokens",
            refresh_path,
            "--codes",
            codes_path,
        ],
    );
    assert!(seeded.status.success(), "{seeded:?}");
    let tokens = std::fs::read_to_string(&output).unwrap();
    let tokens: std::collections::HashSet<_> = tokens.lines().collect();
    assert_eq!(tokens.len(), 12);
    let serving = Serving::start(&config);
    let (refresh, codes) = (lines(&refresh), lines(&codes));
    assert_eq!((refresh.len(), codes.len()), (12, 12));
    for (token, code) in refresh.iter().zip(&codes) {
        let refreshed =
            serving.token(&format!("grant_type=refresh_token&client_id=c&refresh_token={token}"));
        assert!(refreshed.contains("access_token"), "{refreshed}");
        let exchanged = serving.token(&format!(
            "grant_type=authorization_code&client_id=c&code={code}\
             &redirect_uri=http%3A%2F%2F127.0.0.1%2Fcallback\
             &code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        ));
        assert!(exchanged.contains("access_token"), "{exchanged}");
    }
    for token in tokens {
        let mut stream = TcpStream::connect(serving.internal).unwrap();
        let body = format!("token={token}");
        write!(
            stream,
            "POST /introspect HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\
             authorization: Bearer gateway-credential-for-tests-0123456789\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(r#""active":true"#), "{answer}");
        let hosts = r#"["company.intelligencebank.com","apiv3.intelligencebank.com"]"#;
        assert!(answer.contains(hosts), "{answer}");
    }
}

/// The different lines of a file.
fn lines(path: &Path) -> std::collections::HashSet<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_client_that_never_finishes_its_headers_is_cut_off_and_delays_no_stop_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let bounds = "server: { header_timeout_seconds: 1, shutdown_seconds: 1 }";
    let mut serving = Serving::start(&settings(&folder, bounds));
    let mut stream = TcpStream::connect(serving.public).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").unwrap();
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    let mut slow = TcpStream::connect(serving.public).unwrap();
    slow.write_all(
        b"POST /token HTTP/1.1\r\nhost: t\r\ncontent-length: 9\r\n\
                     content-type: application/x-www-form-urlencoded\r\n\r\n",
    )
    .unwrap();
    serving.signal("-TERM");
    assert!(serving.child.wait().unwrap().success());
}

#[test]
fn after_a_kill_it_starts_again_on_the_same_store_and_a_second_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(&folder, "");
    let mut serving = Serving::start(&config);
    let second = run(&["serve"], &config);
    assert_eq!(second.status.code(), Some(1));
    assert!(
        String::from_utf8(second.stderr)
            .unwrap()
            .contains("store.path: the store cannot be opened")
    );
    serving.signal("-KILL");
    serving.child.wait().unwrap();
    let again = Serving::start(&config);
    assert!(again.get(again.internal, "/readyz").starts_with("HTTP/1.1 200"));
}

#[test]
fn another_sealing_key_than_that_of_the_store_keeps_the_service_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(&folder, "");
    drop(Serving::start(&config));
    let key = folder.path().join("sealing-key");
    let right = std::fs::read_to_string(&key).unwrap();
    std::fs::write(&key, right.replace('B', "C")).unwrap();
    let refused = run(&["serve"], &config);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("ib-oauth: sealing.keys: "));
    std::fs::write(&key, right).unwrap();
    drop(Serving::start(&config));
}

#[test]
fn a_damaged_store_keeps_the_service_from_starting_with_its_path_and_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(&folder, "");
    drop(Serving::start(&config));
    let path = folder.path().join("store.redb");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[64..320].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let refused = run(&["serve"], &config);
    assert_eq!(refused.status.code(), Some(1));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("store.path: ") && told.contains("store.redb"), "{told}");
}

#[test]
fn a_variable_that_is_not_utf_8_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(PROGRAM)
        .args(["check", "--config"])
        .arg(settings(&folder, ""))
        .env("IB_OAUTH__LOG", OsStr::from_bytes(b"in\xfffo"))
        .env("OTHER", OsStr::from_bytes(b"\xff"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("IB_OAUTH__LOG: its value is not UTF-8"), "{told}");
}

#[test]
fn development_settings_and_exposed_secrets_are_warned_of_at_start_and_by_check() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(&folder, "development: { allow_private_addresses: true }");
    let key = folder.path().join("sealing-key");
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(key, permissions).unwrap();
    let fields = ["development.allow_private_addresses", "sealing.keys[0].file"];
    let checked = run(&["check"], &config);
    assert!(checked.status.success());
    let told = String::from_utf8(checked.stderr).unwrap();
    assert!(fields.iter().all(|field| told.contains(field)), "{told}");
    let serving = Serving::start(&config);
    let warned = |field: &str| {
        serving.before.lines().any(|line| line.contains("WARN") && line.contains(field))
    };
    assert!(fields.iter().all(|field| warned(field)), "{}", serving.before);
}

#[test]
fn a_signal_right_after_the_ready_line_is_a_stop_and_no_death() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(&folder, "");
    for _ in 0..5 {
        let mut serving = Serving::start(&config);
        serving.signal("-TERM");
        assert!(serving.child.wait().unwrap().success());
    }
}

#[test]
fn keys_in_files_are_read_again_on_a_signal_and_bad_ones_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let key = |name: &str| {
        let path = folder.path().join(name);
        let made = Command::new(PROGRAM)
            .args(["admin", "keys", "generate", "--kind", "signing", "--output"])
            .arg(&path)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        path
    };
    let (one, two) = (key("one"), key("two"));
    let with = |keys: &[(&str, &PathBuf)]| {
        let keys: Vec<_> =
            keys.iter().map(|(id, file)| format!("{{ id: {id}, file: {file:?} }}")).collect();
        settings(&folder, &format!("signing: {{ keys: [ {} ] }}", keys.join(", ")))
    };
    let serving = Serving::start(&with(&[("one", &one)]));
    let reloads = |result: &str| {
        let line = format!("oauth_key_reloads_total{{result=\"{result}\"}} 1");
        while !serving.get(serving.internal, "/metrics").contains(&line) {}
    };
    // One that is wrong in anything, here in the file of another kind.
    with(&[("one", &one), ("two", &two)]);
    std::fs::write(folder.path().join("token-tag-key"), "no key").unwrap();
    serving.signal("-HUP");
    reloads("failure");
    assert!(!serving.get(serving.public, "/jwks.json").contains("two"));
    with(&[("one", &one), ("two", &two)]);
    serving.signal("-HUP");
    reloads("success");
    let set = serving.get(serving.public, "/jwks.json");
    assert!(set.contains(r#""kid":"one""#) && set.contains(r#""kid":"two""#), "{set}");
}

#[test]
fn keys_in_the_store_are_made_listed_and_rotated() {
    let folder = tempfile::tempdir().unwrap();
    let stored = "signing: { source: store, publish_seconds: 60 }";
    let config = settings(&folder, stored);
    let command = |name: &str, kind: &str| {
        let arguments = ["admin", "keys", name, "--kind", kind];
        let output = run(&arguments, &config);
        let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.success(), told.concat())
    };
    let mut serving = Serving::start(&config);
    let (listed, told) = command("list", "signing");
    assert!(!listed && told.contains("store"), "the store is open elsewhere: {told}");
    serving.signal("-USR1");
    let rotated = "oauth_key_rotations_total{kind=\"signing\"} 1";
    while !serving.get(serving.internal, "/metrics").contains(rotated) {}
    assert_eq!(serving.get(serving.public, "/jwks.json").matches("\"kid\"").count(), 2);
    serving.signal("-TERM");
    assert!(serving.child.wait().unwrap().success());

    let (listed, told) = command("list", "signing");
    let lines: Vec<_> = told.lines().collect();
    assert!(listed && lines.len() == 2, "{told}");
    assert!(lines[0].contains("issues until") && lines[1].contains("published"), "{told}");
    let (rotated, told) = command("rotate", "signing");
    assert!(!rotated && told.contains("under way"), "{told}");
    let (rotated, told) = command("rotate", "token-tags");
    assert!(!rotated && told.contains("files"), "{told}");
}

#[test]
#[ignore = "needs a redis-server: make test-stores"]
fn two_programs_on_one_redis_say_when_it_is_gone_and_need_no_restart_when_it_is_back() {
    let mut redis = Server::redis();
    let store = format!(
        "store: {{ engine: redis, address: \"127.0.0.1:{}\", tls: false, prefix: main, \
         connect_timeout_milliseconds: 500, command_timeout_milliseconds: 1000 }}",
        redis.port
    );
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let programs = folders.each_ref().map(|folder| Serving::start(&settings(folder, &store)));
    let all = |status: &str| {
        let start = format!("HTTP/1.1 {status}");
        programs.iter().all(|own| own.get(own.internal, "/readyz").starts_with(&start))
    };
    assert!(all("200"));
    redis.kill();
    assert!(all("503"));
    for own in &programs {
        assert!(own.get(own.public, "/healthz").starts_with("HTTP/1.1 200"));
    }
    redis.restart();
    let mut tries = 0;
    while !all("200") {
        tries += 1;
        assert!(tries < 600, "it does not come back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
#[ignore = "needs a DynamoDB server: make test-stores"]
fn the_program_makes_the_tables_that_it_serves_from_and_says_when_they_are_missing() {
    let dynamodb = Server::dynamodb();
    let folder = tempfile::tempdir().unwrap();
    let store = format!(
        "store: {{ engine: dynamodb, region: eu-central-1, prefix: main-, \
         endpoint: \"http://127.0.0.1:{}\" }}",
        dynamodb.port
    );
    let config = settings(&folder, &store);
    let refused = run(&["serve"], &config);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("store.prefix: ") && told.contains("admin create-tables"), "{told}");
    for progress in ["main-state: being made", "main-state: is there"] {
        let made = run(&["admin", "create-tables"], &config);
        assert!(made.status.success(), "{made:?}");
        assert!(String::from_utf8(made.stderr).unwrap().contains(progress));
    }
    let serving = Serving::start(&config);
    assert!(serving.get(serving.internal, "/readyz").starts_with("HTTP/1.1 200"));
    let redb = tempfile::tempdir().unwrap();
    let none = run(&["admin", "create-tables"], &settings(&redb, ""));
    assert!(String::from_utf8(none.stderr).unwrap().contains("store.engine: "));
}

#[test]
fn an_operator_revokes_all_grants_of_a_client_from_the_command_line_and_a_backup_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let credential = folder.path().join("operator");
    std::fs::write(&credential, "operator-credential-for-tests-0123456789").unwrap();
    let more =
        format!("development: {{}}\nadmin: {{ credentials: [ {{ file: {credential:?} }} ] }}");
    let config = settings(&folder, &more);
    let tokens = folder.path().join("tokens.txt");
    let seeded = Command::new(PROGRAM)
        .args(["admin", "seed", "--grants", "120", "--client", "c", "--config"])
        .arg(&config)
        .arg("--output")
        .arg(&tokens)
        .output()
        .unwrap();
    assert!(seeded.status.success(), "{seeded:?}");
    let backup = folder.path().join("backup");
    let copy = |command: &str, option: &str| {
        Command::new(PROGRAM)
            .args(["admin", command, "--config"])
            .arg(&config)
            .arg(option)
            .arg(&backup)
            .output()
            .unwrap()
    };
    assert!(copy("backup", "--output").status.success());
    assert!(copy("verify-backup", "--input").status.success());
    let grants = |serving: &Serving, command: &str| {
        let ran = Command::new(PROGRAM)
            .args(["admin", "grants", command, "--client", "c", "--url"])
            .arg(format!("http://{}", serving.internal))
            .arg("--credential-file")
            .arg(&credential)
            .output()
            .unwrap();
        assert!(ran.status.success(), "{ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    };
    let serving = Serving::start(&config);
    let in_use = copy("backup", "--output");
    assert!(!in_use.status.success(), "a service has the store open");
    assert_eq!(grants(&serving, "list").lines().count(), 120);
    assert_eq!(grants(&serving, "revoke"), "120 grants revoked\n");
    assert_eq!(grants(&serving, "list"), "");
    drop(serving);
    assert!(!copy("restore", "--input").status.success(), "the store is not empty");
    std::fs::remove_file(folder.path().join("store.redb")).unwrap();
    assert!(copy("restore", "--input").status.success());
    let serving = Serving::start(&config);
    assert_eq!(grants(&serving, "list").lines().count(), 120);
}
