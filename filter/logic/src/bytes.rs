//! Comparing texts of some length.

/// Whether two texts are the same.
///
/// Eight bytes at a time: in a WebAssembly module the standard library's own way is a loop over bytes, and
/// the token of each request is compared whole. Not in constant time, as the standard library's is not:
/// tokens are compared only where their hashes under random keys are the same.
#[inline]
pub(crate) fn are_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ((ones, one_rest), (others, other_rest)) = (one.as_chunks::<8>(), other.as_chunks::<8>());
    let number = |chunk: &[u8; 8]| u64::from_ne_bytes(*chunk);
    ones.iter().zip(others).all(|(one, other)| number(one) == number(other))
        && one_rest.iter().zip(other_rest).all(|(one, other)| one == other)
}

#[cfg(test)]
mod tests {
    use super::are_same;

    #[test]
    fn texts_are_the_same_if_each_byte_is() {
        for length in 0..40 {
            let text = vec![b'a'; length];
            assert!(are_same(&text, &text.clone()));
            assert!(!are_same(&text, &vec![b'a'; length + 1]));
            for at in 0..length {
                let mut other = text.clone();
                other[at] = b'b';
                assert!(!are_same(&text, &other), "{at} of {length}");
            }
        }
    }
}
