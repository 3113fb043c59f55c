//! Bytes to download, made up as they are read, however many there are.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// A piece of a content in which each group of eight bytes holds the group's number, most
/// significant byte first: a byte lost, doubled or moved is seen, and any range can be checked.
pub(super) struct Content {
    position: u64,
    end: u64,
}

impl Content {
    /// The bytes from `start` up to but not including `end`.
    pub(super) fn new(start: u64, end: u64) -> Self {
        Self { position: start, end }
    }

    /// Fills the front of `buffer` and says how much of it.
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let left = self.end.saturating_sub(self.position);
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = buffer.get_mut(..wanted).unwrap_or_default();
        let until_next_group = usize::try_from((8 - self.position % 8) % 8).unwrap_or(0);
        let (begun, rest) = buffer.split_at_mut(until_next_group.min(wanted));
        self.fill_bytes(begun);
        let mut groups = rest.chunks_exact_mut(8);
        for group in &mut groups {
            group.copy_from_slice(&(self.position / 8).to_be_bytes());
            self.position = self.position.saturating_add(8);
        }
        self.fill_bytes(groups.into_remainder());
        wanted
    }

    /// Fills less than a group.
    fn fill_bytes(&mut self, buffer: &mut [u8]) {
        for byte in buffer {
            let group = (self.position / 8).to_be_bytes();
            let index = usize::try_from(self.position % 8).unwrap_or(0);
            *byte = group.get(index).copied().unwrap_or(0);
            self.position = self.position.saturating_add(1);
        }
    }
}

impl AsyncRead for Content {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = self.fill(buffer.initialize_unfilled());
        buffer.advance(filled);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::Content;

    fn bytes(start: u64, end: u64) -> Vec<u8> {
        let mut buffer = vec![0; 4096];
        let filled = Content::new(start, end).fill(&mut buffer);
        buffer.truncate(filled);
        buffer
    }

    #[test]
    fn a_range_is_the_same_bytes_as_the_whole_has_there() {
        let whole = bytes(0, 1000);
        assert_eq!(whole[..17], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        for (start, end) in [(0, 1), (3, 11), (7, 8), (8, 1000), (999, 1000), (5, 5)] {
            let range = start as usize..end as usize;
            assert_eq!(bytes(start, end), whole[range]);
        }
    }
}
