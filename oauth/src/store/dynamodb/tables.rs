//! Making the tables: with billing by request, and the time to live on. Nothing that is there is changed,
//! save the time to live where it is off.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata as _,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, PointInTimeRecoveryStatus,
        ScalarAttributeType, TableStatus, TimeToLiveSpecification, TimeToLiveStatus,
    },
};

use super::{
    super::StoreError,
    DynamodbStore, Inner, engine,
    failing::failed,
    items::{EXPIRES, RECORD, REST},
};

/// How often a new table is looked at until it can be used.
const RECHECK: Duration = Duration::from_secs(1);
/// How often at most.
const MOST_CHECKS: u32 = 180;

impl DynamodbStore {
    /// Makes what is missing, and tells each step to `progress`.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when DynamoDB refuses, or a table of this name has other keys.
    pub(crate) async fn create_tables(
        &self,
        mut progress: impl FnMut(&str),
    ) -> Result<(), StoreError> {
        for table in self.0.tables.all() {
            if create(&self.0, table).await? {
                progress(&format!("{table}: being made, billed by request"));
            } else {
                progress(&format!("{table}: is there"));
            }
            wait_until_active(&self.0, table).await?;
            progress(&format!("{table}: can be used"));
            if expire(&self.0, table).await? {
                progress(&format!("{table}: expired records go by the attribute `{EXPIRES}`"));
            }
            match is_recoverable(&self.0, table).await {
                Ok(true) => progress(&format!("{table}: point-in-time recovery is on")),
                Ok(false) => progress(&format!(
                    "{table}: point-in-time recovery is off; docs/stores.md says what it is good for"
                )),
                // Nothing depends on the answer, and not everybody may ask.
                Err(_) => progress(&format!("{table}: point-in-time recovery is not known")),
            }
        }
        Ok(())
    }
}

/// `false`: there is one already.
async fn create(inner: &Inner, table: &str) -> Result<bool, StoreError> {
    let attribute = |name: &str| {
        let own = AttributeDefinition::builder().attribute_name(name);
        own.attribute_type(ScalarAttributeType::S).build().map_err(engine)
    };
    let key = |name: &str, kind| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(engine)
    };
    let made = inner
        .client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute(RECORD)?)
        .attribute_definitions(attribute(REST)?)
        .key_schema(key(RECORD, KeyType::Hash)?)
        .key_schema(key(REST, KeyType::Range)?)
        .send()
        .await;
    match made {
        Ok(_) => Ok(true),
        Err(cause) if cause.code() == Some("ResourceInUseException") => Ok(false),
        Err(cause) => Err(failed(&cause)),
    }
}

async fn wait_until_active(inner: &Inner, table: &str) -> Result<(), StoreError> {
    for _ in 0..MOST_CHECKS {
        let found = inner.client.describe_table().table_name(table).send().await;
        let found = found.map_err(|cause| failed(&cause))?.table;
        let found = found.ok_or_else(|| engine(format_args!("{table} is not described")))?;
        let keys: Vec<_> = found.key_schema().iter().map(|own| own.attribute_name()).collect();
        if keys != [RECORD, REST] {
            return Err(engine(format_args!("{table} is there, and has other keys than ours")));
        }
        if found.table_status() == Some(&TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(RECHECK).await;
    }
    Err(engine(format_args!("{table} cannot be used yet; try again later")))
}

/// `false`: the time to live is on already.
async fn expire(inner: &Inner, table: &str) -> Result<bool, StoreError> {
    let found = inner.client.describe_time_to_live().table_name(table).send().await;
    let found = found.map_err(|cause| failed(&cause))?.time_to_live_description;
    if let Some(found) = found {
        let is_on = matches!(
            found.time_to_live_status(),
            Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
        );
        if is_on && found.attribute_name() == Some(EXPIRES) {
            return Ok(false);
        }
        if is_on {
            return Err(engine(format_args!("{table} expires by another attribute than ours")));
        }
    }
    let specification =
        TimeToLiveSpecification::builder().attribute_name(EXPIRES).enabled(true).build();
    let specification = specification.map_err(engine)?;
    let request = inner.client.update_time_to_live().table_name(table);
    let done = request.time_to_live_specification(specification).send().await;
    done.map(|_| true).map_err(|cause| failed(&cause))
}

async fn is_recoverable(inner: &Inner, table: &str) -> Result<bool, StoreError> {
    let found = inner.client.describe_continuous_backups().table_name(table).send().await;
    let found = found.map_err(|cause| failed(&cause))?.continuous_backups_description;
    let status = found
        .as_ref()
        .and_then(|found| found.point_in_time_recovery_description())
        .and_then(|found| found.point_in_time_recovery_status());
    Ok(status == Some(&PointInTimeRecoveryStatus::Enabled))
}
