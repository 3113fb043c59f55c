//! `WWW-Authenticate` (RFC 9110 section 11.6.1), read so that the order of parameters does not matter.

use std::collections::BTreeMap;

use crate::http::Response;

/// One challenge with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme as it was written.
    pub scheme: String,
    /// The parameters without their quotes.
    pub parameters: BTreeMap<String, String>,
}

impl Challenge {
    /// The one challenge of an answer.
    ///
    /// # Panics
    ///
    /// When there is none, or more than one, or it cannot be read.
    #[must_use]
    #[track_caller]
    pub fn of(response: &Response) -> Self {
        let Some(value) = response.header("www-authenticate") else {
            panic!("no challenge in {response:?}");
        };
        Self::parse(&value).unwrap_or_else(|| panic!("no challenge can be read from: {value}"))
    }

    /// Reads `Scheme name="value", name="value"`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let mut parameters = BTreeMap::new();
        while !rest.trim().is_empty() {
            let (name, after) = rest.split_once("=\"")?;
            let (value, after) = after.split_once('"')?;
            let name = name.trim().to_owned();
            if parameters.insert(name, value.to_owned()).is_some() {
                return None;
            }
            rest = match after.trim_start() {
                "" => "",
                after => after.strip_prefix(',')?,
            };
        }
        Some(Self { scheme: scheme.to_owned(), parameters })
    }

    /// A challenge of the scheme `Bearer` with exactly these parameters.
    #[must_use]
    pub fn bearer(parameters: &[(&str, &str)]) -> Self {
        Self {
            scheme: "Bearer".to_owned(),
            parameters: parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Challenge;

    #[test]
    fn a_challenge_is_read_in_any_order_and_a_doubled_parameter_is_not_overlooked() {
        let read = Challenge::parse(r#"Bearer b="2, 3", a="1""#).unwrap();
        assert_eq!(read, Challenge::bearer(&[("a", "1"), ("b", "2, 3")]));
        assert_eq!(Challenge::parse("Bearer"), Some(Challenge::bearer(&[])));
        assert_eq!(Challenge::parse(r#"Bearer a="1", a="2""#), None);
        assert_eq!(Challenge::parse(r#"Bearer a="1" b="2""#), None);
    }
}
