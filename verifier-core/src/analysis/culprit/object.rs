//! Objects of the kernel that parameters point to: driver and device objects, IRPs, threads, processes, and
//! the tracking structure of locked pages.
//!
//! `_DRIVER_OBJECT`, `_DEVICE_OBJECT`, `_IRP` and `_IO_STACK_LOCATION` are in wdm.h, so drivers are compiled
//! for their layout: it is the same in all kernels of one pointer width. Each of the first three says in its
//! first field what it is. The other structures differ between builds and are looked up by name.

use super::lead::{CodeSite, Lead, LeadsBy, file_name};
use crate::addr::Va;
use crate::bytes::le;
use crate::kernel::{Kernel, read_unicode_string};
use crate::types::StackField;
use crate::verifier::{ParameterKind, is_kernel_or_verifier, major_function};

/// `IO_TYPE_DEVICE`, `IO_TYPE_DRIVER` and `IO_TYPE_IRP`.
const DEVICE: u16 = 3;
const DRIVER: u16 = 4;
const IRP: u16 = 6;

/// Bytes that are read of a structure whose size the symbols give; those here have a few hundred to a few
/// thousand.
const MAX_STRUCTURE: u64 = 0x4000;

/// Bytes of a `_LOCK_TRACKER`, if its type is unknown: 0x90 to 0xc0 in 64-bit kernels.
const LOCK_TRACKER: u64 = 0xc0;

/// Offsets of fields for one pointer width.
struct Offsets {
    /// `_DRIVER_OBJECT.DriverStart`, `.DriverName`.
    driver_start: u64,
    driver_name: u64,
    /// `_IRP.StackCount`; `CurrentLocation` is the next byte.
    stack_count: u64,
    /// `_IRP.Tail.Overlay.CurrentStackLocation`.
    current_stack: u64,
    /// `_IO_STACK_LOCATION.DeviceObject`.
    stack_device: u64,
}

/// `_DEVICE_OBJECT.DriverObject`, for both widths.
const DEVICE_DRIVER: u64 = 8;

const WIDE: Offsets = Offsets {
    driver_start: 0x18,
    driver_name: 0x38,
    stack_count: 0x42,
    current_stack: 0xb8,
    stack_device: 0x28,
};
const NARROW: Offsets = Offsets {
    driver_start: 0xc,
    driver_name: 0x1c,
    stack_count: 0x22,
    current_stack: 0x60,
    stack_device: 0x14,
};

fn offsets(kernel: &Kernel) -> &'static Offsets {
    if kernel.space().pointer_size() == 4 { &NARROW } else { &WIDE }
}

/// A driver by its `_DRIVER_OBJECT`.
struct NamedDriver {
    /// `DriverName`, such as `\Driver\leaky`; `None` if it cannot be read.
    object_name: Option<String>,
    /// The file name of its image; else the last part of the object's name.
    name: String,
}

impl NamedDriver {
    fn text(&self) -> String {
        match &self.object_name {
            Some(object) if file_name(object) != self.name => format!("{object} ({})", self.name),
            Some(object) => object.clone(),
            None => self.name.clone(),
        }
    }
}

/// What the object at `at` says; nothing for kinds that are not objects.
pub(super) fn look_up(kernel: &Kernel, at: Va, kind: ParameterKind) -> Result<Lead, String> {
    let by = |driver: NamedDriver, text, by| Lead {
        text: Some(text),
        driver: Some((driver.name, by)),
        code: None,
    };
    let said = |text| Lead { text: Some(text), ..Lead::default() };
    Ok(match kind {
        ParameterKind::DriverObject => {
            let driver = driver_object(kernel, at)?;
            let text = driver.text();
            by(driver, text, LeadsBy::Object)
        }
        ParameterKind::DeviceObject => {
            let driver = device_object(kernel, at)?;
            let text = format!("of {}", driver.text());
            by(driver, text, LeadsBy::Object)
        }
        ParameterKind::Irp => match irp(kernel, at)? {
            (text, Some(driver)) => {
                let text = format!("{text}, at {}", driver.text());
                by(driver, text, LeadsBy::Irp)
            }
            (text, None) => said(text),
        },
        ParameterKind::Thread => said(thread(kernel, at)?),
        ParameterKind::Process => said(process(kernel, at)?),
        ParameterKind::LockedPages => locked_pages(kernel, at)?,
        _ => Lead::default(),
    })
}

/// The pointer at `at`, or why `what` cannot be read.
fn pointer(kernel: &Kernel, at: Va, what: &str) -> Result<Va, String> {
    kernel.space().read_pointer(at).map_err(|fault| format!("{what}: {fault}"))
}

/// Checks the first field of the structure at `at`.
fn expect_type(kernel: &Kernel, at: Va, expected: u16, what: &str) -> Result<(), String> {
    let found = kernel.space().memory().read_u16(at);
    let found = found.map_err(|fault| format!("{what}: {fault}"))?;
    if found == expected {
        return Ok(());
    }
    Err(format!("there is no {what}: its Type is {found:#x}, not {expected}"))
}

fn driver_object(kernel: &Kernel, at: Va) -> Result<NamedDriver, String> {
    expect_type(kernel, at, DRIVER, "driver object")?;
    let offsets = offsets(kernel);
    let object_name =
        read_unicode_string(kernel.space(), at.add(offsets.driver_name), kernel.limits());
    let start = pointer(kernel, at.add(offsets.driver_start), "DriverStart");
    let image = start.as_ref().ok().and_then(|&start| {
        let loaded = kernel.modules().find(start).map(|(_, module)| module.name.clone());
        loaded.or_else(|| Some(kernel.modules().find_unloaded(start)?.name.clone()))
    });
    let object_name = object_name.map_err(|error| error.to_string());
    let last_part = || object_name.as_ref().ok().map(|name| file_name(name).to_owned());
    let name = image.or_else(last_part).filter(|name| !name.is_empty());
    match (name, object_name) {
        (Some(name), object_name) => Ok(NamedDriver { object_name: object_name.ok(), name }),
        (None, Err(why)) => Err(format!("DriverName: {why}")),
        (None, Ok(_)) => Err("the driver object has no name".into()),
    }
}

fn device_object(kernel: &Kernel, at: Va) -> Result<NamedDriver, String> {
    expect_type(kernel, at, DEVICE, "device object")?;
    let driver = pointer(kernel, at.add(DEVICE_DRIVER), "DriverObject of the device object")?;
    driver_object(kernel, driver)
}

/// The major function of an IRP and the driver whose device object it is at. A current location outside the
/// stack means that the IRP was not sent yet, or is completed.
fn irp(kernel: &Kernel, at: Va) -> Result<(String, Option<NamedDriver>), String> {
    expect_type(kernel, at, IRP, "IRP")?;
    let offsets = offsets(kernel);
    let byte = |offset| {
        let read = kernel.space().memory().read_u8(at.add(offset));
        read.map_err(|fault| format!("IRP: {fault}"))
    };
    let (count, current) = (byte(offsets.stack_count)?, byte(offsets.stack_count + 1)?);
    if current == 0 || current > count {
        return Ok(("not sent to a driver, or completed".into(), None));
    }
    let location = pointer(kernel, at.add(offsets.current_stack), "current stack location")?;
    let major = kernel.space().memory().read_u8(location);
    let major = major.map_err(|fault| format!("current stack location: {fault}"))?;
    let text = major_function(major.into())
        .map_or_else(|| format!("major function {major:#x}"), String::from);
    let device = pointer(kernel, location.add(offsets.stack_device), "DeviceObject of the IRP")?;
    if device.is_null() {
        return Ok((text, None));
    }
    // The IRP says what it is even if its device object cannot be read.
    Ok((text, device_object(kernel, device).ok()))
}

/// A number of a structure that the kernel's symbols describe.
fn number(kernel: &Kernel, at: Va, name: &str, path: &str) -> Result<u64, String> {
    let types = kernel.types().map_err(|error| error.to_string())?;
    let mut field = types.field(name, path).map_err(|error| error.to_string())?;
    let bytes = field.shape.size().filter(|&bytes| bytes <= 8).unwrap_or(8) as usize;
    let mut record = [0u8; 8];
    let record = record.get_mut(..bytes).unwrap_or_default();
    let read = kernel.space().read(at.add(field.offset), record);
    read.map_err(|fault| format!("{name}.{path}: {fault}"))?;
    field.offset = 0;
    field.get(record).ok_or_else(|| format!("{name}.{path} is not a number"))
}

fn thread(kernel: &Kernel, at: Va) -> Result<String, String> {
    let thread = number(kernel, at, "_ETHREAD", "Cid.UniqueThread")?;
    let process = number(kernel, at, "_ETHREAD", "Cid.UniqueProcess")?;
    Ok(format!("thread {thread:#x} of process {process:#x}"))
}

fn process(kernel: &Kernel, at: Va) -> Result<String, String> {
    let id = number(kernel, at, "_EPROCESS", "UniqueProcessId")?;
    let name = image_file_name(kernel, at);
    Ok(name.map_or_else(|| format!("process {id:#x}"), |name| format!("process {id:#x}, {name}")))
}

/// `ImageFileName`: 15 characters of the file's name.
fn image_file_name(kernel: &Kernel, at: Va) -> Option<String> {
    let field = kernel.types().ok()?.field("_EPROCESS", "ImageFileName").ok()?;
    let mut bytes = [0u8; 15];
    kernel.space().read(at.add(field.offset), &mut bytes).ok()?;
    let text: Vec<u8> = bytes.into_iter().take_while(|&byte| byte != 0).collect();
    let is_text = !text.is_empty() && text.iter().all(|byte| (0x20..0x7f).contains(byte));
    is_text.then(|| String::from_utf8_lossy(&text).into_owned())
}

/// The code that locked the pages: 0xCB, from Vista on. The tracking structure has the stack; if the kernel's
/// types do not say where, the first pointer in it that leads to a driver's code is taken.
fn locked_pages(kernel: &Kernel, at: Va) -> Result<Lead, String> {
    let types = kernel.types().ok();
    let stack =
        types.and_then(|types| StackField::resolve(types, "_LOCK_TRACKER", "StackTrace").ok());
    let size = types.and_then(|types| types.size_of("_LOCK_TRACKER").ok());
    let mut record = vec![0u8; size.unwrap_or(LOCK_TRACKER).min(MAX_STRUCTURE) as usize];
    let read = kernel.space().read(at, &mut record);
    read.map_err(|fault| format!("tracking structure: {fault}"))?;
    let pointer_size = kernel.space().pointer_size();
    let frames: Vec<Va> = match stack {
        Some(stack) => stack.frames(&record).collect(),
        None => {
            record.chunks(pointer_size).filter_map(|at| le(at, 0, pointer_size)).map(Va).collect()
        }
    };
    let driver = |frame: Va| {
        let loaded = kernel.modules().find(frame).map(|(_, module)| module.name.clone());
        loaded.or_else(|| Some(kernel.modules().find_unloaded(frame)?.name.clone()))
    };
    let mut callers = frames.into_iter().filter(|&frame| !is_kernel_or_verifier(kernel, frame));
    let found = callers.find_map(|frame| Some((frame, driver(frame)?)));
    let (caller, driver) =
        found.ok_or("the stack that locked the pages has no frame of a driver")?;
    Ok(Lead {
        text: None,
        driver: Some((driver, LeadsBy::LockedPages)),
        code: Some(CodeSite::new(caller, true)),
    })
}
