//! Reading a foreign file: a value with the path that leads to it, and the findings about it.

use crate::finding::{Finding, FindingKind, FindingLog};
use crate::key_variables::KeyVariables;
use crate::source::{SourceContent, SourceNode, key_path};

/// A value of a foreign file, with the path that leads to it. Reading a text, number or truth value takes it.
#[derive(Debug, Clone)]
pub(crate) struct SourceValue<'s> {
    node: &'s SourceNode,
    path: String,
    /// The line of its key.
    line: usize,
    findings: &'s FindingLog,
    variables: &'s KeyVariables,
}

impl<'s> SourceValue<'s> {
    pub(crate) fn root(node: &'s SourceNode, findings: &'s FindingLog, variables: &'s KeyVariables) -> Self {
        Self { node, path: String::new(), line: node.line, findings, variables }
    }

    /// Returns the variables that hold keys.
    pub(crate) const fn variables(&self) -> &'s KeyVariables {
        self.variables
    }

    /// Returns the line of its key.
    pub(crate) const fn line(&self) -> usize {
        self.line
    }

    /// Returns the value of `key`; `None` where it is missing or nothing.
    pub(crate) fn get(&self, key: &str) -> Option<Self> {
        self.entries().into_iter().find(|(own, _)| *own == key).map(|(_, value)| value)
    }

    /// Returns the value of the first of `keys` that is there.
    pub(crate) fn first(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Returns the keys and values of a mapping in the order of the file, without those that say nothing.
    pub(crate) fn entries(&self) -> Vec<(&'s str, Self)> {
        let SourceContent::Map(entries) = &self.node.content else { return Vec::new() };
        let said = entries.iter().filter(|entry| !entry.value.is_nothing());
        let (findings, variables) = (self.findings, self.variables);
        let value = |entry: &'s crate::source::SourceEntry| {
            let path = key_path(&self.path, &entry.key);
            (entry.key.as_str(), Self { node: &entry.value, path, line: entry.line, findings, variables })
        };
        said.map(value).collect()
    }

    /// Returns the elements of a list; a value that is none is its own only element.
    pub(crate) fn items(&self) -> Vec<Self> {
        let SourceContent::List(nodes) = &self.node.content else { return vec![self.clone()] };
        let item = |(index, node): (usize, &'s SourceNode)| {
            let path = format!("{}[{index}]", self.path);
            Self { node, path, line: node.line, findings: self.findings, variables: self.variables }
        };
        nodes.iter().enumerate().map(item).collect()
    }

    /// Returns the text of a text, number or truth value.
    pub(crate) fn text(&self) -> Option<&'s str> {
        let SourceContent::Scalar { text, .. } = &self.node.content else { return None };
        self.node.take();
        Some(text.trim())
    }

    /// Returns the texts of a list, or the one text.
    pub(crate) fn texts(&self) -> Vec<&'s str> {
        self.items().iter().filter_map(Self::text).collect()
    }

    pub(crate) fn number(&self) -> Option<f64> {
        self.text().and_then(|text| text.replace('_', "").parse().ok()).filter(|number: &f64| number.is_finite())
    }

    pub(crate) fn count(&self) -> Option<u64> {
        self.text().and_then(|text| text.replace('_', "").parse().ok())
    }

    pub(crate) fn flag(&self) -> Option<bool> {
        match self.text()?.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn text_at(&self, key: &str) -> Option<&'s str> {
        self.get(key)?.text()
    }

    pub(crate) fn number_at(&self, key: &str) -> Option<f64> {
        self.get(key)?.number()
    }

    pub(crate) fn count_at(&self, key: &str) -> Option<u64> {
        self.get(key)?.count()
    }

    pub(crate) fn flag_at(&self, key: &str) -> Option<bool> {
        self.get(key)?.flag()
    }

    pub(crate) const fn is_map(&self) -> bool {
        matches!(self.node.content, SourceContent::Map(_))
    }

    pub(crate) const fn is_list(&self) -> bool {
        matches!(self.node.content, SourceContent::List(_))
    }

    /// Returns whether a text stands there without quotes, so that it may be a number or a truth value.
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self.node.content, SourceContent::Scalar { is_plain: true, .. })
    }

    /// Takes everything below: the configuration has it, or Pointsman does so anyway.
    pub(crate) fn take(&self) {
        self.node.take();
    }

    /// Takes what stands under `keys`.
    pub(crate) fn take_all(&self, keys: &[&str]) {
        keys.iter().filter_map(|key| self.get(key)).for_each(|value| value.take());
    }

    /// Notes that nothing stands for the value, and why.
    pub(crate) fn leave_out(&self, why: impl Into<String>) {
        self.node.take();
        self.note(FindingKind::LeftOut, why.into());
    }

    /// Notes that nothing stands for the value, unless a finding about it or in it says why already.
    pub(crate) fn leave_out_unsaid(&self, why: &str) {
        if self.findings.is_about(&self.path) {
            self.node.take();
        } else {
            self.leave_out(why);
        }
    }

    /// Notes for each of `reasons` whose key is there that nothing stands for it.
    pub(crate) fn leave_out_all(&self, reasons: &[(&str, &str)]) {
        for (key, why) in reasons {
            if let Some(value) = self.get(key) {
                value.leave_out(*why);
            }
        }
    }

    /// Takes the value, and notes that what stands for it does not mean quite the same.
    pub(crate) fn change(&self, how: impl Into<String>) {
        self.node.take();
        self.note(FindingKind::Changed, how.into());
    }

    /// Takes the value, and notes that it was a secret.
    pub(crate) fn conceal(&self, instead: impl Into<String>) {
        self.node.take();
        self.note(FindingKind::Secret, instead.into());
    }

    fn note(&self, kind: FindingKind, message: String) {
        let (line, last_line, path) = (self.line, self.node.last_line.max(self.line), self.path.clone());
        // The secret itself may be the only thing of its line: that it spans lines says nothing.
        let last_line = if kind == FindingKind::Secret { line } else { last_line };
        self.findings.note(Finding { line, last_line, path, kind, message });
    }
}
