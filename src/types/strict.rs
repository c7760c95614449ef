//! Reads lenient objects quickly where all of their fields fit, as they do in practice.
//!
//! To leave out what does not fit, each field of a lenient object is read as a value first: see `lenient`. So the generator writes a
//! second struct for each, which has no such field and fails instead. What it reads, it reads as the lenient one does.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

/// A type that is read by another where everything fits.
pub(crate) trait ReadStrictly: From<Self::Strict> {
    type Strict: DeserializeOwned;
}

/// Reads an object in which everything fits.
pub(super) fn read<'de, D: Deserializer<'de>, T: ReadStrictly>(deserializer: D) -> Result<T, D::Error> {
    Object::<T::Strict>::deserialize(deserializer).map(|object| object.0.into())
}

/// Reads an object of its own type, or `null`.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|object| object.0))
}

/// An object. Serde itself would take a list for the fields of a struct, in their order.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}
