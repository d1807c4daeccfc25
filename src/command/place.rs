//! Where something stands in a file, and where a text within a text does.

use std::fmt;
use std::str::Chars;

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

/// Where the text of a scalar begins, and how it is written.
#[derive(Clone, Debug)]
pub enum Writing {
    /// As a block, each line of the text on a line of its own, so far indented.
    Block {
        /// The line before the first one of the text.
        before: usize,
        /// The columns before each line.
        indent: usize,
    },
    /// Within quotes on one line: the column of each character.
    Quoted {
        /// The line.
        line: usize,
        /// For each character of the text, its column.
        columns: Vec<usize>,
    },
    /// In another way, in which it is not told where each character is.
    Other(Place),
}

/// The lines of a file, and how far they have been read. A line can be the whole file, so what is looked up in the
/// order in which it stands there is found from the last place on and not from the beginning of the line.
pub struct Lines<'a> {
    lines: Vec<&'a str>,
    at: Place,
    rest: Chars<'a>,
}

impl<'a> Lines<'a> {
    /// The lines of this text.
    pub fn new(text: &'a str) -> Self {
        let lines: Vec<&str> = text.lines().collect();
        let rest = lines.first().copied().unwrap_or_default().chars();
        Self { lines, at: Place { line: 1, column: 1 }, rest }
    }

    /// The rest of a line from a place on.
    fn from(&mut self, place: Place) -> Chars<'a> {
        if place.line != self.at.line || place.column < self.at.column {
            let line = self.lines.get(place.line.saturating_sub(1)).copied().unwrap_or_default();
            self.rest = line.chars();
            self.at = Place { line: place.line, column: 1 };
        }
        let between = place.column.saturating_sub(self.at.column);
        self.rest.by_ref().take(between).for_each(drop);
        self.at = place;
        self.rest.clone()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl Writing {
    /// How a block is written whose first line that is not empty begins at `start`.
    pub fn block(text: &str, start: Place) -> Self {
        let empty = text.chars().take_while(|character| *character == '\n').count();
        let before = start.line.saturating_sub(empty).saturating_sub(1);
        Self::Block { before, indent: start.column.saturating_sub(1) }
    }

    /// How a scalar is written that begins with a quote at `start`.
    pub fn quoted(lines: &mut Lines<'_>, start: Place) -> Self {
        let mut rest = lines.from(start);
        let opening = rest.next().filter(|character| matches!(character, '"' | '\''));
        let columns = opening.and_then(|quote| columns(rest, quote, start.column));
        columns.map_or(Self::Other(start), |columns| Self::Quoted { line: start.line, columns })
    }

    /// Where a place of the text is in the file.
    pub fn place(&self, inner: Place) -> Place {
        match self {
            Self::Block { before, indent } => {
                Place { line: before.saturating_add(inner.line), column: indent.saturating_add(inner.column) }
            }
            Self::Quoted { line, columns } if inner.line == 1 => {
                let column = columns.get(inner.column.saturating_sub(1)).or(columns.last());
                Place { line: *line, column: column.copied().unwrap_or(1) }
            }
            Self::Quoted { line, columns } => Place { line: *line, column: columns.first().copied().unwrap_or(1) },
            Self::Other(start) => *start,
        }
    }
}

/// The columns of the characters within quotes; `None` when the quotes do not end on this line.
fn columns(written: impl Iterator<Item = char>, quote: char, opening: usize) -> Option<Vec<usize>> {
    let (mut columns, mut column) = (Vec::new(), opening);
    let mut written = written.peekable();
    while let Some(character) = written.next() {
        column = column.saturating_add(1);
        columns.push(column);
        let escaped = match character {
            _ if character == quote && quote == '\'' && written.peek() == Some(&'\'') => 1,
            _ if character == quote => return Some(columns),
            '\\' if quote == '"' => match written.peek() {
                Some('x') => 3,
                Some('u') => 5,
                Some('U') => 9,
                _ => 1,
            },
            _ => 0,
        };
        for _ in 0..escaped {
            written.next();
            column = column.saturating_add(1);
        }
    }
    None
}
