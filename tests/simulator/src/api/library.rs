//! The demo library: the same records for everybody, made up from their numbers.

use serde_json::{Value, json};

use super::error::ApiError;
use super::multipart::FilePart;
use super::tables::Table;
use crate::accounts::Identity;

const RESOURCES: u64 = 250;
const FOLDERS: u64 = 12;
const CREATED: &str = "2025-03-01 09:00:00";
const CHANGED: &str = "2026-02-14 16:30:00";
/// A record of this id is never there.
const MISSING_ID: &str = "missing";

/// The library as one session sees it.
pub(super) struct Library<'a> {
    pub(super) client_id: &'a str,
    pub(super) identity: Identity,
    pub(super) sid: &'a str,
}

impl Library<'_> {
    /// How many records the table has.
    pub(super) fn count(&self, table: Table) -> u64 {
        match table {
            Table::Resource | Table::File => RESOURCES,
            Table::Folder => FOLDERS,
            Table::User => u64::try_from(self.identity.tenant.users.len()).unwrap_or(u64::MAX),
        }
    }

    /// The record at `index` of a list.
    pub(super) fn row(&self, table: Table, index: u64) -> Value {
        match table {
            Table::Resource => self.resource(&id(Table::Resource, index), index),
            Table::Folder => folder(&id(Table::Folder, index), index),
            Table::User => self.user_at(index),
            Table::File => self.file(&id(Table::File, index), index),
        }
    }

    /// The record called `id`. Any resource, folder and file is there, but for `missing`.
    pub(super) fn record(&self, table: Table, id: &str) -> Result<Value, ApiError> {
        if id == MISSING_ID {
            return Err(not_found(table));
        }
        match table {
            Table::Resource => Ok(self.resource(id, 0)),
            Table::Folder => Ok(folder(id, 0)),
            Table::File => Ok(self.file(id, 0)),
            Table::User => self
                .identity
                .tenant
                .users
                .iter()
                .position(|user| user.uuid == id)
                .and_then(|index| u64::try_from(index).ok())
                .map(|index| self.user_at(index))
                .ok_or(ApiError::RecordNotFound),
        }
    }

    /// The id of an uploaded file: the same content gets the same.
    pub(super) fn id_of_upload(&self, part: &FilePart) -> String {
        part.sha256.chars().take(32).collect()
    }

    /// The record of an uploaded file, of which only the digest was kept.
    pub(super) fn uploaded_file(&self, id: &str, part: &FilePart) -> Value {
        json!({
            "_id": id,
            "name": part.name,
            "size": part.size,
            "sha256": part.sha256,
            "createTime": CHANGED,
        })
    }

    /// A resource. Every second one of a list carries addresses that hold the live session id, as
    /// IntelligenceBank's do.
    fn resource(&self, id: &str, index: u64) -> Value {
        let mut resource = json!({
            "_id": id,
            "uuid": id,
            "name": format!("Asset {}", index.saturating_add(1)),
            "type": "file",
            "folder": self::id(Table::Folder, index % FOLDERS),
            "creator": self.identity.user.uuid,
            "createTime": CREATED,
            "lastUpdateTime": CHANGED,
            "tags": ["campaign", "brand"],
            "version": 1,
        });
        if index.is_multiple_of(2)
            && let Some(fields) = resource.as_object_mut()
        {
            fields.insert("thumbnail".to_owned(), json!(self.address(id, "preview")));
            fields.insert("downloadUrl".to_owned(), json!(self.address(id, "download")));
        }
        resource
    }

    fn file(&self, id: &str, index: u64) -> Value {
        json!({
            "_id": id,
            "name": format!("asset-{}.bin", index.saturating_add(1)),
            "createTime": CREATED,
            "url": self.address(id, "download"),
        })
    }

    fn address(&self, id: &str, action: &str) -> String {
        let api = self.identity.tenant.api_url();
        let (client_id, sid) = (self.client_id, self.sid);
        format!("{api}/api/3.0.0/{client_id}/resource/{id}?action={action}&sid={sid}")
    }

    fn user_at(&self, index: u64) -> Value {
        let users = &self.identity.tenant.users;
        let user = usize::try_from(index).ok().and_then(|index| users.get(index));
        user.map_or(Value::Null, |user| {
            json!({
                "_id": user.uuid,
                "firstname": user.first_name,
                "lastname": user.last_name,
                "createTime": CREATED,
            })
        })
    }
}

fn folder(id: &str, index: u64) -> Value {
    json!({
        "_id": id,
        "name": format!("Folder {}", index.saturating_add(1)),
        "parent": null,
        "createTime": CREATED,
        "lastUpdateTime": CHANGED,
    })
}

/// 32 hexadecimal digits that say nothing but the table and the number.
fn id(table: Table, index: u64) -> String {
    let prefix = match table {
        Table::Resource => "a55e7000",
        Table::Folder => "f01de000",
        Table::User => "05e70000",
        Table::File => "f11e0000",
    };
    format!("{prefix}{:024x}", index.saturating_add(1))
}

fn not_found(table: Table) -> ApiError {
    match table {
        Table::Resource => ApiError::ResourceNotFound,
        Table::Folder | Table::File | Table::User => ApiError::RecordNotFound,
    }
}
