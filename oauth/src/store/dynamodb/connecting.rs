//! The client: credentials by the SDK's own chain, and no wait without an end.

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use aws_sdk_dynamodb::{Client, config::SharedCredentialsProvider};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use crate::settings::DynamodbSettings;

/// How often one request is sent. A write that is sent again carries the same token, by which DynamoDB
/// knows it.
const MOST_ATTEMPTS: u32 = 3;

/// `credentials` take the place of the chain.
pub(super) async fn client(
    settings: &DynamodbSettings,
    credentials: Option<SharedCredentialsProvider>,
) -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let bounds = settings.bounds;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(bounds.connect_timeout)
        .operation_timeout(bounds.command_timeout)
        // So that one lost answer leaves time for another attempt.
        .operation_attempt_timeout(bounds.command_timeout / 2)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(settings.region.clone()))
        .http_client(http)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(MOST_ATTEMPTS));
    if let Some(credentials) = credentials {
        loader = loader.credentials_provider(credentials);
    }
    let shared = loader.load().await;
    let mut own = aws_sdk_dynamodb::config::Builder::from(&shared);
    if let Some(endpoint) = &settings.endpoint {
        own = own.endpoint_url(endpoint);
    }
    Client::from_conf(own.build())
}
