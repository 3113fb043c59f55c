//! A list of operations as one `TransactWriteItems`.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    error::BuildError,
    types::{AttributeValue, ConditionCheck, Delete, Put, TransactWriteItem, Update},
};

use super::{
    super::{Change, Condition, Operation, StoreError},
    engine,
    items::{CONTENTS, EXPIRES, TableNames, VERSION, bytes, encode, number, place},
};

/// An expression with the names and values that it uses. DynamoDB refuses unused ones.
#[derive(Default)]
struct Expression {
    text: Option<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Expression {
    fn of(condition: Condition, now: u64) -> Self {
        let mut own = Self::default();
        let text = match condition {
            Condition::Any => return own,
            Condition::Absent => "attribute_not_exists(#e) OR #e <= :now",
            Condition::Present => "#e > :now",
            Condition::Version(version) => {
                own.name("#v", VERSION).value(":v", number(version));
                "#v = :v AND #e > :now"
            }
        };
        own.name("#e", EXPIRES).value(":now", number(now));
        own.text = Some(text.to_owned());
        own
    }

    fn name(&mut self, short: &str, name: &str) -> &mut Self {
        self.names.insert(short.to_owned(), name.to_owned());
        self
    }

    fn value(&mut self, short: &str, value: AttributeValue) -> &mut Self {
        self.values.insert(short.to_owned(), value);
        self
    }

    fn parts(self) -> Parts {
        Parts {
            text: self.text,
            names: Some(self.names).filter(|names| !names.is_empty()),
            values: Some(self.values).filter(|values| !values.is_empty()),
        }
    }
}

/// The same as the requests take it.
struct Parts {
    text: Option<String>,
    names: Option<HashMap<String, String>>,
    values: Option<HashMap<String, AttributeValue>>,
}

/// The transaction's items. Operations that neither ask nor change anything are left out.
pub(super) fn items(
    tables: &TableNames,
    operations: Vec<Operation>,
    now: u64,
) -> Result<Vec<TransactWriteItem>, StoreError> {
    operations
        .into_iter()
        .filter(|own| !(own.change == Change::Keep && own.condition == Condition::Any))
        .map(|own| item(tables, own, now).map_err(engine))
        .collect()
}

fn item(
    tables: &TableNames,
    operation: Operation,
    now: u64,
) -> Result<TransactWriteItem, BuildError> {
    let Operation { key, condition, change } = operation;
    let table = tables.of(key.table);
    let mut expression = Expression::of(condition, now);
    let item = TransactWriteItem::builder();
    let version = match condition {
        Condition::Absent => Some(1),
        Condition::Version(version) => Some(version.saturating_add(1)),
        // Known to the database alone.
        Condition::Any | Condition::Present => None,
    };
    Ok(match (change, version) {
        (Change::Keep, _) => {
            let Parts { text, names, values } = expression.parts();
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(place(&key)))
                .set_condition_expression(text)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values);
            item.condition_check(check.build()?)
        }
        (Change::Delete, _) => {
            let Parts { text, names, values } = expression.parts();
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(place(&key)))
                .set_condition_expression(text)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values);
            item.delete(delete.build()?)
        }
        (Change::Put { value, expires_at }, Some(version)) => {
            let Parts { text, names, values } = expression.parts();
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(encode(&key, version, expires_at, &value)))
                .set_condition_expression(text)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values);
            item.put(put.build()?)
        }
        (Change::Put { value, expires_at }, None) => {
            expression.name("#e", EXPIRES).name("#v", VERSION).name("#c", CONTENTS);
            expression.value(":one", number(1)).value(":e", number(expires_at));
            expression.value(":c", bytes(&value));
            let Parts { text, names, values } = expression.parts();
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(place(&key)))
                .update_expression("SET #c = :c, #e = :e ADD #v :one")
                .set_condition_expression(text)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values);
            item.update(update.build()?)
        }
    }
    .build())
}
