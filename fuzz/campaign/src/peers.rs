//! The same damaged files, read by other programs.
