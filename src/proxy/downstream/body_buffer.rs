//! The memory that a body is received into. Every byte of it is reserved before it is allocated.
//!
//! A body whose length was announced gets one piece of memory of that size, once it has shown that it will fill it: no
//! byte is copied twice, and what has not come takes no memory, because no page of it was touched. Any other body gets
//! block after block, which are joined at the end: memory that doubles would take three times the body as it moves.

use bytes::Bytes;

use super::admission::BodyReservation;
use crate::proxy::answer::rejection::Rejection;

/// The memory that is set aside at first for a body that announces more.
const FIRST: usize = 1 << 20;

/// The largest block of a body whose length nobody knows.
const BLOCK: usize = 1 << 20;

/// The steps in which memory of an announced length is reserved as it fills.
const STEP: usize = 256 << 10;

/// A body as far as it has come.
pub(super) struct BodyBuffer {
    blocks: Vec<Vec<u8>>,
    len: usize,
    /// The bytes that the client has said will come; 0 where it said nothing.
    announced: usize,
    /// The capacity of all blocks.
    capacity: usize,
    /// `None` for what is not a request's.
    memory: Option<BodyReservation>,
}

impl BodyBuffer {
    /// Makes an empty one, whose memory is taken from `memory`.
    pub(super) const fn new(announced: usize, memory: Option<BodyReservation>) -> Self {
        Self { blocks: Vec::new(), len: 0, announced, capacity: 0, memory }
    }

    /// Returns how many bytes have come.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether they are in one piece of memory.
    pub(super) const fn is_whole(&self) -> bool {
        self.blocks.len() <= 1
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// [`Rejection::Overloaded`] when there is no memory for them.
    pub(super) fn extend(&mut self, mut bytes: &[u8]) -> Result<(), Rejection> {
        while !bytes.is_empty() {
            let room = self.blocks.last().map_or(0, |block| block.capacity() - block.len());
            if room == 0 {
                self.grow(bytes.len())?;
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.reserve(self.len + now.len())?;
            if let Some(block) = self.blocks.last_mut() {
                block.extend_from_slice(now);
            }
            self.len += now.len();
            bytes = later;
        }
        Ok(())
    }

    /// Returns the whole body in one piece, and the memory that is reserved for it.
    ///
    /// # Errors
    /// [`Rejection::Overloaded`] when there is no memory to join its blocks.
    pub(super) fn finish(mut self) -> Result<(Bytes, Option<BodyReservation>), Rejection> {
        let bytes = self.take()?;
        Ok((bytes, self.memory))
    }

    /// Takes out what has come.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub(super) fn take(&mut self) -> Result<Bytes, Rejection> {
        let (blocks, len) = (std::mem::take(&mut self.blocks), std::mem::take(&mut self.len));
        let capacity = std::mem::take(&mut self.capacity);
        let whole = if blocks.len() > 1 {
            cover(&mut self.memory, capacity + len)?;
            let mut whole = allocate(len)?;
            blocks.into_iter().for_each(|block| whole.extend_from_slice(&block)); // each is freed behind its copy
            whole
        } else {
            blocks.into_iter().next().unwrap_or_default()
        };
        if let Some(memory) = &mut self.memory {
            memory.settle(if self.announced > 0 { len } else { whole.capacity() });
        }
        Ok(Bytes::from(whole))
    }

    /// Gives up what has come, and returns the memory that was reserved for it.
    pub(super) fn discard(self) -> Option<BodyReservation> {
        self.memory
    }

    /// Makes room for some of `wanted` bytes.
    fn grow(&mut self, wanted: usize) -> Result<(), Rejection> {
        if self.announced > self.len {
            return self.grow_to_announced();
        }
        let capacity = self.len.max(wanted).min(BLOCK);
        cover(&mut self.memory, self.capacity + capacity)?;
        self.blocks.push(allocate(capacity)?);
        self.capacity += capacity;
        Ok(())
    }

    fn grow_to_announced(&mut self) -> Result<(), Rejection> {
        let Some(first) = self.blocks.first() else {
            self.blocks.push(allocate(self.announced.min(FIRST))?);
            return Ok(());
        };
        cover(&mut self.memory, self.len * 2)?;
        let mut whole = allocate(self.announced)?;
        whole.extend_from_slice(first);
        self.blocks = vec![whole];
        Ok(())
    }

    /// Reserves memory for the first `len` bytes of an announced length, in steps; blocks are reserved whole.
    fn reserve(&mut self, len: usize) -> Result<(), Rejection> {
        if self.announced < len {
            return Ok(()); // a block, which is reserved
        }
        cover(&mut self.memory, len.next_multiple_of(STEP).min(self.announced))
    }
}

fn cover(memory: &mut Option<BodyReservation>, bytes: usize) -> Result<(), Rejection> {
    memory.as_mut().map_or(Ok(()), |memory| memory.cover(bytes))
}

/// Allocates memory, if there is any.
fn allocate(capacity: usize) -> Result<Vec<u8>, Rejection> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(capacity).map_err(|_| Rejection::Overloaded)?;
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pointsman_telemetry::Metrics;

    use super::super::admission::Admission;
    use super::*;

    const LIMIT: usize = 16 << 20;

    fn receive(announced: usize, body: &[u8], chunk: usize) -> (Bytes, usize) {
        let admission = Arc::new(Admission::new(Metrics::new().edge()));
        let mut buffer = BodyBuffer::new(announced, Some(BodyReservation::new(&admission, LIMIT)));
        for chunk in body.chunks(chunk) {
            buffer.extend(chunk).expect("room");
        }
        assert_eq!(buffer.len(), body.len());
        let (bytes, memory) = buffer.finish().expect("room");
        let held = admission.held();
        drop(memory);
        assert_eq!(admission.held(), 0, "all is given back");
        (bytes, held)
    }

    #[test]
    fn what_comes_is_what_is_kept_whatever_was_announced_and_however_it_is_cut() {
        let body: Vec<u8> = (0..5_000_000_u32).map(|i| i.wrapping_mul(i).to_le_bytes()[1]).collect();

        for length in [0, 1, 1000, FIRST, FIRST + 1, body.len()] {
            let body = &body[..length];
            for announced in [0, length, length * 2, length / 2] {
                for chunk in [700, 65_536, 3 << 20] {
                    let (bytes, held) = receive(announced, body, chunk);
                    assert_eq!(bytes, body, "{length} of {announced} by {chunk}");
                    assert!(held >= length, "{length} of {announced} by {chunk}: {held} reserved");
                    assert!(held <= length.max(1) * 2, "{length} of {announced} by {chunk}: {held} reserved");
                }
            }
        }
    }

    #[test]
    fn no_byte_is_taken_that_is_not_reserved() {
        let admission = Arc::new(Admission::new(Metrics::new().edge()));
        for announced in [0, 3 << 20] {
            let mut buffer = BodyBuffer::new(announced, Some(BodyReservation::new(&admission, 1 << 20)));
            buffer.extend(&[b'x'; 1 << 19]).expect("room");
            assert!(admission.held() >= 1 << 19);

            let refused = buffer.extend(&[b'x'; 1 << 20]);

            assert_eq!(refused, Err(Rejection::Overloaded), "{announced}");
            assert!(admission.held() <= 1 << 20);
        }
        assert_eq!(admission.held(), 0);
    }

    #[test]
    fn what_was_announced_and_has_not_come_is_not_reserved() {
        let admission = Arc::new(Admission::new(Metrics::new().edge()));
        let mut buffer = BodyBuffer::new(LIMIT, Some(BodyReservation::new(&admission, LIMIT)));

        buffer.extend(b"x").expect("room");

        assert_eq!(admission.held(), STEP);
    }
}
