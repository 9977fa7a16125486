//! Bytes in, numbers out, zeros past the end: the source of a target's choices.

/// Takes numbers off the front of the input.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        head
    }

    fn number<const N: usize>(&mut self) -> [u8; N] {
        let mut raw = [0; N];
        let head = self.take(N);
        raw[..head.len()].copy_from_slice(head);
        raw
    }

    pub(crate) fn u8(&mut self) -> u8 {
        u8::from_le_bytes(self.number())
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.number())
    }

    pub(crate) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.number())
    }

    pub(crate) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.number())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Memory of 8-byte words spelled in 2 bytes each, so that a fuzzer finds pointers: a word below 0x100
/// is that number, one with its top bit set leads out of the kernel or to an odd address, any other is
/// a pointer into the same memory.
pub(crate) fn words(input: &[u8], base: u64) -> Vec<u8> {
    let count = (input.len() / 2).max(1) as u64;
    let mut memory = Vec::with_capacity(input.len() * 4);
    for raw in input.chunks_exact(2) {
        let short = u64::from(u16::from_le_bytes([raw[0], raw[1]]));
        let word = match short {
            0..0x100 => short,
            0x8000.. => (short << 48) | (base & 0xffff_ffff) | short,
            _ => base + (short - 0x100) % count * 8,
        };
        memory.extend(word.to_le_bytes());
    }
    memory
}

/// Reads from a block of bytes at `base`.
pub(crate) fn block(memory: &[u8], base: u64, at: u64, buf: &mut [u8]) -> Result<(), &'static str> {
    let start = at.checked_sub(base).and_then(|start| usize::try_from(start).ok());
    let bytes = start.and_then(|start| memory.get(start..start.checked_add(buf.len())?));
    buf.copy_from_slice(bytes.ok_or("not there")?);
    Ok(())
}
