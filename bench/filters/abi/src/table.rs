//! Tokens and their session ids: an open table over the lines of the configuration.

use core::cell::UnsafeCell;

/// The most bytes of lines.
const TEXT: usize = 1 << 17;
/// A power of two, and more than twice the tokens that fit in the text.
const SLOTS: usize = 4096;

/// Where a token and its session id lie in the text; a token of no bytes is an empty slot.
#[derive(Clone, Copy)]
struct Slot {
    token: (u32, u32),
    sid: (u32, u32),
}

const EMPTY: Slot = Slot { token: (0, 0), sid: (0, 0) };

struct Table {
    text: UnsafeCell<[u8; TEXT]>,
    slots: UnsafeCell<[Slot; SLOTS]>,
}

// SAFETY: a VM has one thread.
unsafe impl Sync for Table {}

static TABLE: Table =
    Table { text: UnsafeCell::new([0; TEXT]), slots: UnsafeCell::new([EMPTY; SLOTS]) };

/// Takes the lines `<token> <session id>`. False where there are too many.
pub fn fill(lines: &[u8]) -> bool {
    // SAFETY: one thread, and no look-up is under way while the proxy configures the filter.
    let (text, slots) = unsafe { (&mut *TABLE.text.get(), &mut *TABLE.slots.get()) };
    let Some(room) = text.get_mut(..lines.len()) else { return false };
    room.copy_from_slice(lines);
    slots.fill(EMPTY);
    let mut start = 0;
    for line in lines.split(|&byte| byte == b'\n') {
        if let Some(space) = line.iter().position(|&byte| byte == b' ') {
            let token = (start as u32, space as u32);
            let sid = ((start + space + 1) as u32, (line.len() - space - 1) as u32);
            let mut index = hash(&line[..space]);
            while slots[index % SLOTS].token.1 != 0 {
                index += 1;
            }
            slots[index % SLOTS] = Slot { token, sid };
        }
        start += line.len() + 1;
    }
    true
}

/// The session id of a token.
#[must_use]
pub fn sid_of(token: &[u8]) -> Option<&'static [u8]> {
    // SAFETY: one thread; `fill` runs in another callback than any look-up.
    let (text, slots) = unsafe { (&*TABLE.text.get(), &*TABLE.slots.get()) };
    let part = |(start, size): (u32, u32)| text.get(start as usize..(start + size) as usize);
    let mut index = hash(token);
    loop {
        let slot = slots[index % SLOTS];
        if slot.token.1 == 0 {
            return None;
        }
        if part(slot.token) == Some(token) {
            return part(slot.sid);
        }
        index += 1;
    }
}

/// FNV-1a over the last bytes, which are the random ones. Tokens are compared in full.
fn hash(token: &[u8]) -> usize {
    let end = token.len().saturating_sub(12);
    let hash = token[end..]
        .iter()
        .fold(0x811c_9dc5_u32, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    hash as usize
}
