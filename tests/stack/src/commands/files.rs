//! `ib-stack files`: what the containers of `docker-compose.yml` are started with. It starts nothing itself.

use super::arguments::FilesArguments;
use super::console::line;
use crate::StackError;
use crate::configuration::containers::Containers;
use crate::running::layout::envoy_folder;

/// The profile of `docker-compose.yml` in which instances of the service share Redis.
const REDIS_PROFILE: &str = "redis";

/// Writes the files.
///
/// # Errors
///
/// When an option cannot be used or a file cannot be read or written.
pub fn write(arguments: FilesArguments) -> Result<(), StackError> {
    let FilesArguments { folder, gateway_url, envoy_admin, profiles } = arguments;
    let redis = profiles.split(',').any(|profile| profile.trim() == REDIS_PROFILE);
    let store = if redis { "Redis" } else { "redb" };
    line(format!("files of a gateway at {gateway_url}, with the store in {store}"));
    Containers { folder, envoy_folder: envoy_folder()?, gateway_url, envoy_admin, redis }.write()
}
