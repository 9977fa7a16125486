//! The pages of the kernel's image that can hold globals.

use crate::addr::{PAGE_SIZE, Va};
use crate::bytes::le;
use crate::kernel::{Kernel, MAX_IMAGE};

/// Pages of the kernel's image that are not code and are in the dump.
pub(super) struct ImageData {
    pages: Vec<(Va, Box<[u8]>)>,
    pointer: usize,
}

impl ImageData {
    pub(super) fn read(kernel: &Kernel) -> Self {
        let pointer = kernel.space().pointer_size();
        let Some(module) = kernel.kernel_module() else {
            return Self { pages: Vec::new(), pointer };
        };
        let size = kernel.modules().loaded().get(module).map_or(0, |image| u64::from(image.size));
        let end = size.min(MAX_IMAGE);
        let sections = kernel
            .image_headers(module)
            .and_then(|headers| headers.sections(kernel.space().memory()))
            .unwrap_or_default();
        // Without headers, or if they have no writable section, all of the image is read.
        let has_data = sections.iter().any(|section| section.is_writable && !section.is_executable);
        let is_data = |page: u64| {
            sections.iter().filter(|section| !section.is_executable).any(|section| {
                let start = u64::from(section.start.0);
                start < page + PAGE_SIZE && page < start + u64::from(section.size)
            })
        };
        let mut pages = Vec::new();
        let offsets = (0..end).step_by(PAGE_SIZE as usize);
        for offset in offsets.filter(|&offset| !has_data || is_data(offset)) {
            if kernel.is_stopped() {
                break;
            }
            let at = kernel.base().add(offset);
            let mut bytes = vec![0u8; PAGE_SIZE as usize].into_boxed_slice();
            if kernel.space().read(at, &mut bytes).is_ok() {
                pages.push((at, bytes));
            }
        }
        Self { pages, pointer }
    }

    /// True if no page could be read.
    pub(super) fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// Every pointer-aligned address with the pointer-sized number there, in order.
    pub(super) fn words(&self) -> impl Iterator<Item = (Va, u64)> {
        self.numbers(self.pointer)
    }

    /// Every address that is a multiple of `size` bytes, with the number of that size there, in order.
    pub(super) fn numbers(&self, size: usize) -> impl Iterator<Item = (Va, u64)> {
        self.pages.iter().flat_map(move |(page, bytes)| {
            (0..bytes.len() / size).filter_map(move |i| {
                Some((page.add((i * size) as u64), le(bytes, i * size, size)?))
            })
        })
    }
}
