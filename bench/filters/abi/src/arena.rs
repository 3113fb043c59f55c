//! Memory in place of an allocator: the proxy's data of one callback, forgotten with the next.

use core::cell::UnsafeCell;

/// Enough for a request's headers and a chunk of a body, which the listener's buffer limit bounds.
const BYTES: usize = 4 << 20;
/// The proxy writes numbers of eight bytes at most.
const ALIGNMENT: usize = 8;

#[repr(align(8))]
struct Arena {
    bytes: UnsafeCell<[u8; BYTES]>,
    used: UnsafeCell<usize>,
}

// SAFETY: a VM has one thread.
unsafe impl Sync for Arena {}

static ARENA: Arena = Arena { bytes: UnsafeCell::new([0; BYTES]), used: UnsafeCell::new(0) };

/// Forgets everything. Called first in each callback, when nothing of the last one is in use.
pub fn reset() {
    // SAFETY: one thread, and no reference to `used` outlives its statement.
    unsafe { *ARENA.used.get() = 0 }
}

/// Takes `size` bytes; null where there are not so many, which the proxy takes as a failure.
pub fn take(size: usize) -> *mut u8 {
    // SAFETY: one thread; each piece of the array is handed out once between two resets.
    unsafe {
        let used = *ARENA.used.get();
        let next = used.saturating_add(size).next_multiple_of(ALIGNMENT);
        if next > BYTES {
            return core::ptr::null_mut();
        }
        *ARENA.used.get() = next;
        ARENA.bytes.get().cast::<u8>().add(used)
    }
}

/// Takes `size` bytes to write to; none where there are not so many.
pub fn slice(size: usize) -> &'static mut [u8] {
    let start = take(size);
    if start.is_null() {
        return &mut [];
    }
    // SAFETY: `take` gave these bytes to nobody else, and they lie in a static.
    unsafe { core::slice::from_raw_parts_mut(start, size) }
}
