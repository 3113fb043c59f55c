//! What can be done with each table.

use axum::response::Response;
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::error::{ApiError, Failure};
use super::library::Library;
use super::{ApiBody, ApiCall, download};
use crate::{query, reply};

const DEFAULT_ROWS: u64 = 100;
const MAXIMUM_ROWS: u64 = 1000;
const LIST_METHODS: &str = "GET, HEAD, POST";
const RECORD_METHODS: &str = "GET, HEAD, PUT, PATCH, DELETE";

/// The tables of the demo library.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Resource,
    Folder,
    User,
    File,
}

impl Table {
    fn named(name: &str) -> Option<Self> {
        match name {
            "resource" => Some(Self::Resource),
            "folder" => Some(Self::Folder),
            "user" => Some(Self::User),
            "file" => Some(Self::File),
            _ => None,
        }
    }
}

/// Answers a call of the tables. Nothing is stored: a change is answered as if it had been made.
pub(super) fn answer(call: ApiCall<'_>) -> Result<Response, Failure> {
    let table = Table::named(call.path.table).ok_or(ApiError::NotFound)?;
    if call.path.goes_deeper {
        return Err(ApiError::NotFound.into());
    }
    let library = Library { client_id: call.client_id, identity: call.identity, sid: call.sid };
    match call.path.id {
        None => match call.method {
            Method::GET | Method::HEAD => list(&library, table, call.path.limit),
            Method::POST => create(&library, table, call.body),
            _ => Err(ApiError::MethodNotAllowed { allow: LIST_METHODS }.into()),
        },
        Some(id) => on_record(&library, table, id, &call),
    }
}

fn list(
    library: &Library<'_>,
    table: Table,
    limit: Option<(u64, u64)>,
) -> Result<Response, Failure> {
    let (offset, rows) = limit.unwrap_or((0, DEFAULT_ROWS));
    let count = library.count(table);
    let end = offset.saturating_add(rows.min(MAXIMUM_ROWS)).min(count);
    let rows: Vec<Value> = (offset..end).map(|index| library.row(table, index)).collect();
    response(&json!({"rows": rows, "offset": offset, "count": count}))
}

fn create(library: &Library<'_>, table: Table, body: ApiBody) -> Result<Response, Failure> {
    let data = match (table, body) {
        (Table::File, ApiBody::File(Some(part))) => {
            let id = library.id_of_upload(&part);
            return response(&library.uploaded_file(&id, &part));
        }
        (Table::File, _) => return Err(Failure::field("file", "is missing")),
        (Table::User, _) => return Err(ApiError::NoPermission.into()),
        (_, ApiBody::Json(body)) => data_of(body)?,
        (_, ApiBody::File(_)) => return Err(Failure::field("data", "is missing")),
    };
    if !data.get("name").is_some_and(Value::is_string) {
        return Err(Failure::field("name", "is missing"));
    }
    if table == Table::Folder && data.get("parent").is_some_and(|parent| parent == "missing") {
        return Err(ApiError::FolderParentNotFound.into());
    }
    let record = library.row(table, library.count(table));
    response(&merged(record, data))
}

fn on_record(
    library: &Library<'_>,
    table: Table,
    id: &str,
    call: &ApiCall<'_>,
) -> Result<Response, Failure> {
    let record = library.record(table, id)?;
    match call.method {
        Method::GET | Method::HEAD if download::is_download(call.raw_query) => match table {
            Table::Resource | Table::File => download::answer(id, call),
            Table::Folder | Table::User => Err(ApiError::QueryParametersInvalid.into()),
        },
        Method::GET | Method::HEAD => response(&record),
        Method::DELETE => response(&json!({"_id": id})),
        Method::PUT | Method::PATCH => {
            let ApiBody::Json(body) = &call.body else {
                return Err(Failure::field("data", "is missing"));
            };
            let mut changed = merged(record, data_of(body.clone())?);
            if query::value(call.raw_query, "version").is_some_and(|value| value == "true")
                && let Some(fields) = changed.as_object_mut()
            {
                fields.insert("version".to_owned(), json!(2));
            }
            response(&changed)
        }
        _ => Err(ApiError::MethodNotAllowed { allow: RECORD_METHODS }.into()),
    }
}

fn response(content: &Value) -> Result<Response, Failure> {
    Ok(reply::json(StatusCode::OK, &json!({"response": content})))
}

/// The fields of `{"data":{..}}`.
fn data_of(body: Option<Value>) -> Result<Map<String, Value>, Failure> {
    match body {
        Some(Value::Object(mut body)) => match body.remove("data") {
            Some(Value::Object(data)) => Ok(data),
            Some(_) => Err(Failure::field("data", "is no object")),
            None => Err(Failure::field("data", "is missing")),
        },
        _ => Err(Failure::field("data", "is missing")),
    }
}

fn merged(record: Value, data: Map<String, Value>) -> Value {
    match record {
        Value::Object(mut fields) => {
            fields.extend(data);
            Value::Object(fields)
        }
        other => other,
    }
}
