//! The bytes of a PDB in the form that the crate reads, and streams that outlive their reader.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Error;
use crate::symbols;

/// The bytes of a file, owned: a vector, a mapping.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The pieces of a stream in the file: offset and size.
pub(super) type Pieces = Vec<(u64, usize)>;

/// A file in which one stream may be replaced.
pub(super) struct File {
    pub(super) bytes: Bytes,
    /// The pieces of a stream, and the bytes to return in their place.
    pub(super) replaced: Option<(Pieces, Bytes)>,
    /// The pieces of the last view that was requested.
    pub(super) last: Arc<Mutex<Pieces>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("File")
    }
}

/// A stream: borrowed from the file if its pages follow each other, as they mostly do, otherwise a copy.
#[derive(Clone)]
pub(super) struct Piece {
    bytes: Bytes,
    range: Range<usize>,
}

impl Piece {
    pub(super) fn whole(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), bytes: Arc::new(bytes) }
    }

    /// The bytes of a stream that the crate returned: those of the file, or a copy if the stream is not in
    /// one piece in the file.
    pub(super) fn of(file: &Bytes, stream: &[u8]) -> Self {
        let whole = (**file).as_ref();
        let start = (stream.as_ptr() as usize).checked_sub(whole.as_ptr() as usize);
        let range = start.and_then(|start| Some(start..start.checked_add(stream.len())?));
        match range.filter(|range| range.end <= whole.len()) {
            Some(range) => Self { bytes: Arc::clone(file), range },
            None => Self::whole(stream.to_vec()),
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        (*self.bytes).as_ref().get(self.range.clone()).unwrap_or_default()
    }

    /// A part of it; a range past the end is cut.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let at = |offset: usize| self.range.start.saturating_add(offset).min(self.range.end);
        Self { bytes: Arc::clone(&self.bytes), range: at(range.start)..at(range.end) }
    }

    /// The bytes that contain it, and its offset in them.
    pub(super) fn into_bytes(self) -> (Bytes, usize) {
        (self.bytes, self.range.start)
    }
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Piece").field(&self.range).finish()
    }
}

impl pdb::SourceView<'static> for Piece {
    fn as_slice(&self) -> &[u8] {
        self.as_slice()
    }
}

impl pdb::Source<'static> for File {
    fn view(
        &mut self,
        slices: &[pdb::SourceSlice],
    ) -> Result<Box<dyn pdb::SourceView<'static>>, io::Error> {
        let file = (*self.bytes).as_ref();
        let total = slices.iter().try_fold(0usize, |sum, slice| sum.checked_add(slice.size));
        let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
        if total.is_none_or(|total| total > file.len()) {
            return Err(short());
        }
        let pieces: Pieces = slices.iter().map(|slice| (slice.offset, slice.size)).collect();
        if let Some((replaced, by)) = &self.replaced
            && *replaced == pieces
        {
            let range = 0..(**by).as_ref().len();
            return Ok(Box::new(Piece { bytes: Arc::clone(by), range }));
        }
        let range = |&(offset, size): &(u64, usize)| {
            let start = usize::try_from(offset).map_err(|_| short())?;
            let end = start.checked_add(size).filter(|&end| end <= file.len());
            Ok::<_, io::Error>(start..end.ok_or_else(short)?)
        };
        let piece = match &*pieces {
            [piece] => Piece { bytes: Arc::clone(&self.bytes), range: range(piece)? },
            _ => {
                let mut bytes = Vec::with_capacity(total.unwrap_or(0));
                for piece in &pieces {
                    bytes.extend_from_slice(file.get(range(piece)?).ok_or_else(short)?);
                }
                Piece::whole(bytes)
            }
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = pieces;
        Ok(Box::new(piece))
    }
}

pub(super) fn open(bytes: &Bytes) -> pdb::Result<pdb::PDB<'static, File>> {
    pdb::PDB::open(File { bytes: Arc::clone(bytes), replaced: None, last: Arc::default() })
}

/// Runs `work` and turns the crate's errors and panics into this library's errors.
pub(super) fn guard<T>(work: impl FnOnce() -> pdb::Result<T>) -> Result<T, Error> {
    let refuse = |error: pdb::Error| Error::Symbols { kind: "PDB", why: error.to_string() };
    symbols::guard("PDB", work)?.map_err(refuse)
}
