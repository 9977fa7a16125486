/* Windows Driver Verifier's data out of crash dumps and any other memory.
 *
 * Made by cbindgen from verifier-capi/src; do not edit.
 *
 * Handles. verifier_open_file and verifier_open_reader make a session, the functions that take a
 * VerifierView ** make a view of it: a list of records, read whole. If they fail, the handle is
 * NULL. A view lives on without its session. Free each with its own function, once; freeing NULL does
 * nothing. A handle is a number, not an address, and none is given twice. A handle that was freed, is
 * of the other kind or is anything else gives VERIFIER_STATUS_INVALID_HANDLE; it is never followed.
 *
 * Records. The functions that end in _at fill a struct of the caller's, verifier_view_count says how
 * many there are. The strings in it are UTF-8, end with NUL, belong to the view, and live until that
 * is freed. The library cannot detect a string that is used later. A NUL inside a string of the
 * dump is given as U+FFFD; other control characters stay, so take care when you print to a terminal.
 *
 * Sizes. Structs may get more fields at their end, so you pass each with its size, sizeof. A struct of
 * an older header is smaller: it is filled up to its size. A struct of a newer header is larger: the
 * fields that this library does not know are zero. Any other size gives VERIFIER_STATUS_BAD_SIZE.
 * Enums and flags may get more values.
 *
 * Errors. Every function that can fail returns a VerifierStatus. verifier_last_error says what failed,
 * where and why, until the next call that fails on the same thread; a number past the end of a list
 * gives VERIFIER_STATUS_NOT_FOUND and is not kept. A record that cannot be read never fails a view: the
 * view has what could be read, and problems that say what could not.
 *
 * Completeness. A view without records means that there is nothing only if verifier_view_extent says
 * VERIFIER_EXTENT_COMPLETE. Else more may exist, or nothing is known; its problems say why.
 *
 * Threads. Sessions and views may be used by any number of threads at once, without a lock, except
 * for freeing: free one only after the last use of its strings and, for a session, of its callback's
 * context. The errors are each thread's own. The callback of a VerifierReader is called on the threads
 * that use its session, at the same time if they do.
 *
 * Ends. VerifierOptions have limits, a deadline for each call and a callback that ends calls;
 * verifier_session_cancel ends those of a session from any thread. A call that was ended returns
 * VERIFIER_STATUS_STOPPED, or a view of what was read until then that is not complete.
 *
 * Callbacks must return: no longjmp, no C++ exception out of them. They must not use the session that
 * they are called for: that call could wait for itself.
 */

#ifndef VERIFIER_H
#define VERIFIER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// A flag of a VerifierReader: its memory does not change until the session is freed, like a file's and
// unlike a running machine's. Addresses are then looked up in the page tables once, not at every read;
// ignored if the addresses are virtual.
#define VERIFIER_READER_STABLE 1

// The version of this interface; verifier_abi_version() is that of the library that is linked. Equal
// versions work together, whichever is the newer: functions, values of enums and of flags, and fields at
// the end of structs come without a new one. It is raised, and with it the number in the shared
// library's name (`libverifier_capi.so.2`), when a program that was compiled with an older header would
// fail: a function is removed or takes other arguments, or a field moves or changes its meaning.
#define VERIFIER_ABI_VERSION 2

// What a call came to.
typedef enum VerifierStatus {
  // Done.
  VERIFIER_STATUS_OK = 0,
  // An argument is NULL that must not be, is not UTF-8, or names something that does not exist.
  VERIFIER_STATUS_BAD_ARGUMENT = 1,
  // No record has that number (this is not kept as the last error), or no counter has that name.
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
  // A fault of this library itself; you can go on using the session.
  VERIFIER_STATUS_INTERNAL = 9,
  // A handle that is not open: already freed, of the other kind, or never given.
  VERIFIER_STATUS_INVALID_HANDLE = 10,
  // A struct's size that no version of it has.
  VERIFIER_STATUS_BAD_SIZE = 11,
  // The call was ended before it had an answer: the session was canceled, or the deadline of its
  // VerifierOptions passed.
  VERIFIER_STATUS_STOPPED = 12,
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

// What the value of a field is.
typedef enum VerifierFieldKind {
  // A virtual or physical address: `value`.
  VERIFIER_FIELD_KIND_ADDRESS = 0,
  // A count or a size: `value`.
  VERIFIER_FIELD_KIND_NUMBER = 1,
  // A number that may be negative: `value`, sign-extended.
  VERIFIER_FIELD_KIND_SIGNED = 2,
  // Bits that people read in hexadecimal: `value`.
  VERIFIER_FIELD_KIND_BITS = 3,
  // 1 or 0: `value`.
  VERIFIER_FIELD_KIND_BOOL = 4,
  // Text: `text`.
  VERIFIER_FIELD_KIND_TEXT = 5,
  // An address, `value`, and its name, `text`, which is NULL if no module holds the address.
  VERIFIER_FIELD_KIND_SYMBOL = 6,
  // A call stack: `value` is the number of its frames, which `verifier_frame_at` gives.
  VERIFIER_FIELD_KIND_STACK = 7,
  // A kind that this interface does not name yet.
  VERIFIER_FIELD_KIND_SOMETHING_ELSE = 8,
} VerifierFieldKind;

// How much of an answer was read.
typedef enum VerifierExtent {
  // All that was asked for was read, and nothing contradicts it: a view without records means that
  // there is nothing.
  VERIFIER_EXTENT_COMPLETE = 0,
  // What is shown was read; more may exist, and a part of what is shown may be wrong.
  VERIFIER_EXTENT_AT_LEAST = 1,
  // Nothing supports the answer: a view without records means nothing.
  VERIFIER_EXTENT_UNKNOWN = 2,
} VerifierExtent;

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
  // The pool info tree of newer kernels, which does not have the driver: the block's stack gives it.
  VERIFIER_SOURCE_POOL_INFO = 1,
  // Tracking pages that no tree and no list leads to: a search found them by their content.
  VERIFIER_SOURCE_CARVED = 2,
  // In a place that this interface does not name yet.
  VERIFIER_SOURCE_OTHER = 3,
  // The driver's list of contiguous memory, which is not pool and has no tag.
  VERIFIER_SOURCE_CONTIGUOUS = 4,
} VerifierSource;

// Why an allocation cannot be as its entry says. This entry is damaged, or another one is.
typedef enum VerifierImpossible {
  // Nothing.
  VERIFIER_IMPOSSIBLE_NOTHING = 0,
  // Its address is outside the kernel's half of the address space.
  VERIFIER_IMPOSSIBLE_ADDRESS = 1,
  // It would end past the address space, or is larger than all that its driver holds.
  VERIFIER_IMPOSSIBLE_SIZE = 2,
  // Another entry has the same address.
  VERIFIER_IMPOSSIBLE_TWICE = 3,
  // It overlaps the block of another entry.
  VERIFIER_IMPOSSIBLE_OVERLAP = 4,
  // No image, loaded or unloaded, holds its caller.
  VERIFIER_IMPOSSIBLE_CALLER = 5,
  // Something that this interface does not name yet.
  VERIFIER_IMPOSSIBLE_SOMETHING_ELSE = 6,
} VerifierImpossible;

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

// A value of a log's record that no kernel writes.
typedef enum VerifierImpossibleValue {
  // None.
  VERIFIER_IMPOSSIBLE_VALUE_NOTHING = 0,
  // The block's address.
  VERIFIER_IMPOSSIBLE_VALUE_ADDRESS = 1,
  // The block's size.
  VERIFIER_IMPOSSIBLE_VALUE_SIZE = 2,
  // The thread.
  VERIFIER_IMPOSSIBLE_VALUE_THREAD = 3,
  // A frame of the stack.
  VERIFIER_IMPOSSIBLE_VALUE_FRAME = 4,
  // The IRP.
  VERIFIER_IMPOSSIBLE_VALUE_IRP = 5,
  // An IRQL.
  VERIFIER_IMPOSSIBLE_VALUE_IRQL = 6,
  // The processor's number.
  VERIFIER_IMPOSSIBLE_VALUE_PROCESSOR = 7,
  // A value that this interface does not name yet.
  VERIFIER_IMPOSSIBLE_VALUE_SOMETHING_ELSE = 8,
} VerifierImpossibleValue;

// What a record of a history is.
typedef enum VerifierRole {
  // An outstanding allocation that holds the address.
  VERIFIER_ROLE_HELD = 0,
  // A record of the pool log whose block holds it.
  VERIFIER_ROLE_LOGGED = 1,
  // A freed tracking entry that fits one of those by size and caller; its address is gone.
  VERIFIER_ROLE_FREED_ENTRY = 2,
  // A block in its page or the pages around it.
  VERIFIER_ROLE_NEIGHBOR = 3,
} VerifierRole;

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

// A log beside the pool log.
typedef enum VerifierEventKind {
  // IRQL transitions.
  VERIFIER_EVENT_KIND_IRQL = 0,
  // Faults that Verifier injected.
  VERIFIER_EVENT_KIND_FAULT = 1,
  // Critical regions entered and left.
  VERIFIER_EVENT_KIND_REGION = 2,
  // IRPs allocated, completed, canceled.
  VERIFIER_EVENT_KIND_IRP = 3,
  // IRPs forced to pend.
  VERIFIER_EVENT_KIND_PENDING = 4,
  // Bug checks that were suppressed.
  VERIFIER_EVENT_KIND_SUPPRESSED = 5,
  // Bug checks that Verifier worked around.
  VERIFIER_EVENT_KIND_WORKAROUND = 6,
} VerifierEventKind;

// A kernel to read Verifier's data from.
typedef struct VerifierSession VerifierSession;

// A list of records of one kind, read whole. The function that made it says which `_at` function reads
// its records.
typedef struct VerifierView VerifierView;

// The last error of this thread.
typedef struct VerifierError {
  // What the call returned.
  enum VerifierStatus status;
  // In words: what was being read, where, and why that failed. Lives until the next call that
  // fails on this thread.
  const char *message;
  // What `address` is.
  enum VerifierPlace place;
  // Where it failed; 0 if no place is known.
  uint64_t address;
} VerifierError;

// How far the calls of a session go. A field that is 0 or NULL has its default: `VerifierOptions options =
// {.size = sizeof options, ...}`. When a limit is hit, a view has what was read until then, and a
// problem that names the limit.
typedef struct VerifierOptions {
  // Bytes of this struct: `sizeof`.
  uint32_t size;
  // 0.
  uint32_t reserved;
  // Milliseconds that each call may take that opens the session or makes a view of it; 0 for any
  // time. After that the call ends: VERIFIER_STATUS_STOPPED, or a view that has what was read until
  // then; a session is opened whole, with the kernel's symbols searched for, or not at all. The
  // deadline is checked between pages, records and parts of a download; a read of the caller's callback, or
  // an answer of a server, is not interrupted.
  uint64_t deadline_ms;
  // Asked on the threads that use the session, as often and with the same effect as the deadline is
  // looked at: anything but 0 ends the call. It also serves while the session is being opened, which
  // `verifier_session_cancel` cannot. NULL for none.
  int32_t (*is_canceled)(void *context);
  // Passed to `is_canceled` unchanged. It must live until the session is freed.
  void *context;
  // Entries of a linked list.
  uint64_t list_entries;
  // Loaded images.
  uint64_t modules;
  // Configured drivers, and images that are verified.
  uint64_t drivers;
  // Exported names that are read, over all images without symbols.
  uint64_t exports;
  // Nodes of a tree.
  uint64_t tree_nodes;
  // Nodes of each of the two pool info trees.
  uint64_t pool_info_nodes;
  // Pages of pool tracking entries, over all drivers.
  uint64_t tracker_pages;
  // Records of a log.
  uint64_t ring_records;
  // Pages that a search for data looks at, if no list or tree leads to the data.
  uint64_t carved_pages;
  // Page frames that are looked at in the search for page tables.
  uint64_t search_frames;
  // Mapped pages that are looked at in the search for the kernel's image and its data.
  uint64_t search_pages;
  // Bytes of a PDB or an image: on disk, in a download, expanded from a cabinet.
  uint64_t symbol_file_bytes;
  // Bytes of an ISF table: on disk, expanded from `.xz`.
  uint64_t isf_bytes;
} VerifierOptions;

// The caller's memory, and what is known of the kernel in it. Fields that are not set must be zero:
// `VerifierReader reader = {.size = sizeof reader, ...}`.
typedef struct VerifierReader {
  // Bytes of this struct: `sizeof`.
  uint32_t size;
  // VERIFIER_READER_STABLE or 0.
  uint32_t flags;
  // A VerifierSpace.
  uint32_t space;
  // A VerifierMachine.
  uint32_t machine;
  // Fills `buffer` with the `size` bytes at `address`, whole: 0 for done, anything else if the
  // bytes are absent (the number is shown in messages). The bytes never cross a 4 KiB page. May be
  // called by several threads at once.
  int32_t (*read)(void *context, uint64_t address, void *buffer, size_t size);
  // Passed to `read` unchanged. It must live until the session is freed.
  void *context;
  // CR3 (TTBR1_EL1) of the kernel; ignored if the addresses are virtual.
  uint64_t directory_table_base;
  // Address of the global PsLoadedModuleList, 0 if it is unknown.
  uint64_t ps_loaded_module_list;
  // Address of the debugger data block, 0 if it is unknown; one of the two must be known.
  uint64_t kd_debugger_data_block;
  // The build number, such as 7601, 0 if it is unknown.
  uint32_t build;
  // 0. It fills the gap at the end: a caller would leave a gap unset, and a later version may read it.
  uint32_t reserved;
} VerifierReader;

// How far back a log reaches.
typedef struct VerifierReach {
  // Records that the log has room for.
  uint32_t capacity;
  // Records ever written, modulo 2^32; 0 if it is unknown.
  uint32_t written;
  // Records whose pages could not be read.
  uint64_t missing;
  // Why the log has nothing: it is off, nothing was written, its pages are absent. NULL if it has
  // records, and in a view of leaks.
  const char *empty_because;
  // 1 if the log's index is known; 0 if not: then its records are not in the order of time.
  uint32_t is_ordered;
} VerifierReach;

// A function that the compiler inlined at a frame.
typedef struct VerifierInlinedFrame {
  // The function's name.
  const char *function;
  // The path of the source file.
  const char *file;
  // The line in that file.
  uint32_t line;
} VerifierInlinedFrame;

// A frame of a stack.
typedef struct VerifierFrame {
  // The return address.
  uint64_t address;
  // `module!name+0x1f`, `module+0x1234` if no symbol is known, NULL if no module holds it.
  const char *symbol;
  // The path of the source file of the call, NULL if no PDB has its line.
  const char *file;
  // The line in that file; 0 if it is unknown.
  uint32_t line;
  // How many functions were inlined there: `verifier_inlined_frame_at`.
  uint32_t inlined;
} VerifierFrame;

// A field of a record.
typedef struct VerifierField {
  // Its name in JSON, such as "old_irql".
  const char *name;
  // What its value is.
  enum VerifierFieldKind kind;
  // 0 if the record does not have it: then `value` is 0 and `text` is NULL.
  uint32_t is_present;
  // Its value, if it is a number.
  uint64_t value;
  // Its text, if it is one; else NULL.
  const char *text;
} VerifierField;

// What a view could not read, or what contradicts it.
typedef struct VerifierProblem {
  // What is affected.
  const char *what;
  // What is wrong.
  const char *why;
  // What `address` is: virtual, or nothing.
  enum VerifierPlace place;
  // The address that it is about; 0 if there is none.
  uint64_t address;
  // What it leaves of the answer; a remark leaves it complete. Those that leave less are why the view
  // is not complete.
  enum VerifierExtent leaves;
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
  // The base of its loaded image; 0 if no image is loaded.
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
  // The address from which the driver asked for it, 0 if that is unknown.
  uint64_t caller;
  // The name of that address, NULL if no module holds it.
  const char *caller_symbol;
  // The driver's file name, "(no known driver)" if it is unknown.
  const char *driver;
  // Where it is kept.
  enum VerifierSource source;
  // The pool tag, four characters and NUL; one that is not printable is a dot.
  char tag[5];
  // Why it cannot be as its entry says, if something contradicts the entry.
  enum VerifierImpossible impossible;
} VerifierAllocation;

// Outstanding allocations of one driver, tag and stack.
typedef struct VerifierGroup {
  // How many.
  size_t count;
  // The sum of their bytes.
  uint64_t bytes;
  // The largest one's bytes.
  uint64_t largest;
  // The driver's file name, "(no known driver)" if it is unknown.
  const char *driver;
  // Why they have no stack, NULL if they have one.
  const char *why_no_stack;
  // Frames of their stack.
  size_t frames;
  // Their pool tag; empty for contiguous memory.
  char tag[5];
} VerifierGroup;

// A driver that was unloaded before it freed its memory: bug check 0xC4/0x62.
typedef struct VerifierUnloadLeak {
  // Its file name.
  const char *driver;
  // Its _VF_TARGET_VERIFIED_DRIVER_DATA.
  uint64_t verified_data;
  // How many blocks the bug check says.
  uint64_t counted;
  // How many of them could be read.
  uint64_t count;
  // The sum of their bytes.
  uint64_t bytes;
} VerifierUnloadLeak;

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
  // The value that no kernel writes: the record was damaged.
  enum VerifierImpossibleValue impossible;
} VerifierLogEntry;

// A record of such a log.
typedef struct VerifierEvent {
  // The record's number in the ring.
  uint32_t slot;
  // Fields that records of this log have: `verifier_field_at`.
  uint32_t fields;
  // Frames of its stack.
  size_t frames;
  // The value that no kernel writes: the record was damaged.
  enum VerifierImpossibleValue impossible;
} VerifierEvent;

// A record of a history. Fields that its role does not have are 0 or NULL, an operation UNKNOWN.
typedef struct VerifierHistoryRecord {
  // What it is.
  enum VerifierRole role;
  // Of a record of the log, or of the newest one about a neighbor.
  enum VerifierOperation operation;
  // The block.
  uint64_t address;
  // Its bytes.
  uint64_t size;
  // The thread's _ETHREAD, of a record of the log.
  uint64_t thread;
  // The address from which the driver asked for it, of an allocation or a freed entry.
  uint64_t caller;
  // The name of that address, NULL if no module holds it.
  const char *caller_symbol;
  // The driver's file name, "(no known driver)" if it is unknown.
  const char *driver;
  // Frames of its stack: of a record of the log, or if the pool info tree has one.
  size_t frames;
  // The record's number in the ring.
  uint32_t slot;
  // The pool tag, of an allocation or a freed entry.
  char tag[5];
} VerifierHistoryRecord;

// An image.
typedef struct VerifierModule {
  // Its file name.
  const char *name;
  // Its path, NULL if it is no longer loaded.
  const char *path;
  // The name that it has in symbols, "nt" for the kernel; NULL if it is no longer loaded.
  const char *symbol_name;
  // Its base address, or what that was.
  uint64_t base;
  // Its bytes.
  uint64_t size;
  // When it was unloaded, in units of 100 ns since 1601; 0 if the build does not keep it or the image is
  // loaded.
  uint64_t unloaded_at;
  // 0 if it is no longer loaded.
  uint32_t is_loaded;
  // 0.
  uint32_t reserved;
} VerifierModule;

// A bug check. For what is known of each parameter: `verifier_bug_check_parameters`.
typedef struct VerifierBugCheck {
  // Its code; 0 of a dump of a machine that did not crash.
  uint32_t code;
  // 0.
  uint32_t reserved;
  // Its parameters.
  uint64_t parameters[4];
  // Its name, such as "DRIVER_VERIFIER_DETECTED_VIOLATION", NULL if it is not one of Verifier's.
  const char *name;
  // What happened; NULL in the same case.
  const char *meaning;
  // What each parameter is; NULL in the same case.
  const char *parameter_names[4];
  // Who is to blame and why, or why that is unknown; NULL if the machine did not crash.
  const char *sentence;
  // The file name of the driver to blame; NULL if it is unknown.
  const char *culprit;
  // Its code that the bug check is about, as "leaky!LeakAllocate+0x2b"; NULL if it is unknown.
  const char *culprit_symbol;
  // The source file of that code; NULL if it is unknown.
  const char *culprit_file;
  // The line in that file; 0 if it is unknown.
  uint32_t culprit_line;
  // 1 if the driver is to blame, 0 if that is only likely or the driver is unknown.
  uint32_t culprit_is_certain;
} VerifierBugCheck;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Fills `error`, of `size` bytes, with the last failure on this thread; a status of OK and an empty
// message if no call has failed yet. Calls that succeed do not change it, and neither does a number
// past the end of a list.
//
// # Safety
//
// `error` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_last_error(struct VerifierError *error, size_t size);

// The version of the interface that this library has.
uint32_t verifier_abi_version(void);

// Opens a crash dump.
//
// `path` is UTF-8. `symbols` has the syntax of _NT_SYMBOL_PATH; NULL means that variable's value. The
// file is read, not mapped: if it is cut short during a call, you get an error and not a signal.
//
// # Safety
//
// `path` and `symbols` are NULL or strings that end with NUL; `session` is NULL or points at a
// pointer that may be written.
enum VerifierStatus verifier_open_file(const char *path,
                                       const char *symbols,
                                       struct VerifierSession **session);

// The same with options; NULL for none. `options` itself may be freed after the call.
//
// # Safety
//
// `options` is NULL or points at a `VerifierOptions` of its own size whose `is_canceled` may be called
// with its `context` until the session is freed; the others are as for `verifier_open_file`.
enum VerifierStatus verifier_open_file_with(const char *path,
                                            const char *symbols,
                                            const struct VerifierOptions *options,
                                            struct VerifierSession **session);

// Opens a kernel in memory that a callback reads. `reader` itself may be freed after the call.
//
// # Safety
//
// `reader` is NULL or points at a `VerifierReader` of its own size whose `read` keeps its contract with its
// `context` until the session is freed; `symbols` and `session` are as for `verifier_open_file`.
enum VerifierStatus verifier_open_reader(const struct VerifierReader *reader,
                                         const char *symbols,
                                         struct VerifierSession **session);

// The same with options; NULL for none. `options` itself may be freed after the call.
//
// # Safety
//
// `options` is as for `verifier_open_file_with`, the others are as for `verifier_open_reader`.
enum VerifierStatus verifier_open_reader_with(const struct VerifierReader *reader,
                                              const char *symbols,
                                              const struct VerifierOptions *options,
                                              struct VerifierSession **session);

// Ends all calls of a session, from any thread: calls in progress return soon, with
// VERIFIER_STATUS_STOPPED or with a view of what was read until then, and calls that come later return
// VERIFIER_STATUS_STOPPED. Its views live on; the session itself can only be freed.
enum VerifierStatus verifier_session_cancel(const struct VerifierSession *session);

// Frees a session; its views live on. Nothing for NULL.
void verifier_session_free(struct VerifierSession *session);

// How many records a view has; 0 if the handle is not open.
size_t verifier_view_count(const struct VerifierView *view);

// How far back the log reaches that a view of a log or of leaks was made from.
//
// # Safety
//
// `reach` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_reach(const struct VerifierView *view,
                                   struct VerifierReach *reach,
                                   size_t size);

// A function that was inlined at a frame of `verifier_frame_at`, the innermost first.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_inlined_frame_at(const struct VerifierView *view,
                                              size_t index,
                                              size_t frame,
                                              size_t inlined,
                                              struct VerifierInlinedFrame *record,
                                              size_t size);

// A frame of the stack of a record of a log, a history or leaks, innermost first.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_frame_at(const struct VerifierView *view,
                                      size_t index,
                                      size_t frame,
                                      struct VerifierFrame *record,
                                      size_t size);

// A field of a record by its number, in the order of the JSON document: of the records of logs, of watched
// IRPs, of drivers and of allocations, with the fields that have no place in a struct. A number past the last
// field is not found.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_field_at(const struct VerifierView *view,
                                      size_t index,
                                      size_t field,
                                      struct VerifierField *record,
                                      size_t size);

// How much of the answer a view has; VERIFIER_EXTENT_UNKNOWN if the handle is not open. Why it is not
// complete: its problems whose `leaves` is not VERIFIER_EXTENT_COMPLETE.
enum VerifierExtent verifier_view_extent(const struct VerifierView *view);

// How many problems a view has; 0 if the handle is not open.
size_t verifier_view_problem_count(const struct VerifierView *view);

// A problem of a view.
//
// # Safety
//
// `problem` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_view_problem_at(const struct VerifierView *view,
                                             size_t index,
                                             struct VerifierProblem *problem,
                                             size_t size);

// Frees a view, and with it the strings of its records. Nothing for NULL.
void verifier_view_free(struct VerifierView *view);

// Verifier's level: the flags of `verifier /flags`.
//
// # Safety
//
// `level` is NULL or may be written.
enum VerifierStatus verifier_level(const struct VerifierSession *session, uint32_t *level);

// Verifier's statistics: every integer of _MM_DRIVER_VERIFIER_DATA that the build has.
// Records: VerifierStatistic.
//
// # Safety
//
// `view` is NULL or may be written.
enum VerifierStatus verifier_statistics(const struct VerifierSession *session,
                                        struct VerifierView **view);

// A record of `verifier_statistics`.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_statistic_at(const struct VerifierView *view,
                                          size_t index,
                                          struct VerifierStatistic *record,
                                          size_t size);

// The drivers that are configured for Verifier. Records: VerifierDriver.
//
// # Safety
//
// `view` is NULL or may be written.
enum VerifierStatus verifier_drivers(const struct VerifierSession *session,
                                     struct VerifierView **view);

// A record of `verifier_drivers`.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_driver_at(const struct VerifierView *view,
                                       size_t index,
                                       struct VerifierDriver *record,
                                       size_t size);

// A counter of a driver by its C name, such as "CurrentPagedPoolAllocations"
// (_VF_TARGET_VERIFIED_DRIVER_DATA), summed over the driver's images; not found if the build does not
// have it.
//
// # Safety
//
// `name` is NULL or a string that ends with NUL; `value` is NULL or may be written.
enum VerifierStatus verifier_driver_counter(const struct VerifierView *view,
                                            size_t index,
                                            const char *name,
                                            uint64_t *value);

// The pool allocations that drivers still hold, but for contiguous memory. `driver` is a file name
// such as "myfault.sys", NULL for all; blocks of no known driver are the last. Records:
// VerifierAllocation.
//
// # Safety
//
// `driver` is NULL or a string that ends with NUL; `view` is NULL or may be written.
enum VerifierStatus verifier_pool(const struct VerifierSession *session,
                                  const char *driver,
                                  struct VerifierView **view);

// A record of `verifier_pool`.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_allocation_at(const struct VerifierView *view,
                                           size_t index,
                                           struct VerifierAllocation *record,
                                           size_t size);

// Outstanding allocations joined with the pool log, in groups of one driver, tag and stack, the most
// bytes first. `driver` is as for `verifier_pool`. Records: VerifierGroup; their stacks:
// `verifier_frame_at`; their allocations: `verifier_group_block_at`; how far the log reaches:
// `verifier_reach`.
//
// # Safety
//
// `driver` is NULL or a string that ends with NUL; `view` is NULL or may be written.
enum VerifierStatus verifier_leaks(const struct VerifierSession *session,
                                   const char *driver,
                                   struct VerifierView **view);

// A record of `verifier_leaks`.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_group_at(const struct VerifierView *view,
                                      size_t index,
                                      struct VerifierGroup *record,
                                      size_t size);

// An allocation of a group of `verifier_leaks`, by its number within the group.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_group_block_at(const struct VerifierView *view,
                                            size_t group,
                                            size_t index,
                                            struct VerifierAllocation *record,
                                            size_t size);

// The driver that was unloaded before it freed its memory, of a view of leaks, whichever driver that is
// of; VERIFIER_STATUS_NOT_FOUND unless the bug check is about such a driver.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_unload_leak(const struct VerifierView *view,
                                         struct VerifierUnloadLeak *record,
                                         size_t size);

// The newest `last` records of the pool log, newest first; SIZE_MAX for all. If the log's index is
// unknown, they are not in the order of time (`is_ordered` of `verifier_reach`). If `address` is not 0,
// only the records whose block holds it. Records: VerifierLogEntry; their stacks:
// `verifier_frame_at`; how far the log reaches: `verifier_reach`.
//
// # Safety
//
// `view` is NULL or may be written.
enum VerifierStatus verifier_pool_log(const struct VerifierSession *session,
                                      size_t last,
                                      uint64_t address,
                                      struct VerifierView **view);

// A record of `verifier_pool_log`.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_log_entry_at(const struct VerifierView *view,
                                          size_t index,
                                          struct VerifierLogEntry *record,
                                          size_t size);

// The newest `last` records of another log, a VerifierEventKind, newest first; SIZE_MAX for all. If
// `address` is not 0, only the records in which it is one of the addresses: an IRP, a thread. Records:
// VerifierEvent; their fields: `verifier_field_at`; their stacks: `verifier_frame_at`; how far
// it reaches: `verifier_reach`.
//
// # Safety
//
// `view` is NULL or may be written.
enum VerifierStatus verifier_event_log(const struct VerifierSession *session,
                                       uint32_t kind,
                                       size_t last,
                                       uint64_t address,
                                       struct VerifierView **view);

// A record of `verifier_event_log`.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_event_at(const struct VerifierView *view,
                                      size_t index,
                                      struct VerifierEvent *record,
                                      size_t size);

// The first `last` canceled IRPs that are watched, in the order of their list; SIZE_MAX for all. If
// `address` is not 0, only that IRP. The fields of a record: `verifier_field_at`.
//
// # Safety
//
// `view` is NULL or may be written.
enum VerifierStatus verifier_watched_irps(const struct VerifierSession *session,
                                          size_t last,
                                          uint64_t address,
                                          struct VerifierView **view);

// Everything that is known about one address: outstanding allocations that hold it, records of the pool log about
// it, newest first, freed tracking entries that fit those, and blocks near it. Records:
// VerifierHistoryRecord; their stacks: `verifier_frame_at`.
//
// # Safety
//
// `view` is NULL or may be written.
enum VerifierStatus verifier_history(const struct VerifierSession *session,
                                     uint64_t address,
                                     struct VerifierView **view);

// A record of `verifier_history`.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_history_record_at(const struct VerifierView *view,
                                               size_t index,
                                               struct VerifierHistoryRecord *record,
                                               size_t size);

// The images that are loaded, then those that the kernel remembers to have unloaded. Records:
// VerifierModule.
//
// # Safety
//
// `view` is NULL or may be written.
enum VerifierStatus verifier_modules(const struct VerifierSession *session,
                                     struct VerifierView **view);

// A record of `verifier_modules`.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_module_at(const struct VerifierView *view,
                                       size_t index,
                                       struct VerifierModule *record,
                                       size_t size);

// The bug check: the one in the dump's header, else the one that the kernel noted in its own memory. One
// record: VerifierBugCheck. VERIFIER_STATUS_UNSUPPORTED if there is neither a header nor a note.
//
// # Safety
//
// `view` is NULL or may be written.
enum VerifierStatus verifier_bug_check(const struct VerifierSession *session,
                                       struct VerifierView **view);

// The four parameters of the bug check: what each is, and the code, block or object that it leads to. The fields
// of a record: `verifier_field_at`. Fails as `verifier_bug_check` does.
//
// # Safety
//
// `view` is NULL or may be written.
enum VerifierStatus verifier_bug_check_parameters(const struct VerifierSession *session,
                                                  struct VerifierView **view);

// The record of `verifier_bug_check`, number 0.
//
// # Safety
//
// `record` is NULL or points at `size` bytes that may be written.
enum VerifierStatus verifier_bug_check_at(const struct VerifierView *view,
                                          size_t index,
                                          struct VerifierBugCheck *record,
                                          size_t size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* VERIFIER_H */
