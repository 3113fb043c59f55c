//! A router that remembers its paths, so that a test can compare them with the OpenAPI document.

use std::sync::Arc;

use axum::{Router, routing::MethodRouter};

use crate::app::App;

/// Paths and what answers them.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) router: Router<Arc<App>>,
    #[cfg(test)]
    pub(super) paths: Vec<String>,
}

impl Routes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// As [`Router::route`].
    pub(super) fn route(self, path: &str, methods: MethodRouter<Arc<App>>) -> Self {
        Self {
            router: self.router.route(path, methods),
            #[cfg(test)]
            paths: [self.paths, vec![path.to_owned()]].concat(),
        }
    }
}
