//! The variables that stand for the keys of one import.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

/// The variables of one import: those that stand for keys elsewhere already, and those that keys in the file get.
///
/// Each key in the file has a variable of its own, whatever the variable is that its vendor usually has.
#[derive(Debug, Default)]
pub(crate) struct KeyVariables {
    /// Variables that the file names, or that the other router reads where the file says nothing.
    named: RefCell<BTreeSet<String>>,
    given: RefCell<GivenVariables>,
}

/// The variables that keys in the file got.
#[derive(Debug, Default)]
struct GivenVariables {
    /// By the usual variable and the key's SHA-256.
    by_key: BTreeMap<(String, [u8; 32]), String>,
    all: BTreeSet<String>,
}

impl KeyVariables {
    /// Notes a variable that holds a key which is not in the file.
    pub(crate) fn note(&self, variable: &str) {
        self.named.borrow_mut().insert(variable.to_owned());
    }

    /// Returns the variable for a key in the file: `usual`, or with a number where that one holds another key.
    pub(crate) fn give(&self, usual: &str, key: &str) -> String {
        let place: (String, [u8; 32]) = (usual.to_owned(), Sha256::digest(key.trim().as_bytes()).into());
        let (named, mut given) = (self.named.borrow(), self.given.borrow_mut());
        if let Some(variable) = given.by_key.get(&place) {
            return variable.clone();
        }
        let is_free = |name: &String| !named.contains(name) && !given.all.contains(name);
        // A file may hold thousands of keys of one vendor: the numbers before the last one are not tried again.
        let [first, last] = [[u8::MIN; 32], [u8::MAX; 32]].map(|digest| (usual.to_owned(), digest));
        let alike = given.by_key.range(first..=last).count();
        let numbered = (alike.max(1) + 1..).map(|number| format!("{usual}_{number}"));
        let variable = std::iter::once(usual.to_owned()).chain(numbered).find(is_free).unwrap_or_default();
        given.all.insert(variable.clone());
        given.by_key.insert(place, variable.clone());
        variable
    }

    /// Returns whether a key got a variable that, as a later line says, holds another one.
    pub(crate) fn has_conflict(&self) -> bool {
        let named = self.named.borrow();
        self.given.borrow().all.iter().any(|variable| named.contains(variable))
    }

    /// Returns what is known before the first line is read a second time: the variables that hold other keys.
    pub(crate) fn for_second_reading(self) -> Self {
        Self { named: self.named, given: RefCell::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_keys_of_one_vendor_have_two_variables_and_one_key_has_one() {
        let variables = KeyVariables::default();
        variables.note("KEY_2");

        let given = ["one", "two", "one", "three"].map(|key| variables.give("KEY", key));

        assert_eq!(given, ["KEY", "KEY_3", "KEY", "KEY_4"]);
        assert!(!variables.has_conflict());
        variables.note("KEY");
        assert!(variables.has_conflict());
        assert_eq!(variables.for_second_reading().give("KEY", "one"), "KEY_3");
    }
}
