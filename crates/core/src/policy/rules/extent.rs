//! The largest size that a value of an expression can have, known before any request comes.

/// The bytes of text that are read or copied in one step.
const BYTES_A_STEP: u64 = 64;

/// The largest size that a value can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueExtent {
    /// A number or a truth.
    Scalar,
    /// A text of at most so many bytes.
    Text(u64),
    /// A list of at most so many elements, each of at most this size.
    List { length: u64, element: Box<Self> },
}

impl ValueExtent {
    /// The extent of a list.
    pub(super) fn list(length: u64, element: Self) -> Self {
        Self::List { length, element: Box::new(element) }
    }

    /// Returns the steps that copying the value, or comparing it with another, takes.
    pub(super) fn steps(&self) -> u64 {
        match self {
            Self::Scalar => 1,
            Self::Text(bytes) => 1 + bytes / BYTES_A_STEP,
            Self::List { length, element } => length.saturating_mul(element.steps()).saturating_add(1),
        }
    }

    /// Returns the number of elements; 0 for what is no list.
    pub(super) const fn length(&self) -> u64 {
        match self {
            Self::List { length, .. } => *length,
            Self::Scalar | Self::Text(_) => 0,
        }
    }

    /// Returns the extent of one of the elements; of what is no list, its own.
    pub(super) fn element(&self) -> Self {
        match self {
            Self::List { element, .. } => (**element).clone(),
            other => other.clone(),
        }
    }

    /// Returns the extent of a value that is one of the two.
    pub(super) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::List { length, element }, Self::List { length: other, element: of }) => {
                Self::list(length.max(other), element.or(*of))
            }
            (one, other) if one.steps() >= other.steps() => one,
            (_, other) => other,
        }
    }

    /// Returns the extent of the two put together by `+`.
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Text(bytes), Self::Text(more)) => Self::Text(bytes.saturating_add(more)),
            (Self::List { length, element }, Self::List { length: more, element: of }) => {
                Self::list(length.saturating_add(more), element.or(*of))
            }
            (one, other) => one.or(other),
        }
    }

    /// Returns the extent of what begins as `self` and grows `times` as it grows to `once`.
    pub(super) fn grown(self, once: Self, times: u64) -> Self {
        let grow = |from: u64, to: u64| from.saturating_add(to.saturating_sub(from).saturating_mul(times));
        match (self, once) {
            (Self::Text(bytes), Self::Text(to)) => Self::Text(grow(bytes, to)),
            (Self::List { length, element }, Self::List { length: to, element: of }) => {
                Self::list(grow(length, to), element.or(*of))
            }
            (one, once) => one.or(once),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_never_overflow() {
        let huge = ValueExtent::list(u64::MAX, ValueExtent::list(u64::MAX, ValueExtent::Text(u64::MAX)));

        assert_eq!(huge.clone().and(huge.clone()).steps(), u64::MAX);
        assert_eq!(huge.clone().grown(huge.clone(), u64::MAX).or(huge).length(), u64::MAX);
    }

    #[test]
    fn what_grows_by_one_element_at_a_time_has_one_for_each_time() {
        let empty = ValueExtent::list(0, ValueExtent::Scalar);
        let once = ValueExtent::list(1, ValueExtent::Text(640));

        assert_eq!(empty.grown(once, 300), ValueExtent::list(300, ValueExtent::Text(640)));
    }
}
