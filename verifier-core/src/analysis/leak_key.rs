//! What a leak has in common with the same leak of the next build and the next boot.

use std::fmt;
use std::sync::Arc;

/// Driver, function and tag of a leak: without addresses and offsets, which change with each boot and build.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeakKey {
    /// The driver's file name, in lower case.
    pub driver: Arc<str>,
    /// The function that allocated, `module!function` with the module in lower case; only the module if the
    /// function's name is unknown, and `None` if no frame is outside the kernel and Verifier.
    pub function: Option<Arc<str>>,
    /// The pool tag, without blanks at its end; `None` for contiguous memory.
    pub tag: Option<Arc<str>>,
}

impl LeakKey {
    /// The key of these names, in the case in which keys are compared.
    #[must_use]
    pub fn new(driver: &str, function: Option<&str>, tag: Option<&str>) -> Self {
        let function = function.map(|name| match name.split_once('!') {
            Some((module, function)) => format!("{}!{function}", module.to_lowercase()),
            None => name.to_lowercase(),
        });
        Self {
            driver: driver.to_lowercase().into(),
            function: function.map(Into::into),
            tag: tag.map(|tag| tag.trim_end().into()),
        }
    }
}

/// "leaky.sys, leaky!LeakyRead, tag Leak".
impl fmt::Display for LeakKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.driver)?;
        if let Some(function) = &self.function {
            write!(f, ", {function}")?;
        }
        match &self.tag {
            Some(tag) => write!(f, ", tag {tag}"),
            None => f.write_str(", contiguous memory"),
        }
    }
}
