//! 0xE6: violations that DMA checking finds. For five subcodes, parameter 2 says more.
//!
//! Source: the reference of 0xE6 in the Windows driver documentation.

use super::{NONE, Violation, v};

const ADAPTER: &str = "DMA adapter";
const INTERNAL: &str = "Verifier's own data";
const MORE: &str = "violation";
const START: &str = "start of the buffer";
const LENGTH: &str = "length of the buffer";
const MDL: &str = "MDL address";

/// A violation whose second parameter is `detail`.
const fn d(
    subcode: u64,
    detail: u64,
    parameters: [&'static str; 2],
    meaning: &'static str,
) -> Violation {
    let [third, fourth] = parameters;
    Violation { subcode, detail: Some(detail), parameters: [MORE, third, fourth], meaning }
}

#[rustfmt::skip]
pub(super) const VIOLATIONS: &[Violation] = &[
    d(0x0, 0x1, ["bytes left in the MDL", "bytes left to flush"], "a flush goes beyond the map registers"),
    d(0x0, 0x2, ["map registers needed", "contiguous map registers"], "there are not enough contiguous map registers"),
    v(0x0, [MORE, NONE, NONE], "miscellaneous DMA error"),
    v(0x1, [NONE, NONE, NONE], "the performance counter went back"),
    v(0x2, [NONE, NONE, NONE], "the performance counter went on too fast"),
    v(0x3, ["common buffers too many", NONE, NONE], "a driver freed more common buffers than it has"),
    v(0x4, ["adapter channels too many", NONE, NONE], "a driver freed more adapter channels than it has"),
    v(0x5, ["map registers too many", NONE, NONE], "a driver freed more map registers than it has"),
    v(0x6, ["scatter/gather lists allocated", "scatter/gather lists freed", NONE], "a driver freed more scatter/gather lists than it has"),
    v(0x7, [ADAPTER, "common buffers outstanding", INTERNAL], "an adapter was released before its common buffers"),
    v(0x8, [ADAPTER, "adapter channels outstanding", INTERNAL], "an adapter was released before its adapter channels"),
    v(0x9, [ADAPTER, "map registers outstanding", INTERNAL], "an adapter was released before its map registers"),
    v(0xa, [ADAPTER, "scatter/gather lists outstanding", INTERNAL], "an adapter was released before its scatter/gather lists"),
    v(0xb, ["adapter channels outstanding", NONE, NONE], "an adapter has more than one adapter channel"),
    v(0xc, ["map registers asked for", "most map registers", NONE], "a driver asked for too many map registers at once"),
    v(0xd, ["bytes mapped", "most bytes that can be mapped", NONE], "a driver did not flush its adapter buffers"),
    v(0xe, [MDL, NONE, NONE], "DMA into a paged buffer that is not locked"),
    d(0xf, 0x1, [LENGTH, START], "the tag before a DMA buffer was overwritten"),
    d(0xf, 0x2, [LENGTH, START], "the tag after a DMA buffer was overwritten"),
    d(0xf, 0x3, ["address overwritten", NONE], "a free map register was overwritten"),
    d(0xf, 0x4, [START, "address overwritten"], "the padding before a DMA buffer was overwritten"),
    d(0xf, 0x5, [START, "address overwritten"], "the padding after a DMA buffer was overwritten"),
    v(0xf, [MORE, NONE, NONE], "driver or hardware wrote outside a DMA buffer"),
    v(0x10, ["map registers mapped", NONE, NONE], "map registers were freed while mapped"),
    v(0x11, ["reference count", ADAPTER, INTERNAL], "an adapter has too many references"),
    d(0x13, 0x1, ["expected IRQL", "current IRQL"], "a DMA routine was called at another IRQL than it wants"),
    d(0x13, 0x2, ["highest IRQL", "current IRQL"], "a DMA routine was called above the IRQL that it allows"),
    v(0x13, [MORE, NONE, NONE], "a DMA routine was called at a wrong IRQL"),
    v(0x14, [NONE, NONE, NONE], "a DMA routine was called at a wrong IRQL"),
    v(0x15, ["map registers allocated", "most map registers", NONE], "a driver asked for too many map registers"),
    v(0x16, ["address of the map register", INTERNAL, NONE], "a buffer was flushed that is not mapped"),
    v(0x18, [ADAPTER, INTERNAL, NONE], "an adapter was used that is released"),
    v(0x19, [NONE, NONE, NONE], "a null adapter was passed"),
    v(0x1b, ["address", MDL, NONE], "an address is outside its MDL"),
    v(0x1d, [START, "end of the buffer", "address that is mapped"], "an address range was mapped twice"),
    v(0x1e, [NONE, NONE, NONE], "HalGetAdapter is obsolete: IoGetDmaAdapter is wanted"),
    d(0x1f, 0x1, [START, MDL], "a DMA buffer begins before its first MDL"),
    d(0x1f, 0x2, [START, MDL], "a DMA buffer begins after its first MDL"),
    d(0x1f, 0x3, [MDL, "length of the transfer"], "a transfer is longer than its MDL and crosses a page"),
    d(0x1f, 0x4, [START, MDL], "the address of a DMA buffer is not aligned to the cache"),
    d(0x1f, 0x5, [LENGTH, MDL], "the length of a DMA buffer is not aligned to the cache"),
    v(0x1f, [MORE, NONE, NONE], "a bad DMA buffer"),
    v(0x20, ["map register base", START, MDL], "a map register was flushed that is not mapped"),
    v(0x21, [INTERNAL, NONE, NONE], "a buffer of no bytes was mapped"),
    v(0x22, [MDL, NONE, NONE], "a DMA buffer is not mapped in system space"),
    d(0x23, 0x0, ["controller", "channel"], "a channel was flushed that is neither completed nor canceled"),
    v(0x23, [MORE, NONE, NONE], "a channel was flushed that is neither completed nor canceled"),
    v(0x24, ["bytes not accounted for", NONE, NONE], "a buffer is shorter than the length asked for"),
    v(0x25, [NONE, NONE, NONE], "a device description of an unknown version"),
    v(0x26, ["device object", "fault information (mostly the physical address)", "fault type of the hardware"], "the IOMMU found a DMA that is not allowed"),
];
