//! What tests may change while the simulator runs.

mod tampering;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use tampering::{Answer, Fault};

/// Hours that a session lives where IntelligenceBank names none, and the limits of what it names.
pub(crate) const DEFAULT_LIFETIME_HOURS: i64 = 24;
const MAXIMUM_LOGIN_TIMEOUT_HOURS: u32 = 100_000;
const MAXIMUM_OFFSET_SECONDS: i64 = 10 * 366 * 24 * 3600;
const MAXIMUM_LIST_LENGTH: usize = 100;

/// What reading a session again gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Renewal {
    /// Another `sid` and a later `loginTime`.
    Extends,
    /// The same `sid` and a later `loginTime`.
    Touches,
    /// The same `sid` and the same `loginTime`, as IntelligenceBank is known to do.
    Same,
    /// 404 "resource has expired": the login token is gone. The session itself lives on.
    Gone,
}

/// Everything that can be set, with its present value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Settings {
    pub(crate) renewal: Renewal,
    /// `logintimeoutperiod` of new sessions; none leaves the field out of the answer.
    pub(crate) login_timeout_hours: Option<u32>,
    pub(crate) login_time_offset_seconds: i64,
    pub(crate) rate_limit_per_minute: u32,
    /// How long new tokens of REI API CCA live, in seconds.
    pub(crate) rei_cca_token_seconds: u32,
    pub(crate) faults: Vec<Fault>,
    pub(crate) answers: Vec<Answer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            renewal: Renewal::Same,
            login_timeout_hours: Some(24),
            login_time_offset_seconds: 0,
            rate_limit_per_minute: 0,
            rei_cca_token_seconds: 86_399,
            faults: Vec::new(),
            answers: Vec::new(),
        }
    }
}

/// The fields of [`Settings`] that a test wants changed; the others stay.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsPatch {
    renewal: Option<Renewal>,
    /// The outer option says whether the field was given, the inner one whether it was `null`.
    #[serde(default, deserialize_with = "given")]
    login_timeout_hours: Option<Option<u32>>,
    login_time_offset_seconds: Option<i64>,
    rate_limit_per_minute: Option<u32>,
    rei_cca_token_seconds: Option<u32>,
    faults: Option<Vec<Fault>>,
    answers: Option<Vec<Answer>>,
}

fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A setting that the simulator does not take.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub(crate) struct InvalidSetting {
    pub(crate) field: String,
    pub(crate) reason: String,
}

impl InvalidSetting {
    fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

impl SettingsPatch {
    /// Checks every field, and only then changes `settings`: all of the patch applies, or nothing.
    pub(crate) fn apply(self, settings: &mut Settings) -> Result<(), InvalidSetting> {
        self.check()?;
        if let Some(renewal) = self.renewal {
            settings.renewal = renewal;
        }
        if let Some(hours) = self.login_timeout_hours {
            settings.login_timeout_hours = hours;
        }
        if let Some(seconds) = self.login_time_offset_seconds {
            settings.login_time_offset_seconds = seconds;
        }
        if let Some(calls) = self.rate_limit_per_minute {
            settings.rate_limit_per_minute = calls;
        }
        if let Some(seconds) = self.rei_cca_token_seconds {
            settings.rei_cca_token_seconds = seconds;
        }
        if let Some(faults) = self.faults {
            settings.faults = faults;
        }
        if let Some(answers) = self.answers {
            settings.answers = answers;
        }
        Ok(())
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        if self
            .login_timeout_hours
            .flatten()
            .is_some_and(|hours| hours > MAXIMUM_LOGIN_TIMEOUT_HOURS)
        {
            return Err(InvalidSetting::new(
                "login_timeout_hours",
                format!("is over {MAXIMUM_LOGIN_TIMEOUT_HOURS}"),
            ));
        }
        let offset = self.login_time_offset_seconds.unwrap_or(0);
        if !(-MAXIMUM_OFFSET_SECONDS..=MAXIMUM_OFFSET_SECONDS).contains(&offset) {
            return Err(InvalidSetting::new(
                "login_time_offset_seconds",
                format!("is more than {MAXIMUM_OFFSET_SECONDS} seconds away"),
            ));
        }
        if self.rei_cca_token_seconds == Some(0) {
            let reason = "is 0, so that no token would be good";
            return Err(InvalidSetting::new("rei_cca_token_seconds", reason));
        }
        check_list("faults", self.faults.as_deref(), Fault::check)?;
        check_list("answers", self.answers.as_deref(), Answer::check)
    }
}

fn check_list<T>(
    field: &str,
    items: Option<&[T]>,
    check: impl Fn(&T) -> Result<(), InvalidSetting>,
) -> Result<(), InvalidSetting> {
    let items = items.unwrap_or_default();
    if items.len() > MAXIMUM_LIST_LENGTH {
        let reason = format!("has more than {MAXIMUM_LIST_LENGTH} entries");
        return Err(InvalidSetting::new(field, reason));
    }
    for (index, item) in items.iter().enumerate() {
        check(item).map_err(|invalid| {
            InvalidSetting::new(format!("{field}[{index}].{}", invalid.field), invalid.reason)
        })?;
    }
    Ok(())
}
