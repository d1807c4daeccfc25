//! From the events of the YAML reader to a tree. JSON is YAML, too.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span};

use super::{Content, Documents, Member, Node, Unreadable, plain};
use crate::command::place::{Lines, Place, Writing};

/// How deep, and how large, a document may be.
const MAX_DEPTH: usize = 128;
const MAX_NODES: usize = 1_000_000;

/// Reads the documents of a text.
///
/// # Errors
/// What keeps it from being read.
pub fn read(text: &str) -> Result<Documents, Unreadable> {
    let mut builder = Builder {
        lines: Lines::new(text),
        open: Vec::new(),
        anchors: BTreeMap::new(),
        count: 0,
        documents: Vec::new(),
        repeated: Vec::new(),
    };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| scan_error(&error))?;
        builder.take(event, span)?;
    }
    Ok(Documents { roots: builder.documents, repeated: builder.repeated })
}

struct Builder<'a> {
    lines: Lines<'a>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, usize)>,
    count: usize,
    documents: Vec<Node>,
    repeated: Vec<Member>,
}

/// A list or an object that has not ended yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The nodes there were when it began.
    since: usize,
    /// The name that waits for its value.
    name: Option<(String, Place)>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let place = place(span.start);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let content = match plain(&text).filter(|_| style == ScalarStyle::Plain) {
                    Some(value) => Content::Plain(value),
                    None => Content::Text(text.to_string(), self.writing(&text, style, place)),
                };
                self.add(Node { place, content }, anchor, 1)
            }
            Event::SequenceStart(anchor, _) => self.open(Node { place, content: Content::List(Vec::new()) }, anchor),
            Event::MappingStart(anchor, _) => self.open(Node { place, content: Content::Object(Vec::new()) }, anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { node, anchor, since, .. }) => {
                    let within = self.count.saturating_sub(since);
                    self.count = since;
                    self.add(node, anchor, within.saturating_add(1))
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some((node, size)) => self.add(node, 0, size),
                None => Err(Unreadable { place, text: "an alias of nothing that has ended before it".to_owned() }),
            },
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
        }
    }

    fn writing(&mut self, text: &str, style: ScalarStyle, place: Place) -> Writing {
        match style {
            ScalarStyle::Literal => Writing::block(text, place),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Writing::quoted(&mut self.lines, place),
            ScalarStyle::Plain | ScalarStyle::Folded => Writing::Other(place),
        }
    }

    fn open(&mut self, node: Node, anchor: usize) -> Result<(), Unreadable> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Unreadable { place: node.place, text: format!("nested deeper than {MAX_DEPTH} times") });
        }
        self.open.push(Open { node, anchor, since: self.count, name: None });
        Ok(())
    }

    /// Puts a node that is whole where it belongs; `size` is how many nodes it consists of.
    fn add(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Unreadable> {
        self.count = self.count.saturating_add(size);
        if self.count > MAX_NODES {
            return Err(Unreadable { place: node.place, text: format!("more than {MAX_NODES} values") });
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(Open { node: parent, name, .. }) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match (&mut parent.content, name.take()) {
            (Content::Object(members), Some((name, place))) => {
                self.repeated.extend(put(members, Member { name, place, value: node }));
                Ok(())
            }
            (Content::Object(_), None) => {
                let text = match node.content {
                    Content::Text(text, _) => text,
                    Content::Plain(value) => value.to_string(),
                    _ => return Err(Unreadable { place: node.place, text: "a name has to be a string".to_owned() }),
                };
                *name = Some((text, node.place));
                Ok(())
            }
            (Content::List(items), _) => {
                items.push(node);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Adds a member; answers it where there is one of that name. `<<` stands for the members of its value.
fn put(members: &mut Vec<Member>, member: Member) -> Option<Member> {
    if member.name == "<<" && member.value.is_object() {
        let inherited = member.value.members().iter();
        let inherited: Vec<_> =
            inherited.filter(|member| members.iter().all(|known| known.name != member.name)).cloned().collect();
        members.extend(inherited);
        return None;
    }
    if members.iter().any(|known| known.name == member.name) {
        return Some(member);
    }
    members.push(member);
    None
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col().saturating_add(1) }
}

fn scan_error(error: &ScanError) -> Unreadable {
    Unreadable { place: place(*error.marker()), text: error.info().to_owned() }
}
