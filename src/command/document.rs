//! YAML or JSON, read so that the place of each thing is known.
//!
//! What a scalar means is what it means to Envoy and Kubernetes: `off` without quotes is `false`.

mod reader;

use serde_json::{Map, Number, Value};

pub use self::reader::read;
use super::place::{Place, Writing};

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it begins.
    pub place: Place,
    /// What it is.
    pub content: Content,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Content {
    /// Nothing, a truth value or a number.
    Plain(Value),
    /// A string, and how it is written.
    Text(String, Writing),
    /// A list.
    List(Vec<Node>),
    /// An object.
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// Its value.
    pub value: Node,
}

/// The documents of a text.
pub struct Documents {
    /// One node for each.
    pub roots: Vec<Node>,
    /// Members that have the name of one before them in the same object. They are not in the nodes.
    pub repeated: Vec<Member>,
}

/// Why a text is no document.
#[derive(Debug)]
pub struct Unreadable {
    /// Where.
    pub place: Place,
    /// What is wrong.
    pub text: String,
}

impl Node {
    /// The member called `name`.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|member| member.name == name).map(|member| &member.value)
    }

    /// What is found by going from member to member.
    pub fn at(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |node, name| node.get(name))
    }

    /// The field of a message of Envoy's, in either of the spellings that Envoy takes.
    pub fn field(&self, name: &str) -> Option<&Self> {
        self.members().iter().find(|member| member.is_field(name)).map(|member| &member.value)
    }

    /// What is found by going from field to field.
    pub fn field_at(&self, names: &[&str]) -> Option<&Self> {
        names.iter().try_fold(self, |node, name| node.field(name))
    }

    /// Where a field of a message of Envoy's stands, or else this node.
    pub fn place_of_field(&self, name: &str) -> Place {
        self.members().iter().find(|member| member.is_field(name)).map_or(self.place, |member| member.place)
    }

    /// Its name where it is one of an enumeration of Envoy's, which may be written as a number. The `names` are in the
    /// order of the numbers.
    pub fn one_of<'a>(&'a self, names: &[&'a str]) -> Option<&'a str> {
        match &self.content {
            Content::Text(text, _) => Some(text),
            Content::Plain(value) => names.get(usize::try_from(value.as_u64()?).ok()?).copied(),
            _ => None,
        }
    }

    /// Its members, where it is an object.
    pub fn members(&self) -> &[Member] {
        if let Content::Object(members) = &self.content { members } else { &[] }
    }

    /// Its items, where it is a list.
    pub fn items(&self) -> &[Self] {
        if let Content::List(items) = &self.content { items } else { &[] }
    }

    /// What is within it.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.items().iter().chain(self.members().iter().map(|member| &member.value))
    }

    /// Its text, where it is a string.
    pub fn text(&self) -> Option<&str> {
        if let Content::Text(text, _) = &self.content { Some(text) } else { None }
    }

    /// Whether it is `true`.
    pub const fn is_true(&self) -> bool {
        matches!(self.content, Content::Plain(Value::Bool(true)))
    }

    /// Whether it says nothing.
    pub const fn is_null(&self) -> bool {
        matches!(self.content, Content::Plain(Value::Null))
    }

    /// Whether it is an object.
    pub const fn is_object(&self) -> bool {
        matches!(self.content, Content::Object(_))
    }

    /// Where the member called `name` stands, or else this node.
    pub fn place_of(&self, name: &str) -> Place {
        self.members().iter().find(|member| member.name == name).map_or(self.place, |member| member.place)
    }

    /// The value without its places.
    pub fn value(&self) -> Value {
        match &self.content {
            Content::Plain(value) => value.clone(),
            Content::Text(text, _) => Value::String(text.clone()),
            Content::List(items) => items.iter().map(Self::value).collect(),
            Content::Object(members) => Value::Object(
                members.iter().map(|member| (member.name.clone(), member.value.value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// Where what a path such as `routes[2].match.path` names stands, or as much of it as there is.
    pub fn find(&self, path: &str) -> Place {
        self.locate(path).unwrap_or(self.place)
    }

    fn locate(&self, path: &str) -> Option<Place> {
        let rest = path.trim_start_matches('.');
        let (node, place, rest) = if let Some(rest) = rest.strip_prefix('[') {
            let (index, rest) = rest.split_once(']')?;
            let item = self.items().get(index.parse::<usize>().ok()?)?;
            (item, item.place, rest)
        } else {
            let named = |member: &&Member| {
                let after = rest.strip_prefix(member.name.as_str());
                !member.name.is_empty() && after.is_some_and(|after| after.is_empty() || after.starts_with(['.', '[']))
            };
            let member = self.members().iter().filter(named).max_by_key(|member| member.name.len())?;
            (&member.value, member.place, rest.get(member.name.len()..)?)
        };
        node.locate(rest).or(Some(place))
    }
}

impl Member {
    /// Whether it is the field that Envoy calls `name`: `snake_case` and `lowerCamelCase` are the same to it.
    pub fn is_field(&self, name: &str) -> bool {
        self.name == name || (name.contains('_') && self.name == lower_camel_case(name))
    }
}

fn lower_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let mut written = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at_checked(1).unwrap_or_default();
        written.push_str(&first.to_ascii_uppercase());
        written.push_str(rest);
    }
    written
}

/// What a scalar without quotes means.
fn plain(text: &str) -> Option<Value> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "y" | "Y" => Value::Bool(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "n" | "N" => Value::Bool(false),
        _ => Value::Number(number(text)?),
    })
}

fn number(text: &str) -> Option<Number> {
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    if !text.chars().all(is_number) || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let whole = text.parse::<i64>().ok().map(Number::from).or_else(|| text.parse::<u64>().ok().map(Number::from));
    whole.or_else(|| Number::from_f64(text.parse().ok()?))
}
