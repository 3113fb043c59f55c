//! Reading the files of keys and credentials again, without a restart.

use crate::{
    app::App,
    records::KeysError,
    settings::{Problem, Settings, SettingsError},
};

/// Goes on with the keys and credentials of `next`, which were read and checked as at a start. Where
/// anything is wrong with them, nothing changes. What else the settings say takes a restart.
pub(crate) async fn reload(app: &App, next: &Settings) -> Result<(), SettingsError> {
    let settings = &app.settings;
    let mut problems = settings.keys.files.get().refuses(&next.keys.files.get());
    for (field, is_other) in [
        ("token_tags", settings.keys.stored_token_tags != next.keys.stored_token_tags),
        ("signing", settings.keys.stored_signing != next.keys.stored_signing),
        ("signing", settings.keys.signs != next.keys.signs),
        (
            "admin.credentials",
            settings.admin_credentials.get().is_empty() != next.admin_credentials.get().is_empty(),
        ),
    ] {
        if is_other {
            let reason = "has changed in more than its files, which takes a restart".to_owned();
            problems.push(Problem { field: field.to_owned(), reason });
        }
    }
    let now = app.clock.unix_seconds();
    if let Err(cause) = app.records.prove(&next.sealer, now).await {
        problems.push(Problem { field: "sealing.keys".to_owned(), reason: cause.to_string() });
    }
    if !problems.is_empty() {
        return Err(SettingsError(problems));
    }
    settings.sealer.take_over(&next.sealer);
    settings.gateway_credentials.set(next.gateway_credentials.get());
    settings.admin_credentials.set(next.admin_credentials.get());
    if settings.keys.stored_token_tags.is_none() {
        settings.token_tags.set(next.token_tags.get());
    }
    if settings.keys.stored_signing.is_none() {
        settings.signing.set(next.signing.get());
    }
    settings.keys.files.set(next.keys.files.get());
    // From now on nothing is refused: the keys are good. What is sealed under an older one is sealed anew
    // by the next poll, or by an instance that was quicker.
    match app.records.prove_keys(now).await {
        Ok(()) | Err(KeysError::Conflict) => {}
        Err(cause) => {
            tracing::warn!(%cause, "the proof of the sealing keys is not sealed anew yet")
        }
    }
    Ok(())
}
