//! What makes keys change while the service runs: the time, other instances, and signals.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use super::{KeyKind, RotateError, reload};
use crate::{
    app::App,
    settings::{Problem, Settings, SettingsError},
};

/// How often the keys in the store are looked at. A key of another instance, or one whose time has come,
/// is noticed within it; the least `publish_seconds` is longer.
const POLL: Duration = Duration::from_secs(5);

/// Looks at the keys in the store until the sender behind `stopped` is dropped.
pub(crate) async fn poll(app: Arc<App>, mut stopped: watch::Receiver<()>) {
    let mut ticks = interval(POLL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.changed() => return,
        }
        // Until it works again the service goes on with the keys that it has.
        if let Err(cause) = app.keys.refresh(app.clock.unix_seconds()).await {
            tracing::error!(%cause, "the keys in the store cannot be used");
            app.metrics.key_poll_failed();
        }
    }
}

/// The signals about keys.
pub(crate) struct KeySignals {
    hangup: Signal,
    user: Signal,
}

impl KeySignals {
    /// Hears them from now on; before, each would end the process.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }
}

/// SIGHUP reads the files of keys and credentials again; SIGUSR1 rotates the keys in the store.
pub(crate) async fn follow_signals(
    app: Arc<App>,
    mut signals: KeySignals,
    mut stopped: watch::Receiver<()>,
) {
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => read_again(&app).await,
            _ = signals.user.recv() => rotate(&app).await,
            _ = stopped.changed() => return,
        }
    }
}

async fn read_again(app: &App) {
    let path = app.settings.keys.settings_file.clone();
    let read = tokio::task::spawn_blocking(move || Settings::load(&path)).await;
    let outcome = match read {
        Ok(Ok(next)) => reload(app, &next).await,
        Ok(Err(problems)) => Err(problems),
        Err(_) => Err(SettingsError(vec![Problem {
            field: "settings".to_owned(),
            reason: "the reading of the files broke off".to_owned(),
        }])),
    };
    app.metrics.key_reload(outcome.is_ok());
    match outcome {
        Ok(()) => tracing::info!("keys and credentials have been read again"),
        Err(SettingsError(problems)) => {
            for problem in problems {
                tracing::error!(
                    field = problem.field,
                    reason = problem.reason,
                    "the keys stay as they are"
                );
            }
        }
    }
}

async fn rotate(app: &App) {
    for kind in KeyKind::ALL {
        let outcome = app.keys.rotate(kind, app.clock.unix_seconds()).await;
        match outcome {
            Ok(()) | Err(RotateError::NotInStore) => {}
            Err(cause) => tracing::error!(kind = kind.name(), %cause, "there is no new key"),
        }
    }
}
