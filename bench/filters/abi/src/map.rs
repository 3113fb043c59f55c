//! The proxy's format of a whole header map: the number of entries; the sizes of each name and value;
//! then the names and values themselves, each with a zero behind it. Numbers are 32 bits, little endian.

/// The entries of a map.
#[derive(Clone)]
pub struct Entries {
    bytes: &'static [u8],
    sizes: usize,
    data: usize,
    left: usize,
}

impl Entries {
    /// Reads a map that the proxy handed over.
    #[must_use]
    pub fn of(bytes: &'static [u8]) -> Self {
        let left = number(bytes, 0);
        Self { bytes, sizes: 4, data: 4 + left * 8, left }
    }
}

impl Iterator for Entries {
    type Item = (&'static [u8], &'static [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (name, value) = (number(self.bytes, self.sizes), number(self.bytes, self.sizes + 4));
        let start = self.data;
        self.sizes += 8;
        self.data += name + value + 2;
        let value_start = start + name + 1;
        Some((
            self.bytes.get(start..start + name)?,
            self.bytes.get(value_start..value_start + value)?,
        ))
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]) as usize,
        _ => 0,
    }
}

/// Writes a map of at most `entries` entries.
pub struct Writer {
    bytes: &'static mut [u8],
    sizes: usize,
    data: usize,
    count: u32,
}

impl Writer {
    /// Begins a map in memory of the arena: `size` bytes must hold all of it.
    #[must_use]
    pub fn new(entries: usize, size: usize) -> Self {
        Self { bytes: crate::arena::slice(size), sizes: 4, data: 4 + entries * 8, count: 0 }
    }

    /// Adds an entry. What does not fit is left out.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        self.count += 1;
        for size in [name.len(), value.len()] {
            let bytes = (size as u32).to_le_bytes();
            write(self.bytes, &mut self.sizes, &bytes);
        }
        for text in [name, b"\0", value, b"\0"] {
            write(self.bytes, &mut self.data, text);
        }
    }

    /// The map. There must be as many entries as was said.
    #[must_use]
    pub fn finish(self) -> &'static [u8] {
        let mut start = 0;
        write(self.bytes, &mut start, &self.count.to_le_bytes());
        self.bytes.get(..self.data).unwrap_or_default()
    }
}

fn write(bytes: &mut [u8], at: &mut usize, text: &[u8]) {
    if let Some(room) = bytes.get_mut(*at..*at + text.len()) {
        room.copy_from_slice(text);
    }
    *at += text.len();
}
