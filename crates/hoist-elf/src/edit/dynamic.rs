//! The entries of the dynamic section and the names of the version tables, as they shall be.

use crate::dynamic::Entries;
use crate::edit::{Edit, EditError};
use crate::spec::{
    DF_1_NOW, DF_BIND_NOW, DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1, DT_NEEDED, DT_RPATH, DT_RUNPATH,
    DT_SONAME,
};
use crate::versions::VersionName;

/// Most bytes of a text: longer than any path that the kernel takes, and any sensible list of them.
const MOST_TEXT_BYTES: usize = 64 << 10;

/// What stands in an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// As it was: for a name, its index in the string table.
    Number(u64),
    /// A name whose index is not known yet.
    Text(String),
}

/// An entry of the dynamic section.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) tag: u64,
    pub(crate) value: Value,
}

/// A name in a version table.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) address: u64,
    pub(crate) value: Value,
    pub(crate) is_needed_library: bool,
}

/// What the dynamic section shall say.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) entries: Vec<Entry>,
    pub(crate) names: Vec<Name>,
    table: &'a [u8],
}

impl<'a> Wanted<'a> {
    /// What it says now. `table` is the string table.
    pub(crate) fn new(entries: &Entries, names: &[VersionName], table: &'a [u8]) -> Self {
        let entry = |(tag, value)| Entry { tag, value: Value::Number(value) };
        let name = |name: &VersionName| Name {
            address: name.address,
            value: Value::Number(name.index),
            is_needed_library: name.is_needed_library,
        };
        Self {
            entries: entries.iter().map(entry).collect(),
            names: names.iter().map(name).collect(),
            table,
        }
    }

    pub(crate) fn apply(&mut self, edit: &Edit) -> Result<(), EditError> {
        match edit {
            Edit::Runpath(None) => self.entries.retain(|entry| !is_search_path(entry.tag)),
            Edit::Runpath(Some(text)) => {
                check_text("a RUNPATH", text)?;
                self.set_text(&[DT_RUNPATH, DT_RPATH], text);
            }
            Edit::Soname(text) => {
                check_text("a SONAME", text)?;
                self.set_text(&[DT_SONAME], text);
            }
            Edit::ReplaceNeeded { from, to } => self.replace_needed(from, to)?,
            Edit::AddNeeded(name) => {
                check_text("a needed library", name)?;
                if !self.entries.iter().any(|entry| self.needs(entry, name)) {
                    let value = Value::Text(name.clone());
                    self.entries.push(Entry { tag: DT_NEEDED, value });
                }
            }
            Edit::RemoveNeeded(name) => self.remove_needed(name)?,
            Edit::BindNow => self.bind_now(),
            Edit::NonExecutableStack => {} // a matter of the program headers
        }
        Ok(())
    }

    /// Lets the one entry of the first of `tags` say `text`; an entry of the others becomes one.
    fn set_text(&mut self, tags: &[u64], text: &str) {
        let keeps =
            tags.iter().find_map(|tag| self.entries.iter().rposition(|entry| entry.tag == *tag));
        let Some(kept) = keeps else {
            self.entries.push(Entry { tag: tags[0], value: Value::Text(text.to_owned()) });
            return;
        };
        let says = self.says(&self.entries[kept].value, text);
        let entry = &mut self.entries[kept];
        entry.tag = tags[0];
        if !says {
            entry.value = Value::Text(text.to_owned());
        }
        let mut index = 0;
        self.entries.retain(|entry| {
            index += 1;
            index - 1 == kept || !tags.contains(&entry.tag)
        });
    }

    fn replace_needed(&mut self, from: &str, to: &str) -> Result<(), EditError> {
        check_text("a needed library", to)?;
        if !self.entries.iter().any(|entry| self.needs(entry, from)) {
            return Err(EditError::NotNeeded { name: from.to_owned() });
        }
        if from == to {
            return Ok(());
        }
        let is_needed_already = self.entries.iter().any(|entry| self.needs(entry, to));
        let mut is_first = !is_needed_already;
        let mut kept = Vec::new();
        for entry in &self.entries {
            if !self.needs(entry, from) {
                kept.push(entry.clone());
            } else if is_first {
                kept.push(Entry { tag: DT_NEEDED, value: Value::Text(to.to_owned()) });
                is_first = false;
            }
        }
        let (wanted, from_bytes) = (Value::Text(to.to_owned()), from.as_bytes());
        let is_from = |name: &Name| {
            name.is_needed_library && text_of(&name.value, self.table) == Some(from_bytes)
        };
        let renamed: Vec<bool> = self.names.iter().map(is_from).collect();
        for (name, _) in self.names.iter_mut().zip(renamed).filter(|(_, is_from)| *is_from) {
            name.value = wanted.clone();
        }
        self.entries = kept;
        Ok(())
    }

    fn remove_needed(&mut self, name: &str) -> Result<(), EditError> {
        if !self.entries.iter().any(|entry| self.needs(entry, name)) {
            return Err(EditError::NotNeeded { name: name.to_owned() });
        }
        if self
            .names
            .iter()
            .any(|wanted| wanted.is_needed_library && self.says(&wanted.value, name))
        {
            return Err(EditError::VersionsWanted { name: name.to_owned() });
        }
        let table = self.table;
        self.entries.retain(|entry| {
            entry.tag != DT_NEEDED || text_of(&entry.value, table) != Some(name.as_bytes())
        });
        Ok(())
    }

    fn bind_now(&mut self) {
        let has = |tag, bit| {
            move |entry: &Entry| {
                entry.tag == tag && matches!(entry.value, Value::Number(flags) if flags & bit != 0)
            }
        };
        let binds = [has(DT_FLAGS, DF_BIND_NOW), has(DT_FLAGS_1, DF_1_NOW)];
        if self
            .entries
            .iter()
            .any(|entry| binds.iter().any(|binds| binds(entry)) || entry.tag == DT_BIND_NOW)
        {
            return;
        }
        for (tag, bit) in [(DT_FLAGS, DF_BIND_NOW), (DT_FLAGS_1, DF_1_NOW)] {
            let entry = self.entries.iter_mut().rfind(|entry| entry.tag == tag);
            if let Some(Value::Number(flags)) = entry.map(|entry| &mut entry.value) {
                *flags |= bit;
                return;
            }
        }
        self.entries.push(Entry { tag: DT_FLAGS, value: Value::Number(DF_BIND_NOW) });
    }

    fn needs(&self, entry: &Entry, name: &str) -> bool {
        entry.tag == DT_NEEDED && self.says(&entry.value, name)
    }

    fn says(&self, value: &Value, text: &str) -> bool {
        text_of(value, self.table) == Some(text.as_bytes())
    }
}

fn is_search_path(tag: u64) -> bool {
    matches!(tag, DT_RUNPATH | DT_RPATH)
}

/// The name that a value stands for.
fn text_of<'v>(value: &'v Value, table: &'v [u8]) -> Option<&'v [u8]> {
    match value {
        Value::Text(text) => Some(text.as_bytes()),
        Value::Number(index) => {
            let tail = table.get(usize::try_from(*index).ok()?..)?;
            tail.split(|byte| *byte == 0).next()
        }
    }
}

fn check_text(place: &'static str, text: &str) -> Result<(), EditError> {
    let why = if text.is_empty() {
        "it is empty"
    } else if text.contains('\0') {
        "it holds a zero byte, where a name ends"
    } else if text.len() > MOST_TEXT_BYTES {
        "it has more than 65536 bytes"
    } else {
        return Ok(());
    };
    let shown = text.chars().take(100).collect();
    Err(EditError::Text { place, text: shown, why })
}
