//! Addresses that cannot be mixed up: physical, virtual, page frame, relative.
//!
//! Each is a plain number in a named wrapper. Arithmetic wraps, because a hostile dump can hold any value. A
//! wrapped address then fails at the next read, and that read reports it. 32-bit kernels use the same types
//! with the upper half zero.

use core::fmt;

/// Bytes in a page of every kernel this library reads.
pub const PAGE_SIZE: u64 = 0x1000;

/// Which address space an address or a fault belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Space {
    /// Physical memory.
    Physical,
    /// The kernel's virtual memory.
    Virtual,
}

impl fmt::Display for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Space::Physical => "physical",
            Space::Virtual => "virtual",
        })
    }
}

/// An address that [`Memory`](crate::memory::Memory) can be read at: [`Pa`] or [`Va`].
pub trait Address: Copy + Send + Sync + 'static {
    /// The space that the address belongs to.
    const SPACE: Space;
    /// The address made from its number.
    fn from_raw(raw: u64) -> Self;
    /// The number.
    fn raw(self) -> u64;
}

macro_rules! address {
    ($(#[$doc:meta])* $name:ident, $space:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u64);

        impl $name {
            /// The address `bytes` higher, wrapping at 2^64.
            #[must_use]
            pub const fn add(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }
            /// The address `bytes` lower, wrapping at zero.
            #[must_use]
            pub const fn sub(self, bytes: u64) -> Self {
                Self(self.0.wrapping_sub(bytes))
            }
            /// The start of the 4 KiB page that contains the address.
            #[must_use]
            pub const fn page(self) -> Self {
                Self(self.0 & !(PAGE_SIZE - 1))
            }
            /// The offset of the address in its page.
            #[must_use]
            pub const fn page_offset(self) -> u64 {
                self.0 & (PAGE_SIZE - 1)
            }
            /// True for the null address.
            #[must_use]
            pub const fn is_null(self) -> bool {
                self.0 == 0
            }
        }

        impl Address for $name {
            const SPACE: Space = $space;
            fn from_raw(raw: u64) -> Self {
                Self(raw)
            }
            fn raw(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:#x})"), self.0)
            }
        }
        impl From<u64> for $name {
            fn from(raw: u64) -> Self {
                Self(raw)
            }
        }
        impl From<$name> for u64 {
            fn from(address: $name) -> u64 {
                address.0
            }
        }
    };
}

address!(
    /// A physical address.
    Pa,
    Space::Physical
);
address!(
    /// A virtual address of the kernel.
    Va,
    Space::Virtual
);

impl Va {
    /// True if the block of `size` bytes at `start` holds the address. An empty block holds its own start.
    #[must_use]
    pub const fn is_in(self, start: Va, size: u64) -> bool {
        let size = if size == 0 { 1 } else { size };
        self.0 >= start.0 && self.0 - start.0 < size
    }
}

impl Pa {
    /// The page frame that contains the address.
    #[must_use]
    pub const fn pfn(self) -> Pfn {
        Pfn(self.0 / PAGE_SIZE)
    }
}

/// A page frame number: a physical address divided by 4 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn(pub u64);

impl fmt::Display for Pfn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// An offset from the base of a loaded image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rva(pub u32);

impl fmt::Display for Rva {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
