//! TOML as the tree of a foreign file.

use toml_edit::{Document, Item, Key, TableLike, Value};

use super::{SourceContent, SourceEntry, SourceFault, SourceNode, line_of};

/// Reads `text`.
pub(super) fn read(text: &str) -> Result<SourceNode, SourceFault> {
    let document = Document::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let column = text[..text.floor_char_boundary(at)].chars().rev().take_while(|c| *c != '\n').count() + 1;
        let message = format!("not valid TOML: {}", error.message());
        SourceFault { line: line_of(text, at), column, message }
    })?;
    let reader = TomlReader { text };
    Ok(reader.table(document.as_table(), 0))
}

struct TomlReader<'t> {
    text: &'t str,
}

impl TomlReader<'_> {
    fn item(&self, item: &Item, start: usize) -> Option<SourceNode> {
        let start = item.span().map_or(start, |span| span.start);
        match item {
            Item::None => None,
            Item::Value(value) => Some(self.value(value, start)),
            Item::Table(table) => Some(self.table(table, start)),
            Item::ArrayOfTables(tables) => {
                let table = |table: &toml_edit::Table| self.table(table, table.span().map_or(start, |span| span.start));
                Some(self.node(start, SourceContent::List(tables.iter().map(table).collect())))
            }
        }
    }

    fn value(&self, value: &Value, start: usize) -> SourceNode {
        let start = value.span().map_or(start, |span| span.start);
        let content = match value {
            Value::String(text) => SourceContent::Scalar { text: text.value().clone(), is_plain: false },
            Value::Integer(number) => plain(number.value()),
            Value::Float(number) => plain(number.value()),
            Value::Boolean(flag) => plain(flag.value()),
            Value::Datetime(time) => plain(time.value()),
            Value::Array(array) => {
                SourceContent::List(array.iter().map(|element| self.value(element, start)).collect())
            }
            Value::InlineTable(table) => return self.table(table, start),
        };
        let mut made = self.node(start, content);
        let end = value.span().map_or(start, |span| span.end);
        made.last_line = line_of(self.text, end.saturating_sub(1)).max(made.last_line);
        made
    }

    fn table(&self, table: &dyn TableLike, start: usize) -> SourceNode {
        let entry = |(key, item): (&str, &Item)| {
            let at = table.get_key_value(key).and_then(|(key, _)| Key::span(key)).map_or(start, |span| span.start);
            let value = self.item(item, at)?;
            Some(SourceEntry { key: key.to_owned(), line: line_of(self.text, at), value })
        };
        self.node(start, SourceContent::Map(table.iter().filter_map(entry).collect()))
    }

    fn node(&self, start: usize, content: SourceContent) -> SourceNode {
        SourceNode::new(start, line_of(self.text, start), content).close()
    }
}

fn plain(value: &impl ToString) -> SourceContent {
    SourceContent::Scalar { text: value.to_string(), is_plain: true }
}
