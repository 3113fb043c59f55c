use super::{EXAMPLE, Settings, example, problems, refused, write};
use crate::settings::{EngineSettings, StoreSettings};

/// The example with another store.
fn with(text: &str, store: &str) -> String {
    let section = text.lines().skip_while(|line| *line != "store:");
    let section: Vec<_> = section.take_while(|line| !line.is_empty()).collect();
    text.replace(&section.join("\n"), &format!("store: {{ {store} }}"))
}

fn parsed(store: &str) -> (StoreSettings, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "password", "open-sesame\n");
    write(&folder, "ca.pem", "a certificate");
    let store = store.replace("FOLDER", &folder.path().display().to_string());
    let settings = Settings::parse(&with(&example(&folder), &store), &[]).unwrap();
    let warned = settings.warnings().iter().map(|warning| warning.field.clone());
    let warned = warned.filter(|field| field.starts_with("store.")).collect();
    (settings.store, warned)
}

#[track_caller]
fn is_refused(field: &str, store: &str) {
    refused(field, |_, text| with(&text, store));
}

const REDIS: &str = "engine: redis, address: \"redis.example.com:6379\", prefix: main";
const DYNAMODB: &str = "engine: dynamodb, region: eu-central-1, prefix: main-";

#[test]
fn each_engine_has_its_own_fields_and_sensible_defaults() {
    let (store, warned) = parsed(&format!(
        "{REDIS}, username: gateway, password_file: FOLDER/password, ca_file: FOLDER/ca.pem, \
         database: 3"
    ));
    let EngineSettings::Redis(redis) = &store.engine else { panic!("{store:?}") };
    assert_eq!((redis.host.as_str(), redis.port, redis.database), ("redis.example.com", 6379, 3));
    assert!(redis.tls && redis.ca_pem.is_some());
    assert_eq!(redis.password.as_ref().unwrap().expose(), "open-sesame");
    assert!(!format!("{store:?}").contains("sesame"));
    assert_eq!(
        (redis.bounds.command_timeout.as_millis(), redis.bounds.maximum_in_flight),
        (5_000, 256)
    );
    assert_eq!(warned, ["store.password_file"], "the test's file is readable by others");
    let (store, warned) = parsed(DYNAMODB);
    let EngineSettings::Dynamodb(dynamodb) = &store.engine else { panic!("{store:?}") };
    assert_eq!((dynamodb.region.as_str(), dynamodb.prefix.as_str()), ("eu-central-1", "main-"));
    assert!(dynamodb.endpoint.is_none() && warned.is_empty());
    let (store, _) = parsed("engine: redis, address: \"[::1]:6380\", prefix: main, tls: false");
    let EngineSettings::Redis(redis) = &store.engine else { panic!("{store:?}") };
    assert_eq!((redis.host.as_str(), redis.port, redis.tls), ("::1", 6380, false));
}

#[test]
fn a_field_of_another_engine_is_refused_since_whoever_wrote_it_expects_something_of_it() {
    is_refused("store.path", &format!("{REDIS}, path: /tmp/x"));
    is_refused("store.sweep_seconds", &format!("{DYNAMODB}, sweep_seconds: 5"));
    is_refused("store.region", &format!("{REDIS}, region: eu-central-1"));
    is_refused("store.address", &format!("{DYNAMODB}, address: \"127.0.0.1:6379\""));
    is_refused("store.prefix", "engine: redb, path: /tmp/x, prefix: main");
    is_refused("store.tls", "engine: redb, path: /tmp/x, tls: true");
}

#[test]
fn what_an_engine_needs_must_be_there_a_prefix_too_so_that_no_two_stages_share_a_store() {
    is_refused("store.path", "engine: redb");
    is_refused("store.address", "engine: redis, prefix: main");
    is_refused("store.prefix", "engine: redis, address: \"127.0.0.1:6379\"");
    is_refused("store.region", "engine: dynamodb, prefix: main-");
    is_refused("store.prefix", "engine: dynamodb, region: eu-central-1");
    is_refused("store.engine", "engine: mysql");
}

#[test]
fn values_that_cannot_work_are_refused() {
    for address in
        ["redis.example.com", "user:secret@host:6379", "host:6379/1", "host:6379?x=1", ""]
    {
        let store = format!("engine: redis, prefix: main, address: {address:?}");
        is_refused("store.address", &store);
        let told = problems(|_, text| with(&text, &store));
        assert!(!format!("{told:?}").contains("secret"), "{told:?}");
    }
    let redis = |more: &str| format!("engine: redis, address: \"127.0.0.1:6379\", {more}");
    is_refused("store.prefix", &redis("prefix: \"a{b}\""));
    is_refused("store.prefix", &redis("prefix: \"*\""));
    is_refused("store.username", &redis("prefix: main, username: gateway"));
    is_refused("store.password_file", &redis("prefix: main, password_file: /nowhere"));
    is_refused("store.ca_file", &redis("prefix: main, tls: false, ca_file: /nowhere"));
    is_refused("store.database", &redis("prefix: main, database: 5000"));
    is_refused("store.maximum_in_flight", &format!("{DYNAMODB}, maximum_in_flight: 0"));
    is_refused(
        "store.command_timeout_milliseconds",
        &format!("{DYNAMODB}, command_timeout_milliseconds: 0"),
    );
    is_refused("store.endpoint", &format!("{DYNAMODB}, endpoint: \"http://dynamodb.example.com\""));
    is_refused("store.region", "engine: dynamodb, prefix: main-, region: \"EU Central\"");
}

#[test]
fn a_redis_that_everybody_could_read_or_listen_to_is_warned_of() {
    assert_eq!(parsed(&format!("{REDIS}, tls: false")).1, ["store.tls", "store.password_file"]);
    let local = "engine: redis, address: \"127.0.0.1:6379\", prefix: main, tls: false";
    assert!(parsed(local).1.is_empty());
}

#[test]
fn a_password_that_was_written_in_place_of_its_file_is_not_repeated() {
    let told = problems(|_, text| with(&text, &format!("{REDIS}, password_file: [open-sesame]")));
    assert!(!told.is_empty() && !format!("{told:?}").contains("sesame"), "{told:?}");
    let told = problems(|_, text| with(&text, &format!("{REDIS}, password: open-sesame")));
    assert!(!told.is_empty() && !format!("{told:?}").contains("sesame"), "{told:?}");
}

#[test]
fn the_sections_that_the_example_shows_for_the_other_engines_are_good() {
    let shown: String = EXAMPLE
        .lines()
        .skip_while(|line| *line != "# store:")
        .take_while(|line| !line.is_empty())
        .map(|line| format!("{}\n", line.strip_prefix("# ").unwrap()))
        .collect();
    let sections: Vec<_> = shown.split("store:\n").filter(|text| !text.is_empty()).collect();
    assert_eq!(sections.len(), 2);
    for section in sections {
        let fields = section.lines().map(|line| line.split(" #").next().unwrap().trim());
        let fields = fields.collect::<Vec<_>>().join(", ");
        let fields = fields.replace("/etc/ib-oauth/secrets/redis-password", "FOLDER/password");
        let fields = fields.replace("/etc/ib-oauth/redis-ca.pem", "FOLDER/ca.pem");
        let (store, _) = parsed(&fields);
        let bounds = match &store.engine {
            EngineSettings::Redis(own) => own.bounds,
            EngineSettings::Dynamodb(own) => own.bounds,
            EngineSettings::Redb(_) => panic!("{fields}"),
        };
        // What is shown of them is the default.
        assert_eq!((bounds.connect_timeout.as_secs(), bounds.command_timeout.as_secs()), (2, 5));
        assert_eq!(bounds.maximum_in_flight, 256);
    }
}
