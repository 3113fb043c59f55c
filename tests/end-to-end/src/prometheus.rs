//! A real Prometheus on the rules of `deploy/observability`, with its windows and waits a tenth as long.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::connection::Connection;
use crate::deadline::{PATIENCE, eventually};
use crate::envoy_process::{envoy_folder, free_port};
use crate::http::{Request, Response};

/// By how much the rules' windows and waits are shortened.
const FASTER: u32 = 10;
/// What `prometheus.yml` scrapes, as it is shipped.
const SHIPPED_TARGETS: [&str; 2] = [
    "dns_sd_configs:\n      - { names: [envoy], type: A, port: 9902 }",
    "dns_sd_configs:\n      - { names: [service], type: A, port: 8082 }",
];

/// One result of a query.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its values over the time that was asked about; some may be no numbers.
    pub values: Vec<f64>,
}

/// A running Prometheus; it ends with this value.
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
    _folder: TempDir,
}

/// The folder `deploy/observability` of the project.
#[must_use]
pub fn observability_folder() -> PathBuf {
    envoy_folder().join("../deploy/observability")
}

impl Prometheus {
    /// Starts `$PROMETHEUS` on the shipped configuration, with these addresses in the place of its own, one
    /// scrape a second, and every window and wait of the rules shortened by the same factor.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    #[must_use]
    #[track_caller]
    pub fn start(envoy_stats: SocketAddr, service_internal: SocketAddr) -> Self {
        let program = env::var_os("PROMETHEUS").expect("PROMETHEUS names the program");
        let folder = tempfile::tempdir().expect("a folder");
        let shipped = observability_folder();
        let mut text = fs::read_to_string(shipped.join("prometheus.yml")).expect("prometheus.yml");
        for (target, address) in SHIPPED_TARGETS.iter().zip([envoy_stats, service_internal]) {
            assert!(text.contains(target), "prometheus.yml scrapes no {target}");
            let given = format!("static_configs: [{{ targets: [\"{address}\"] }}]");
            text = text.replace(target, &given);
        }
        assert!(text.contains("15s") && text.contains("10s"), "other intervals than expected");
        let text = text.replace("15s", "1s").replace("10s", "1s");
        fs::write(folder.path().join("prometheus.yml"), text).expect("a file");
        fs::create_dir(folder.path().join("rules")).expect("a folder");
        for file in rule_files(&shipped) {
            let name = file.file_name().expect("a file's name");
            let text = shortened(&fs::read_to_string(&file).expect("rules"));
            fs::write(folder.path().join("rules").join(name), text).expect("a file");
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let child = Command::new(program)
            .arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--log.level=error")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("Prometheus can be started");
        let prometheus = Self { child, address, _folder: folder };
        eventually("Prometheus to be ready", PATIENCE, || {
            let answer = prometheus.try_get("/-/ready").ok()?;
            (answer.status == 200).then_some(())
        });
        prometheus
    }

    /// The names of the alerts that fire now.
    ///
    /// # Panics
    ///
    /// When Prometheus does not answer.
    #[must_use]
    #[track_caller]
    pub fn firing(&self) -> BTreeSet<String> {
        let answer = self.get("/api/v1/alerts", &[]);
        let alerts = answer["data"]["alerts"].as_array().expect("a list of alerts").clone();
        alerts
            .iter()
            .filter(|alert| alert["state"] == "firing")
            .filter_map(|alert| Some(alert["labels"]["alertname"].as_str()?.to_owned()))
            .collect()
    }

    /// Waits until all of these alerts fire, or none of them.
    ///
    /// # Panics
    ///
    /// When that does not happen in time.
    #[track_caller]
    pub fn await_alerts(&self, names: &[&str], fire: bool, within: Duration) {
        eventually(&format!("{names:?} firing to be {fire}"), within, || {
            let firing = self.firing();
            names.iter().all(|name| firing.contains(*name) == fire).then_some(())
        });
    }

    /// Every name of a metric that was scraped or recorded.
    ///
    /// # Panics
    ///
    /// When Prometheus does not answer.
    #[must_use]
    #[track_caller]
    pub fn names(&self) -> BTreeSet<String> {
        let answer = self.get("/api/v1/label/__name__/values", &[]);
        serde_json::from_value(answer["data"].clone()).expect("a list of names")
    }

    /// What a query gave over the last `seconds`, once a second.
    ///
    /// # Panics
    ///
    /// When Prometheus refuses the query.
    #[must_use]
    #[track_caller]
    pub fn over(&self, query: &str, seconds: u64) -> Vec<Found> {
        let now = self.get("/api/v1/query", &[("query", "time()")]);
        let now = now["data"]["result"][0].as_f64().expect("a time");
        // Whole seconds are exact for as long as clocks count them.
        let start = Duration::from_secs_f64(now).as_secs().saturating_sub(seconds);
        let answer = self.get(
            "/api/v1/query_range",
            &[
                ("query", query),
                ("start", &start.to_string()),
                ("end", &format!("{now:.0}")),
                ("step", "1s"),
            ],
        );
        let result = answer["data"]["result"].as_array().expect("a list of series").clone();
        result
            .into_iter()
            .map(|series| Found {
                labels: serde_json::from_value(series["metric"].clone()).expect("labels"),
                values: series["values"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|value| value[1].as_str()?.parse().ok())
                    .collect(),
            })
            .collect()
    }

    #[track_caller]
    fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        let answer = self
            .try_get(&format!("{path}?{query}"))
            .unwrap_or_else(|error| panic!("no answer of Prometheus to {path}: {error}"));
        answer.with_status(200).json()
    }

    fn try_get(&self, target: &str) -> std::io::Result<Response> {
        Connection::open(self.address)?.exchange(&Request::get(target), &self.address.to_string())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rule files of a folder.
///
/// # Panics
///
/// When there are none.
#[must_use]
#[track_caller]
pub fn rule_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("rules")).expect("a folder of rules");
    let files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    assert!(!files.is_empty(), "there are no rules");
    files
}

/// Rules whose windows (`[5m]`) and waits (`for: 1m`) are a tenth as long; nothing else of them changes.
fn shortened(rules: &str) -> String {
    let mut text = String::new();
    let mut rest = rules;
    while let Some((at, before)) =
        ["[", "for: "].into_iter().filter_map(|mark| Some((rest.find(mark)?, mark))).min()
    {
        let (done, after) = rest.split_at(at + before.len());
        text.push_str(done);
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = after.split_at(digits);
        rest = match (number.parse::<u32>(), unit.strip_prefix('m')) {
            (Ok(minutes), Some(unit)) => {
                text.push_str(&format!("{}s", minutes * 60 / FASTER));
                unit
            }
            _ => after,
        };
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn windows_and_waits_are_a_tenth_as_long_and_the_rest_stays() {
        let rules = "expr: rate(a[5m]) > 5 and b[1m]\nfor: 15m\ndescription: for 5 minutes\n[x]";
        let wanted = "expr: rate(a[30s]) > 5 and b[6s]\nfor: 90s\ndescription: for 5 minutes\n[x]";
        assert_eq!(shortened(rules), wanted);
    }
}
