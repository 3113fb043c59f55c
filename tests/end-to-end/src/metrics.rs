//! Counters of the service (Prometheus text) by name and label.

use std::collections::BTreeMap;

/// One line of a Prometheus exposition.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The name of the metric.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Reads a Prometheus exposition; lines that cannot be read are an error of the service.
///
/// # Panics
///
/// When a line is no sample.
#[must_use]
#[track_caller]
pub fn parse_prometheus(text: &str) -> Vec<Sample> {
    text.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| parse_sample(line).unwrap_or_else(|| panic!("no Prometheus sample: {line}")))
        .collect()
}

/// The sum of the samples of a name that carry all of `labels`.
#[must_use]
pub fn sum_of(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    samples
        .iter()
        .filter(|sample| sample.name == name)
        .filter(|sample| {
            labels
                .iter()
                .all(|(key, value)| sample.labels.get(*key).is_some_and(|given| given == value))
        })
        // Not `sum`, whose nothing is -0.
        .fold(0.0, |sum, sample| sum + sample.value)
}

fn parse_sample(line: &str) -> Option<Sample> {
    let (name, labels, value) = match line.split_once('{') {
        Some((name, rest)) => {
            let (labels, value) = rest.rsplit_once('}')?;
            (name, labels, value)
        }
        None => {
            let (name, value) = line.split_once(' ')?;
            (name, "", value)
        }
    };
    let mut parsed = BTreeMap::new();
    let mut rest = labels.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        parsed.insert(key.trim().to_owned(), value.to_owned());
        rest = after.trim_start_matches(',').trim();
    }
    let value = value.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.trim().to_owned(), labels: parsed, value })
}

#[cfg(test)]
mod tests {
    use super::{parse_prometheus, sum_of};

    #[test]
    fn counters_are_summed_by_name_and_label() {
        let samples = parse_prometheus(
            "# HELP a text\n# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"1\"} 4\na{x=\"2\"} 5\nb 6\n",
        );
        assert_eq!(sum_of(&samples, "a", &[]), 12.0);
        assert_eq!(sum_of(&samples, "a", &[("x", "1")]), 7.0);
        assert_eq!(sum_of(&samples, "b", &[]), 6.0);
        assert_eq!(sum_of(&samples, "c", &[]), 0.0);
    }
}
