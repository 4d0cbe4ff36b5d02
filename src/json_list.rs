//! JSON from strangers that is read within bounds: two bytes of a list may become a value of dozens, and a body of
//! megabytes a gigabyte.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The first `MAX` elements of a list; any more are counted and not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoundedList<T, const MAX: usize> {
    /// The elements that are kept.
    pub items: Vec<T>,
    /// How many there were.
    pub count: usize,
}

/// The values that a part of a body may still have, of every kind and at every depth.
#[derive(Debug)]
pub(crate) struct ValueAllowance {
    left: Cell<usize>,
    most: usize,
}

struct ListVisitor<T, const MAX: usize>(PhantomData<T>);

impl<T, const MAX: usize> BoundedList<T, MAX> {
    /// Returns whether nothing is left out.
    pub(crate) const fn is_whole(&self) -> bool {
        self.count == self.items.len()
    }
}

impl<T, const MAX: usize> Default for BoundedList<T, MAX> {
    fn default() -> Self {
        Self { items: Vec::new(), count: 0 }
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for BoundedList<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for ListVisitor<T, MAX> {
    type Value = BoundedList<T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() < MAX {
            match list.next_element()? {
                Some(item) => items.push(item),
                None => return Ok(BoundedList { count: items.len(), items }),
            }
        }
        let mut count = items.len();
        while list.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(BoundedList { items, count })
    }
}

impl ValueAllowance {
    /// Allows so many values.
    pub(crate) const fn new(most: usize) -> Self {
        Self { left: Cell::new(most), most }
    }

    /// Reads the elements of a list.
    ///
    /// # Errors
    /// When an element is no JSON, or they are too many with what they hold.
    pub(crate) fn list<'de, A: SeqAccess<'de>>(&self, mut list: A) -> Result<Vec<Value>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(items)
    }
}

impl<'de> DeserializeSeed<'de> for &ValueAllowance {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let excess = || D::Error::custom(format_args!("too many values in one list (allowed: {} at most)", self.most));
        self.left.set(self.left.get().checked_sub(1).ok_or_else(excess)?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &ValueAllowance {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Value, A::Error> {
        self.list(list).map(Value::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(key) = object.next_key::<String>()? {
            fields.insert(key, object.next_value_seed(self)?);
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_beyond_a_list_s_bound_is_counted_and_not_kept() {
        let read = |text: &str| serde_json::from_str::<BoundedList<u8, 2>>(text);

        assert_eq!(read("[1]").expect("a list"), BoundedList { items: vec![1], count: 1 });
        assert_eq!(read("[1, 2]").expect("a list"), BoundedList { items: vec![1, 2], count: 2 });
        let longer = read(r#"[1, 2, "three", {"four": []}]"#).expect("a list");
        assert_eq!(longer, BoundedList { items: vec![1, 2], count: 4 });
        assert!(!longer.is_whole() && read("[1, 2, ").is_err() && read("7").is_err());
    }

    #[test]
    fn values_are_read_as_they_are_up_to_their_number_at_every_depth() {
        let read = |text: &str, most: usize| {
            ValueAllowance::new(most).deserialize(&mut serde_json::Deserializer::from_str(text))
        };
        let value = json!({"a": [null, true, -1, 2, 0.5, "text\n", {}], "b": {"c": []}});

        assert_eq!(read(&value.to_string(), 11).expect("a value"), value);
        let excess = read(&value.to_string(), 10).expect_err("eleven values").to_string();
        assert!(excess.starts_with("too many values in one list (allowed: 10 at most)"), "{excess}");
    }
}
