//! Compares an image in memory with the module list and with the PDBs of other images.

use super::modules::stem;
use super::{Kernel, Module};
use crate::addr::PAGE_SIZE;
use crate::error::{Error, Problem};
use crate::symbols::PdbId;

impl Kernel {
    /// Reads the headers of a module's image and returns what does not fit in them. An absent page is not
    /// a contradiction.
    ///
    /// An image without readable headers, or with a damaged CodeView record, has no symbols. Only names are
    /// missing then, so it is a remark. A wrong size or the PDB of another image makes names wrong.
    #[must_use]
    pub fn image_problems(&self, module: usize) -> Vec<Problem> {
        let Some(image) = self.modules().loaded().get(module) else { return Vec::new() };
        let what = || format!("image of {}", image.name);
        let remark = |error: &Error| Problem::from_error(what(), error).remark();
        let headers = match self.image_headers(module) {
            Ok(headers) => headers,
            Err(error @ Error::Malformed { .. }) => return vec![remark(&error)],
            Err(_) => return Vec::new(),
        };
        let mut problems = Vec::new();
        let pages = |size: u32| u64::from(size).div_ceil(PAGE_SIZE);
        if pages(headers.size_of_image) != pages(image.size) {
            let (own, listed) = (headers.size_of_image, image.size);
            let why = format!("its header has a size of {own:#x}, the module list has {listed:#x}");
            problems.push(Problem::at(what(), image.base, why));
        }
        match headers.pdb_id(self.space().memory()) {
            Ok(id) => {
                if let Some(other) = self.twin(module, image, &id) {
                    let why = format!("its PDB is {id}, which is the PDB of {} too", other.name);
                    problems.push(Problem::at(what(), image.base, why));
                }
            }
            // An image need not have a record, so this error is about its headers.
            Err(error @ Error::Malformed { address, .. }) if address != image.base => {
                problems.push(remark(&error));
            }
            Err(_) => {}
        }
        problems
    }

    /// The module that has the PDB's name, if it has the same PDB as `image`, which has another name. A copy
    /// of a driver that writes crash dumps (`dump_disk.sys` of `disk.sys`) rightly has the driver's PDB.
    fn twin(&self, module: usize, image: &Module, id: &PdbId) -> Option<&Module> {
        let of_pdb = stem(&id.name).to_ascii_lowercase();
        if image.base == self.base() || stem(&image.name).to_ascii_lowercase().contains(&of_pdb) {
            return None;
        }
        let mut others = self.modules().loaded().iter().enumerate();
        let (index, other) = others.find(|(index, other)| {
            *index != module && stem(&other.name).eq_ignore_ascii_case(&of_pdb)
        })?;
        let same = self.image_headers(index).ok()?.pdb_id(self.space().memory()).ok()?;
        (same == *id).then_some(other)
    }
}
