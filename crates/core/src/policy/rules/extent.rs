//! The largest size that a value of an expression can have, known before any request comes.

/// The bytes of text that are copied in one step: into fresh memory, at about 1 GB/s.
const COPIED_BYTES_A_STEP: u64 = 64;
/// The bytes of text that are compared or looked through in one step: at 2 to 40 GB/s.
const READ_BYTES_A_STEP: u64 = 512;
/// The longest text that is looked for as fast as that, in bytes; a longer one is at 0.15 GB/s where it nearly matches.
const SHORT_NEEDLE_BYTES: u64 = 32;

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

    /// Returns the steps that copying the value takes.
    pub(super) fn steps(&self) -> u64 {
        match self {
            Self::Scalar => 1,
            Self::Text(bytes) => 1 + bytes / COPIED_BYTES_A_STEP,
            Self::List { length, element } => length.saturating_mul(element.steps()).saturating_add(1),
        }
    }

    /// Returns the steps that reading the value once takes.
    pub(super) fn steps_of_reading(&self) -> u64 {
        match self {
            Self::Scalar => 1,
            Self::Text(bytes) => 1 + bytes / READ_BYTES_A_STEP,
            Self::List { length, element } => length.saturating_mul(element.steps_of_reading()).saturating_add(1),
        }
    }

    /// Returns the steps that comparing the value with another takes: no more than the smaller of the two is read.
    pub(super) fn steps_of_comparing(&self, other: &Self) -> u64 {
        match (self, other) {
            (Self::List { length, element }, Self::List { length: more, element: of }) => {
                (*length).min(*more).saturating_mul(element.steps_of_comparing(of)).saturating_add(1)
            }
            (one, other) => one.steps_of_reading().min(other.steps_of_reading()),
        }
    }

    /// Returns the steps that looking for the text `needle` in this text takes.
    pub(super) fn steps_of_searching(&self, needle: &Self) -> u64 {
        match needle {
            Self::Text(bytes) if *bytes <= SHORT_NEEDLE_BYTES => self.steps_of_reading(),
            _ => self.steps(),
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
            (Self::Text(bytes), Self::Text(other)) => Self::Text(bytes.max(other)),
            (Self::Scalar, other) | (other, Self::Scalar) => other,
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
    fn no_more_is_compared_than_the_smaller_of_two_values_has() {
        let (header, name) = (ValueExtent::Text(128 << 10), ValueExtent::Text(7));
        let names = ValueExtent::list(0, ValueExtent::Scalar).and(ValueExtent::list(9, name.clone()));

        assert_eq!(header.steps_of_comparing(&name), 1);
        assert_eq!(name.steps_of_comparing(&header), 1);
        assert_eq!(header.steps_of_comparing(&header), 257);
        assert_eq!(header.steps_of_searching(&names.element()), 257);
        assert_eq!(header.steps_of_searching(&header), 2049);
    }

    #[test]
    fn what_grows_by_one_element_at_a_time_has_one_for_each_time() {
        let empty = ValueExtent::list(0, ValueExtent::Scalar);
        let once = ValueExtent::list(1, ValueExtent::Text(640));

        assert_eq!(empty.grown(once, 300), ValueExtent::list(300, ValueExtent::Text(640)));
    }
}
