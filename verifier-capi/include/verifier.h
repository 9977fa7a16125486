/* Windows Driver Verifier's data out of crash dumps and any other memory.
 *
 * Made by cbindgen from verifier-capi/src; do not edit.
 *
 * Handles. verifier_open_file and verifier_open_reader make a session, the functions that take a
 * VerifierView ** make a view of it: a list of records, read whole. Where they fail, the handle is
 * NULL. A view lives on without its session. Free each with its own function, once; freeing NULL does
 * nothing.
 *
 * Records. The functions that end in _at fill a struct of the caller's. The strings in it are UTF-8,
 * end with NUL, belong to the view, and live until that is freed. A NUL inside a string of the dump
 * is given as U+FFFD; other control characters stay, so mind what is printed to a terminal.
 *
 * Errors. Every function that can fail returns a VerifierStatus. What failed, where and why is told
 * by verifier_last_error until the next call that fails on the same thread. A record that cannot be
 * read never fails a view: the view has what could be read, and problems that say what could not.
 *
 * Threads. Sessions and views may be used by any number of threads at once, without a lock, but for
 * freeing: whoever frees must be the last to use. The errors are each thread's own. The callback of a
 * VerifierReader is called on the threads that use its session, at the same time if they do.
 *
 * Callbacks must return: no longjmp, no C++ exception out of them.
 */

#ifndef VERIFIER_H
#define VERIFIER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* The version of this interface; verifier_abi_version() is that of the library that is linked. */
#define VERIFIER_ABI_VERSION 1

// What a call came to.
typedef enum VerifierStatus {
  // Done.
  VERIFIER_STATUS_OK = 0,
  // An argument is NULL that must not be, is not UTF-8, or names something that does not exist.
  VERIFIER_STATUS_BAD_ARGUMENT = 1,
  // There is no record of that number, or no counter of that name.
  VERIFIER_STATUS_NOT_FOUND = 2,
  // A file cannot be opened or read.
  VERIFIER_STATUS_FILE = 3,
  // Bytes are absent from the dump, or the reader says that they are.
  VERIFIER_STATUS_ABSENT = 4,
  // An address is not present in the page tables.
  VERIFIER_STATUS_NOT_PRESENT = 5,
  // The symbols are missing, or do not have a type, field or global.
  VERIFIER_STATUS_SYMBOLS = 6,
  // The file or a structure in memory is malformed, or a limit on hostile input was reached.
  VERIFIER_STATUS_MALFORMED = 7,
  // The input is of a kind that cannot give what was asked.
  VERIFIER_STATUS_UNSUPPORTED = 8,
  // A fault of this library's own; the session may be used on.
  VERIFIER_STATUS_INTERNAL = 9,
} VerifierStatus;

// What the address of an error or a problem is.
typedef enum VerifierPlace {
  // Nothing.
  VERIFIER_PLACE_NONE = 0,
  // A physical address.
  VERIFIER_PLACE_PHYSICAL = 1,
  // An address in the kernel's virtual memory.
  VERIFIER_PLACE_VIRTUAL = 2,
  // An offset in the dump file.
  VERIFIER_PLACE_FILE = 3,
} VerifierPlace;

// What became of a configured driver.
typedef enum VerifierDriverState {
  // Loaded more often than unloaded.
  VERIFIER_DRIVER_STATE_LOADED = 0,
  // Unloaded as often as loaded.
  VERIFIER_DRIVER_STATE_UNLOADED = 1,
  // Not loaded since it was configured.
  VERIFIER_DRIVER_STATE_NEVER_LOADED = 2,
} VerifierDriverState;

// Where Verifier keeps an allocation.
typedef enum VerifierSource {
  // Its driver's tracking pages.
  VERIFIER_SOURCE_TRACKER = 0,
  // The pool info tree of newer kernels, which knows no driver: it is told by the block's stack.
  VERIFIER_SOURCE_POOL_INFO = 1,
  // In a place that this interface has no name for yet.
  VERIFIER_SOURCE_OTHER = 2,
} VerifierSource;

// What a record of the pool log is about.
typedef enum VerifierOperation {
  // A block was allocated.
  VERIFIER_OPERATION_ALLOCATE = 0,
  // A block was freed.
  VERIFIER_OPERATION_FREE = 1,
  // An allocation failed: the address is 0.
  VERIFIER_OPERATION_FAILED = 2,
  // The stack does not say.
  VERIFIER_OPERATION_UNKNOWN = 3,
} VerifierOperation;

// What the addresses of a VerifierReader are.
typedef enum VerifierSpace {
  // Physical addresses; this library walks the page tables.
  VERIFIER_SPACE_PHYSICAL = 1,
  // The kernel's virtual addresses; the reader translates.
  VERIFIER_SPACE_VIRTUAL = 2,
} VerifierSpace;

// A processor architecture: the machine number of a PE file.
typedef enum VerifierMachine {
  // 32-bit x86, with or without PAE.
  VERIFIER_MACHINE_X86 = 332,
  // x64, with four or five levels of page tables.
  VERIFIER_MACHINE_X64 = 34404,
  // 64-bit ARM.
  VERIFIER_MACHINE_ARM64 = 43620,
} VerifierMachine;

// A kernel to read Verifier's data from.
typedef struct VerifierSession VerifierSession;

// A list of records of one kind, read whole. What it was made by says which `_at` function reads it.
typedef struct VerifierView VerifierView;

// Memory of the caller's, and what is known of the kernel in it.
typedef struct VerifierReader {
  // Fills `buffer` with the `size` bytes at `address`, whole: 0 for done, anything else where the
  // bytes are absent (the number is shown in messages). The bytes never cross a 4 KiB page. May be
  // called by several threads at once.
  int32_t (*read)(void *context, uint64_t address, void *buffer, size_t size);
  // Handed to `read` as it is. It must live until the session is freed.
  void *context;
  // A VerifierSpace.
  uint32_t space;
  // A VerifierMachine.
  uint32_t machine;
  // CR3 (TTBR1_EL1) of the kernel; of no meaning where the addresses are virtual.
  uint64_t directory_table_base;
  // Address of the global PsLoadedModuleList, 0 where it is not known.
  uint64_t ps_loaded_module_list;
  // Address of the debugger data block, 0 where it is not known; one of the two must be.
  uint64_t kd_debugger_data_block;
  // The build number, such as 7601, 0 where it is not known.
  uint32_t build;
} VerifierReader;

// The last error of this thread.
typedef struct VerifierError {
  // What the call returned.
  enum VerifierStatus status;
  // In words: what was being read, where, and why that failed. Lives until the next call that
  // fails on this thread.
  const char *message;
  // What `address` is.
  enum VerifierPlace place;
  // Where it failed; 0 where there is no place to tell.
  uint64_t address;
} VerifierError;

// How far back the pool log reaches.
typedef struct VerifierReach {
  // Records that the log has room for.
  uint32_t capacity;
  // Records ever written, modulo 2^32.
  uint32_t written;
  // Records whose pages could not be read.
  uint64_t missing;
} VerifierReach;

// What a view could not read or what does not fit.
typedef struct VerifierProblem {
  // What is affected.
  const char *what;
  // What is the matter.
  const char *why;
  // What `address` is: virtual, or nothing.
  enum VerifierPlace place;
  // The address that it is about; 0 where there is none.
  uint64_t address;
} VerifierProblem;

// One of Verifier's statistics.
typedef struct VerifierStatistic {
  // The field of _MM_DRIVER_VERIFIER_DATA.
  const char *name;
  // Its value.
  uint64_t value;
} VerifierStatistic;

// A driver that is configured for Verifier. Its counters: `verifier_driver_counter`.
typedef struct VerifierDriver {
  // Its file name.
  const char *name;
  // What became of it.
  enum VerifierDriverState state;
  // How often it was loaded.
  uint32_t loads;
  // How often it was unloaded.
  uint32_t unloads;
  // How many images of it are verified; the next two are the first one's.
  uint32_t images;
  // Where its image is loaded, 0 where none is.
  uint64_t base;
  // Bytes of its image.
  uint64_t size;
} VerifierDriver;

// A pool allocation that its driver still holds.
typedef struct VerifierAllocation {
  // The block.
  uint64_t address;
  // Its bytes.
  uint64_t size;
  // The address from which the driver asked for it, 0 where that is not known.
  uint64_t caller;
  // The name of that address, NULL where no module holds it.
  const char *caller_symbol;
  // The driver's file name, "(no known driver)" where it cannot be told.
  const char *driver;
  // Where it is kept.
  enum VerifierSource source;
  // The pool tag, four characters and NUL; one that is not printable is a dot.
  char tag[5];
} VerifierAllocation;

// A record of the pool log.
typedef struct VerifierLogEntry {
  // The block.
  uint64_t address;
  // Its bytes.
  uint64_t size;
  // The thread's _ETHREAD.
  uint64_t thread;
  // What happened to the block.
  enum VerifierOperation operation;
  // The record's number in the ring.
  uint32_t slot;
  // Frames of its stack.
  size_t frames;
} VerifierLogEntry;

// Outstanding allocations of one driver, tag and stack.
typedef struct VerifierGroup {
  // How many.
  size_t count;
  // The sum of their bytes.
  uint64_t bytes;
  // The largest one's bytes.
  uint64_t largest;
  // The driver's file name, "(no known driver)" where it cannot be told.
  const char *driver;
  // Why they have no stack, NULL where they have one.
  const char *why_no_stack;
  // Frames of their stack.
  size_t frames;
  // Their pool tag.
  char tag[5];
} VerifierGroup;

// A frame of a stack.
typedef struct VerifierFrame {
  // The return address.
  uint64_t address;
  // `module!name+0x1f`, `module+0x1234` where no symbol is known, NULL where no module holds it.
  const char *symbol;
} VerifierFrame;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the interface that this library has.
uint32_t verifier_abi_version(void);

// Opens a crash dump.
//
// `path` is UTF-8. `symbols` has the syntax of _NT_SYMBOL_PATH; NULL means that variable's value. The
// file is read, not mapped: one that is cut short meanwhile gives errors and no signal.
//
// # Safety
//
// `path` and `symbols` are NULL or strings that end with NUL; `session` is NULL or points at a
// pointer that may be written.
enum VerifierStatus verifier_open_file(const char *path,
                                       const char *symbols,
                                       struct VerifierSession **session);

// Opens a kernel in memory that a callback reads. `reader` itself may be gone after the call.
//
// # Safety
//
// `reader` is NULL or points at a `VerifierReader` whose `read` keeps its contract with its
// `context` until the session is freed; `symbols` and `session` are as for `verifier_open_file`.
enum VerifierStatus verifier_open_reader(const struct VerifierReader *reader,
                                         const char *symbols,
                                         struct VerifierSession **session);

// Frees a session; its views live on. Nothing for NULL.
//
// # Safety
//
// `session` is NULL or was made by this library, is not in use and is never used again.
void verifier_session_free(struct VerifierSession *session);

// Fills `error` with the last failure on this thread; a status of OK and an empty message where no
// call has failed yet. Calls that succeed leave it as it is.
//
// # Safety
//
// `error` is NULL or points at a `VerifierError` that may be written.
enum VerifierStatus verifier_last_error(struct VerifierError *error);

// Verifier's level: the flags of `verifier /flags`.
//
// # Safety
//
// `session` is NULL or a session; `level` is NULL or may be written.
enum VerifierStatus verifier_level(const struct VerifierSession *session, uint32_t *level);

// Verifier's statistics: every integer of _MM_DRIVER_VERIFIER_DATA that the build has.
// Records: VerifierStatistic.
//
// # Safety
//
// `session` is NULL or a session; `view` is NULL or may be written.
enum VerifierStatus verifier_statistics(const struct VerifierSession *session,
                                        struct VerifierView **view);

// The drivers that are configured for Verifier. Records: VerifierDriver.
//
// # Safety
//
// `session` is NULL or a session; `view` is NULL or may be written.
enum VerifierStatus verifier_drivers(const struct VerifierSession *session,
                                     struct VerifierView **view);

// The pool allocations that drivers still hold, but for contiguous memory. `driver` is a file name
// such as "myfault.sys", NULL for all; blocks of no known driver are the last. Records:
// VerifierAllocation.
//
// # Safety
//
// `session` is NULL or a session; `driver` is NULL or a string that ends with NUL; `view` is NULL or
// may be written.
enum VerifierStatus verifier_pool(const struct VerifierSession *session,
                                  const char *driver,
                                  struct VerifierView **view);

// The newest `last` records of the pool log, newest first; SIZE_MAX for all. Records:
// VerifierLogEntry; their stacks: `verifier_frame_at`; how far it reaches: `verifier_reach`.
//
// # Safety
//
// `session` is NULL or a session; `view` is NULL or may be written.
enum VerifierStatus verifier_pool_log(const struct VerifierSession *session,
                                      size_t last,
                                      struct VerifierView **view);

// Outstanding allocations joined with the pool log, in groups of one driver, tag and stack, the most
// bytes first. `driver` is as for `verifier_pool`. Records: VerifierGroup; their stacks:
// `verifier_frame_at`; their allocations: `verifier_group_block_at`; how far the log reaches:
// `verifier_reach`.
//
// # Safety
//
// `session` is NULL or a session; `driver` is NULL or a string that ends with NUL; `view` is NULL or
// may be written.
enum VerifierStatus verifier_leaks(const struct VerifierSession *session,
                                   const char *driver,
                                   struct VerifierView **view);

// How many records a view has; 0 for NULL.
//
// # Safety
//
// `view` is NULL or a view.
size_t verifier_view_count(const struct VerifierView *view);

// How far back the log behind a view of the pool log or of leaks reaches.
//
// # Safety
//
// `view` is NULL or a view; `reach` is NULL or may be written.
enum VerifierStatus verifier_reach(const struct VerifierView *view, struct VerifierReach *reach);

// How many problems a view has; 0 for NULL.
//
// # Safety
//
// `view` is NULL or a view.
size_t verifier_view_problem_count(const struct VerifierView *view);

// A problem of a view.
//
// # Safety
//
// `view` is NULL or a view; `problem` is NULL or may be written.
enum VerifierStatus verifier_view_problem_at(const struct VerifierView *view,
                                             size_t index,
                                             struct VerifierProblem *problem);

// Frees a view, and with it the strings of its records. Nothing for NULL.
//
// # Safety
//
// `view` is NULL or was made by this library, is not in use and is never used again.
void verifier_view_free(struct VerifierView *view);

// A record of `verifier_statistics`.
//
// # Safety
//
// `view` is NULL or a view; `record` is NULL or may be written.
enum VerifierStatus verifier_statistic_at(const struct VerifierView *view,
                                          size_t index,
                                          struct VerifierStatistic *record);

// A record of `verifier_drivers`.
//
// # Safety
//
// `view` is NULL or a view; `record` is NULL or may be written.
enum VerifierStatus verifier_driver_at(const struct VerifierView *view,
                                       size_t index,
                                       struct VerifierDriver *record);

// A counter of a driver by its C name, such as "CurrentPagedPoolAllocations"
// (_VF_TARGET_VERIFIED_DRIVER_DATA), summed over the driver's images; not found where the build does
// not have it.
//
// # Safety
//
// `view` is NULL or a view; `name` is NULL or a string that ends with NUL; `value` is NULL or may be
// written.
enum VerifierStatus verifier_driver_counter(const struct VerifierView *view,
                                            size_t index,
                                            const char *name,
                                            uint64_t *value);

// A record of `verifier_pool`.
//
// # Safety
//
// `view` is NULL or a view; `record` is NULL or may be written.
enum VerifierStatus verifier_allocation_at(const struct VerifierView *view,
                                           size_t index,
                                           struct VerifierAllocation *record);

// A record of `verifier_pool_log`.
//
// # Safety
//
// `view` is NULL or a view; `record` is NULL or may be written.
enum VerifierStatus verifier_log_entry_at(const struct VerifierView *view,
                                          size_t index,
                                          struct VerifierLogEntry *record);

// A record of `verifier_leaks`.
//
// # Safety
//
// `view` is NULL or a view; `record` is NULL or may be written.
enum VerifierStatus verifier_group_at(const struct VerifierView *view,
                                      size_t index,
                                      struct VerifierGroup *record);

// An allocation of a group of `verifier_leaks`, by its number within the group.
//
// # Safety
//
// `view` is NULL or a view; `record` is NULL or may be written.
enum VerifierStatus verifier_group_block_at(const struct VerifierView *view,
                                            size_t group,
                                            size_t index,
                                            struct VerifierAllocation *record);

// A frame of the stack of a log entry or a group, innermost first.
//
// # Safety
//
// `view` is NULL or a view; `record` is NULL or may be written.
enum VerifierStatus verifier_frame_at(const struct VerifierView *view,
                                      size_t index,
                                      size_t frame,
                                      struct VerifierFrame *record);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VERIFIER_H */
