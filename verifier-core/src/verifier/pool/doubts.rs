//! Whether Verifier could have recorded an outstanding allocation at all: "nothing leaked" is an answer only
//! if pool was tracked, for a driver that was loaded.

use super::driver_pool::DriverPool;
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::verifier::drivers::DriverState;
use crate::verifier::flags::Level;
use crate::verifier::settings::Settings;

/// True if the rule classes, which newer kernels use, include pool tracking: class n up to 32 is the flag of
/// bit n - 1.
fn by_rule_classes(kernel: &Kernel) -> bool {
    let classes = kernel.global("VfRuleClasses").ok();
    let classes = classes.and_then(|at| kernel.space().memory().read_u32(at).ok());
    classes.is_some_and(|classes| Level(classes).has(Level::POOL_TRACKING))
}

/// Why settings and drivers contradict an answer of `held` blocks (by the pages, the tree and the drivers'
/// counters). `is_named`: the caller asked for these drivers by name.
pub(super) fn doubts(
    kernel: &Kernel,
    settings: &Result<Settings, Error>,
    drivers: &[DriverPool],
    held: u64,
    is_named: bool,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let doubt = match settings {
        Ok(settings) => {
            problems.extend(settings.problems.iter().cloned());
            by_level(kernel, settings, held)
        }
        Err(error) => {
            let problem = Problem::from_error("whether pool tracking is on", error);
            Some(if held == 0 { problem.unknown() } else { problem })
        }
    };
    problems.extend(doubt.or_else(|| by_loads(drivers, held, is_named)));
    problems
}

fn by_level(kernel: &Kernel, settings: &Settings, held: u64) -> Option<Problem> {
    let Settings { address, level, statistics, .. } = settings;
    if level.has(Level::POOL_TRACKING) {
        return None;
    }
    if held > 0 && statistics.pool_allocations() == 0 {
        let why = format!("it is {level}, without pool tracking, but drivers hold {held} blocks");
        return Some(Problem::at("level", *address, why));
    }
    if held > 0 || statistics.pool_allocations() > 0 || by_rule_classes(kernel) {
        return None;
    }
    let why = match level.0 {
        0 => "Verifier is off, so nothing says what leaked".into(),
        _ => format!(
            "it is {level}: pool tracking ({:#x}) is off, so nothing says what leaked",
            Level::POOL_TRACKING
        ),
    };
    Some(Problem::at("level", *address, why).unknown())
}

/// A driver that was never loaded has not allocated anything that could have leaked.
fn by_loads(drivers: &[DriverPool], held: u64, is_named: bool) -> Option<Problem> {
    let was_loaded = |pool: &DriverPool| pool.driver.state() != DriverState::NeverLoaded;
    if held > 0 || drivers.iter().any(was_loaded) {
        return None;
    }
    Some(match (is_named, drivers) {
        // A name that is not configured is reported elsewhere.
        (true, []) => return None,
        (true, [pool, ..]) => {
            let why = "it was never loaded while it was configured, so nothing says what it leaks";
            Problem::new(pool.driver.name.clone(), why).unknown()
        }
        (false, []) => {
            let why = "it is empty, so nothing says what leaked";
            Problem::new("list of configured drivers", why).unknown()
        }
        (false, _) => {
            let why = "none was ever loaded, so nothing says what leaked";
            Problem::new("configured drivers", why).unknown()
        }
    })
}
