//! The two logs that are arrays of 16 in `.data`: bug checks that were suppressed, and bug checks that were worked
//! around. A record is words of a pointer's size, of which the first holds 32 bits. Source: the structures' facts,
//! section 4 (the strides of x86 are presumed there).

use crate::assembly::Assembly;

const SLOTS: u32 = 16;

/// A log of 16 records.
#[derive(Debug, Clone, Default)]
pub struct StaticLog {
    /// The index before the first record was written.
    pub index_before: u32,
    /// Records, oldest first: words of a pointer's size. More than 16 overwrite the first.
    pub records: Vec<Vec<u64>>,
}

impl StaticLog {
    /// Adds a record.
    pub fn push(&mut self, words: &[u64]) -> &mut Self {
        self.records.push(words.to_vec());
        self
    }

    /// Writes the log behind the variable `array`, whose index is `{array}Index`.
    pub(super) fn lay_out(&self, m: &mut Assembly, array: &str, words: usize) {
        let stride = words * m.layouts.pointer_size();
        let mut index = self.index_before;
        for record in &self.records {
            assert_eq!(record.len(), words, "words of a record of {array}");
            index = index.wrapping_add(1);
            let bytes: Vec<u8> = record.iter().flat_map(|&word| m.layouts.pointer(word)).collect();
            let slot = (index % SLOTS) as usize;
            m.patch(m.global(array) + (slot * stride) as u64, &bytes);
        }
        m.set_u32(&format!("{array}Index"), index);
    }
}
