//! Evidence: the facts that a verdict rests on, as named values.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::time::Wall;

/// One observed value. Numbers keep their kind, so that JSON and text can each show them well.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(Box<str>),
    Integer(i64),
    Float(f64),
    Bool(bool),
    /// Shown in seconds.
    Duration(Duration),
    Time(Wall),
    List(Vec<Value>),
    /// Named values inside one value, such as one entry per certificate or per nameserver.
    Map(Vec<(&'static str, Value)>),
}

macro_rules! value_from {
    ($($from:ty => |$v:ident| $make:expr;)*) => {
        $(impl From<$from> for Value { fn from($v: $from) -> Value { $make } })*
    };
}

value_from! {
    &str => |v| Value::Text(v.into());
    String => |v| Value::Text(v.into());
    Box<str> => |v| Value::Text(v);
    i64 => |v| Value::Integer(v);
    i32 => |v| Value::Integer(v.into());
    u8 => |v| Value::Integer(v.into());
    u16 => |v| Value::Integer(v.into());
    u32 => |v| Value::Integer(v.into());
    u64 => |v| Value::Integer(i64::try_from(v).unwrap_or(i64::MAX));
    usize => |v| Value::Integer(i64::try_from(v).unwrap_or(i64::MAX));
    f64 => |v| Value::Float(v);
    bool => |v| Value::Bool(v);
    Duration => |v| Value::Duration(v);
    Wall => |v| Value::Time(v);
    IpAddr => |v| Value::Text(v.to_string().into());
    // What has no ports (ICMP) has port 0.
    SocketAddr => |v| Value::Text(if v.port() == 0 { v.ip().to_string() } else { v.to_string() }.into());
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Value {
        Value::List(values.into_iter().map(Into::into).collect())
    }
}

/// Named facts in the order in which they should be read. Keys are stable, lower snake case, and end in their unit
/// where they have one that the value does not carry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence(Vec<(&'static str, Value)>);

impl Evidence {
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a value; a key that is already there is replaced, so that a second look can refine what a first one said.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(existing, _)| *existing == key) {
            Some((_, slot)) => *slot = value,
            None => self.0.push((key, value)),
        }
    }

    /// Like [`set`](Self::set), in a chain.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets the value where there is one.
    pub fn set_some(&mut self, key: &'static str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0
            .iter()
            .find_map(|(existing, value)| (*existing == key).then_some(value))
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(key, value)| (*key, value))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_look_refines_in_place() {
        let mut evidence = Evidence::new().with("errno", 111).with("port", 443_u16);
        evidence.set("errno", "ECONNREFUSED");
        let keys: Vec<_> = evidence.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["errno", "port"]);
        assert_eq!(evidence.get("errno"), Some(&Value::Text("ECONNREFUSED".into())));
    }
}
