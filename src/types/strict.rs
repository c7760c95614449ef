//! Reads lenient objects quickly if all of their fields fit, which is the usual case.
//!
//! To leave out a field that does not fit, a lenient object reads each field as a value first: see `lenient`. The build
//! script generates a second struct for each, which fails instead.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, MapAccess, Visitor};

/// A lenient type with a strict twin.
pub(crate) trait ReadStrictly: From<Self::Strict> {
    type Strict: DeserializeOwned;
}

/// Reads an object of which all fields fit.
pub(super) fn read<'de, D: Deserializer<'de>, T: ReadStrictly>(deserializer: D) -> Result<T, D::Error> {
    T::Strict::deserialize(deserializer).map(Into::into)
}

/// Reads an object of which all fields fit. A list is none.
#[cfg(feature = "webhooks")]
pub(super) fn read_object<'de, D: Deserializer<'de>, T: ReadStrictly>(deserializer: D) -> Result<T, D::Error> {
    Object::<T::Strict>::deserialize(deserializer).map(|object| object.0.into())
}

/// Reads a field that is an object or `null`.
pub(super) fn object<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::<Object<T>>::deserialize(deserializer)?.map(|object| object.0))
}

/// An object, and not a list, from which serde would read the fields of a struct in their order.
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
