//! The bytes of a PDB as the crate wants them, and streams that outlive their reader.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// The bytes of a file, owned: a vector, a mapping.
pub type Bytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Where in the file the pieces of a stream lie: offset and size.
pub(super) type Pieces = Vec<(u64, usize)>;

/// A file that reads as another in one stream.
pub(super) struct File {
    pub(super) bytes: Bytes,
    /// The pieces of a stream, and the bytes to give in their place.
    pub(super) replaced: Option<(Pieces, Bytes)>,
    /// The pieces of the view that was asked for last.
    pub(super) last: Arc<Mutex<Pieces>>,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("File")
    }
}

/// A stream: in place where its pages follow each other, which they mostly do, else copied.
#[derive(Clone)]
pub(super) struct Piece {
    bytes: Bytes,
    range: Range<usize>,
}

impl Piece {
    pub(super) fn whole(bytes: Vec<u8>) -> Self {
        Self { range: 0..bytes.len(), bytes: Arc::new(bytes) }
    }

    /// The bytes of a stream that the crate gave: those of the file, or a copy where the stream does
    /// not lie in the file in one piece.
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

    /// A part of it, cut at its end.
    pub(super) fn part(&self, range: Range<usize>) -> Self {
        let at = |offset: usize| self.range.start.saturating_add(offset).min(self.range.end);
        Self { bytes: Arc::clone(&self.bytes), range: at(range.start)..at(range.end) }
    }

    /// The bytes that it is a part of, and where it begins in them.
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
