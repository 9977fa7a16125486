//! Memory for a reader that must stay on one thread.

use std::marker::PhantomData;
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::{Memory, Residence};
use crate::addr::Address;
use crate::error::{Error, Fault, Reason};

/// Memory for a reader that is not `Send` or that needs `&mut`: the reader gets its own thread.
///
/// Many readers keep a position in their file, a cache in a `RefCell` or pages in an `Rc`, and a lock cannot
/// make such a reader `Sync`. `OnThread` creates the reader on the thread where it stays. Each read sends a
/// message to that thread and copies the answer back, which takes some microseconds. If the memory does not
/// change, [`PageTables::cached`](super::PageTables::cached) avoids these round trips for page tables.
/// Dropping the memory drops the reader and ends its thread.
///
/// A reader that is `Send` and reads through `&self` does not need this: see [`FromFn`](super::FromFn).
///
/// ```
/// use std::{cell::Cell, rc::Rc};
/// use verifier_core::{Pa, memory::{Memory, OnThread}};
///
/// let memory = OnThread::new(|| {
///     let reads = Rc::new(Cell::new(0)); // not Send
///     Ok::<_, String>(move |at: Pa, buf: &mut [u8]| {
///         reads.set(reads.get() + 1);
///         if at.0 >= 0x1000 { return Err("past the end".to_string()); }
///         buf.fill(reads.get());
///         Ok(())
///     })
/// })?;
/// assert_eq!(memory.read_u16(Pa(0)).unwrap(), 0x0101);
/// assert_eq!(memory.read_u16(Pa(0)).unwrap(), 0x0202);
/// assert!(memory.read_u8(Pa(0x1000)).unwrap_err().to_string().ends_with("past the end"));
/// # Ok::<(), verifier_core::Error>(())
/// ```
pub struct OnThread<A> {
    /// `None` only during the drop: the thread ends when no sender is left.
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    address: PhantomData<fn(A)>,
}

struct Request {
    at: u64,
    buf: Vec<u8>,
    /// Receives the filled `buf`, or the reader's error.
    answer: SyncSender<Result<Vec<u8>, String>>,
}

impl<A: Address> OnThread<A> {
    /// Memory that is read by the closure that `open` returns. `open` runs on the reader's thread.
    ///
    /// The closure gets the same arguments as that of a [`FromFn`](super::FromFn), one request after the
    /// other.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with the error of `open`, or if the system cannot start a thread.
    pub fn new<R, F, E>(open: impl FnOnce() -> Result<R, E> + Send + 'static) -> Result<Self, Error>
    where
        R: FnMut(A, &mut [u8]) -> Result<(), F> + 'static,
        F: ToString,
        E: ToString,
    {
        let failed = |why: String| Error::Unsupported {
            what: format!("the reader cannot be created: {why}"),
        };
        let (requests, inbox) = channel();
        let (opened, outcome) = sync_channel(1);
        let thread = Builder::new().name("memory reader".into());
        let thread = thread.spawn(move || match open() {
            Ok(mut read) => {
                let _ = opened.send(Ok(()));
                for Request { at, mut buf, answer } in inbox {
                    let read = read(A::from_raw(at), &mut buf).map_err(|error| error.to_string());
                    // The caller may be gone.
                    let _ = answer.send(read.map(|()| buf));
                }
            }
            Err(error) => {
                let _ = opened.send(Err(error.to_string()));
            }
        });
        let thread = thread.map_err(|why| failed(why.to_string()))?;
        match outcome.recv() {
            Ok(opened) => opened.map_err(failed)?,
            Err(_) => return Err(failed("it panicked".into())),
        }
        Ok(Self { requests: Some(requests), thread: Some(thread), address: PhantomData })
    }
}

impl<A: Address> Memory<A> for OnThread<A> {
    fn read_in_page(&self, at: A, buf: &mut [u8]) -> Result<Residence, Fault> {
        let (answer, outcome) = sync_channel(1);
        let request = Request { at: at.raw(), buf: vec![0; buf.len()], answer };
        let sent = self.requests.as_ref().is_some_and(|requests| requests.send(request).is_ok());
        let read = match outcome.recv() {
            Ok(read) if sent => read,
            _ => Err("it panicked and its thread has ended".into()),
        };
        match read {
            Ok(bytes) => {
                buf.copy_from_slice(&bytes);
                Ok(Residence::Valid)
            }
            Err(why) => Err(Fault {
                space: A::SPACE,
                address: at.raw(),
                done: 0,
                reason: Reason::Reader(why.into()),
            }),
        }
    }
}

impl<A> Drop for OnThread<A> {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // The caller already got the panic as an error.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::addr::{PAGE_SIZE, Pa};

    /// A reader that is not `Send`, returns the low byte of each address, and fails at page 2.
    fn memory(dropped: &Arc<AtomicBool>) -> OnThread<Pa> {
        struct CountingReader(Rc<Cell<u64>>, Arc<AtomicBool>);
        impl Drop for CountingReader {
            fn drop(&mut self) {
                self.1.store(true, Ordering::SeqCst);
            }
        }
        let dropped = Arc::clone(dropped);
        OnThread::new(move || {
            let reads = CountingReader(Rc::default(), dropped);
            Ok::<_, String>(move |at: Pa, buf: &mut [u8]| {
                reads.0.set(reads.0.get() + 1);
                assert!(at.0 < 3 * PAGE_SIZE, "page 3");
                if at.0 >= 2 * PAGE_SIZE {
                    return Err("page 2 is absent");
                }
                for (i, byte) in buf.iter_mut().enumerate() {
                    *byte = (at.0 as usize + i) as u8;
                }
                Ok(())
            })
        })
        .unwrap()
    }

    #[test]
    fn many_threads_read_through_one() {
        let dropped = Arc::default();
        let memory = memory(&dropped);
        std::thread::scope(|scope| {
            for start in 0..4u64 {
                let memory = &memory;
                scope.spawn(move || {
                    for at in (start..PAGE_SIZE + 200).step_by(97) {
                        let mut buf = [0; 300];
                        memory.read(Pa(at), &mut buf).unwrap();
                        assert!(buf.iter().enumerate().all(|(i, &b)| b == (at as usize + i) as u8));
                    }
                });
            }
        });
        let fault = memory.read(Pa(2 * PAGE_SIZE - 3), &mut [0; 8]).unwrap_err();
        assert_eq!((fault.address, fault.done), (2 * PAGE_SIZE, 3));
        assert!(fault.to_string().contains("page 2 is absent"), "{fault}");
        assert!(!dropped.load(Ordering::SeqCst));
        drop(memory);
        assert!(dropped.load(Ordering::SeqCst), "the reader is dropped with its memory");
    }

    #[test]
    fn a_panic_of_the_reader_is_reported() {
        let memory = memory(&Arc::default());
        for _ in 0..2 {
            let fault = memory.read_u8(Pa(3 * PAGE_SIZE)).unwrap_err();
            assert!(fault.to_string().contains("panicked"), "{fault}");
        }
    }

    #[test]
    fn a_reader_that_cannot_be_created_is_reported() {
        type Read = fn(Pa, &mut [u8]) -> Result<(), String>;
        let failed = OnThread::<Pa>::new(|| Err::<Read, _>("no such file")).err().unwrap();
        assert_eq!(failed.to_string(), "the reader cannot be created: no such file");
        let failed = OnThread::<Pa>::new(|| -> Result<Read, String> { panic!("no") }).err();
        assert_eq!(failed.unwrap().to_string(), "the reader cannot be created: it panicked");
    }
}
