//! Strict types: a number is no truth value, a text no number, a list no section. The `config` crate
//! would convert between them. Only what the environment gave as text is read as its field's type.

use config::{Value, ValueKind};
use serde::{
    Deserializer,
    de::{
        Error as _, IntoDeserializer, Unexpected, Visitor,
        value::{Error, MapDeserializer, SeqDeserializer},
    },
};

/// The origin of texts from the environment.
pub(super) const ENVIRONMENT: &str = "environment";

/// A value whose type is taken as it is.
pub(super) struct Strict(pub(super) Value);

impl Strict {
    /// The text, if this is one from the environment.
    fn environment_text(&self) -> Option<&str> {
        match &self.0.kind {
            ValueKind::String(text) if self.0.origin() == Some(ENVIRONMENT) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserializer<'de> for Strict {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.kind {
            ValueKind::Nil => visitor.visit_unit(),
            ValueKind::Boolean(value) => visitor.visit_bool(value),
            ValueKind::I64(value) => visitor.visit_i64(value),
            ValueKind::I128(value) => visitor.visit_i128(value),
            ValueKind::U64(value) => visitor.visit_u64(value),
            ValueKind::U128(value) => visitor.visit_u128(value),
            ValueKind::Float(value) => visitor.visit_f64(value),
            ValueKind::String(value) => visitor.visit_string(value),
            ValueKind::Table(table) => visitor.visit_map(MapDeserializer::new(
                table.into_iter().map(|(name, value)| (name, Self(value))),
            )),
            ValueKind::Array(list) => {
                visitor.visit_seq(SeqDeserializer::new(list.into_iter().map(Self)))
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.kind {
            ValueKind::Nil => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.environment_text() {
            Some("true") => visitor.visit_bool(true),
            Some("false") => visitor.visit_bool(false),
            Some(_) => Err(Error::custom("must be true or false")),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let Some(text) = self.environment_text() else { return self.deserialize_any(visitor) };
        // The standard parser also accepts a plus sign.
        match text.parse() {
            Ok(value) if !text.starts_with('+') => visitor.visit_u64(value),
            _ => Err(Error::custom("must be a whole number")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.kind {
            // Derived visitors would take a list as the fields in their order.
            ValueKind::Array(_) => Err(Error::invalid_type(Unexpected::Seq, &"a section")),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.0.kind {
            ValueKind::String(name) => visitor.visit_enum(name.into_deserializer()),
            _ => Err(Error::custom("must be a word")),
        }
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u8 u16 u32 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Strict {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
