//! The two logs that are arrays of 16 records in `.data`: suppressed bug checks, and bug checks with a
//! workaround. A record is words of a pointer's size; only 32 bits of the first word are used. Source: public
//! descriptions; the strides on x86 are presumed.

use crate::assembly::Assembly;

const SLOTS: u32 = 16;

/// A log of 16 records.
#[derive(Debug, Clone, Default)]
pub struct StaticLog {
    /// The index before the first record was written.
    pub index_before: u32,
    /// Records, oldest first: words of a pointer's size. If there are more than 16, they overwrite the first
    /// ones.
    pub records: Vec<Vec<u64>>,
}

impl StaticLog {
    /// Adds a record.
    pub fn push(&mut self, words: &[u64]) -> &mut Self {
        self.records.push(words.to_vec());
        self
    }

    /// Writes the log to the variable `array`, whose index is `{array}Index`.
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
