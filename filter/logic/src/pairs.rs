//! Asking about every pair of neighbouring bytes of a text, written so that the compiler makes vector
//! instructions of it: sixteen pairs at a time, without a branch between them.

/// Bytes that are looked at together.
const BLOCK: usize = 16;

/// [`YES`] where two bytes are equal, else [`NO`]. Answers are bytes, since a vector has no smaller ones.
#[inline(always)]
pub(crate) const fn is(byte: u8, other: u8) -> u8 {
    if byte == other { YES } else { NO }
}

/// [`YES`] where a byte is greater than another, else [`NO`].
#[inline(always)]
pub(crate) const fn is_above(byte: u8, other: u8) -> u8 {
    if byte > other { YES } else { NO }
}

const YES: u8 = 0xFF;
const NO: u8 = 0;

/// Whether `asked` says [`YES`] to any pair of a byte and the one after it. `None`: the text is too short
/// for a block, and was not looked at.
#[inline(always)]
pub(crate) fn any_pair(text: &[u8], asked: impl Fn(u8, u8) -> u8) -> Option<bool> {
    let (seconds, firsts) = (text.get(1..)?, text.get(..text.len().checked_sub(1)?)?);
    let (first_blocks, _) = firsts.as_chunks::<BLOCK>();
    let (second_blocks, _) = seconds.as_chunks::<BLOCK>();
    // The last block lies over the one before it.
    let (first_last, second_last) = (firsts.last_chunk()?, seconds.last_chunk()?);
    let mut found = [NO; BLOCK];
    let mut look = |firsts: &[u8; BLOCK], seconds: &[u8; BLOCK]| {
        for ((found, first), second) in found.iter_mut().zip(firsts).zip(seconds) {
            *found |= asked(*first, *second);
        }
    };
    first_blocks.iter().zip(second_blocks).for_each(|(firsts, seconds)| look(firsts, seconds));
    look(first_last, second_last);
    Some(u128::from_ne_bytes(found) != 0)
}

#[cfg(test)]
mod tests {
    use super::{any_pair, is, is_above};

    #[test]
    fn each_pair_is_asked_about_wherever_it_stands() {
        for length in 17..70 {
            let mut text = vec![b'.'; length];
            assert_eq!(any_pair(&text, |byte, next| is(byte, b'a') & is(next, b'b')), Some(false));
            for at in 0..length - 1 {
                text[at..=at + 1].copy_from_slice(b"ab");
                let found = any_pair(&text, |byte, next| is(byte, b'a') & is(next, b'b'));
                assert_eq!(found, Some(true), "{at} of {length}");
                text[at..=at + 1].copy_from_slice(b"..");
            }
        }
    }

    #[test]
    fn what_is_shorter_than_a_block_is_not_looked_at() {
        for length in 0..17 {
            assert_eq!(any_pair(&vec![b'a'; length], |byte, _| is(byte, b'a')), None);
        }
        assert_eq!(any_pair(&[b'a'; 17], |byte, _| is_above(byte, b'Z')), Some(true));
        assert_eq!(any_pair(&[b'a'; 17], |byte, _| is_above(byte, b'a')), Some(false));
    }
}
