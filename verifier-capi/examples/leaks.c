/* Prints the outstanding allocations in a dump and the newest entries of the pool log.
 *
 *     cargo build --release -p verifier-capi
 *     ln -s libverifier_capi.so target/release/libverifier_capi.so.2
 *     cc -I verifier-capi/include verifier-capi/examples/leaks.c -L target/release -lverifier_capi -o leaks
 *     LD_LIBRARY_PATH=target/release ./leaks memory.dmp symbols
 */
#include <inttypes.h>
#include <stdio.h>

#include "verifier.h"

static int complain(void) {
    VerifierError error;
    verifier_last_error(&error, sizeof error);
    fprintf(stderr, "leaks: %s\n", error.message);
    return 1;
}

static int print_stack(const VerifierView *view, size_t index, size_t frames) {
    VerifierFrame frame;
    for (size_t i = 0; i < frames; i++) {
        if (verifier_frame_at(view, index, i, &frame, sizeof frame) != VERIFIER_STATUS_OK) return complain();
        printf("    %016" PRIx64 " %s\n", frame.address, frame.symbol ? frame.symbol : "");
    }
    return 0;
}

/* An empty view means that there is nothing only if the view is complete. */
static int print_extent(const VerifierView *view) {
    VerifierProblem problem;
    VerifierExtent extent = verifier_view_extent(view);
    if (extent == VERIFIER_EXTENT_COMPLETE) {
        if (!verifier_view_count(view)) puts("no outstanding allocation");
        return 0;
    }
    puts(extent == VERIFIER_EXTENT_AT_LEAST ? "at least: more may exist" : "unknown: this is not an answer");
    for (size_t i = 0; i < verifier_view_problem_count(view); i++) {
        if (verifier_view_problem_at(view, i, &problem, sizeof problem) != VERIFIER_STATUS_OK) return complain();
        if (problem.leaves != VERIFIER_EXTENT_COMPLETE) printf("    because of %s: %s\n", problem.what, problem.why);
    }
    return 0;
}

static void print_unload(const VerifierView *view) {
    VerifierUnloadLeak leak;
    if (verifier_unload_leak(view, &leak, sizeof leak) != VERIFIER_STATUS_OK) return;
    printf("%s was unloaded before it freed %" PRIu64 " blocks; %" PRIu64 " could be read, of %" PRIu64 " bytes\n",
           leak.driver, leak.counted, leak.count, leak.bytes);
}

static int print_leaks(const VerifierSession *session) {
    VerifierView *view;
    VerifierGroup group;
    if (verifier_leaks(session, NULL, &view) != VERIFIER_STATUS_OK) return complain();
    print_unload(view);
    for (size_t i = 0; i < verifier_view_count(view); i++) {
        if (verifier_group_at(view, i, &group, sizeof group) != VERIFIER_STATUS_OK) return complain();
        printf("%zu blocks, %" PRIu64 " bytes, tag %s, %s\n", group.count, group.bytes, group.tag, group.driver);
        if (group.why_no_stack) printf("    no stack: %s\n", group.why_no_stack);
        if (print_stack(view, i, group.frames)) return 1;
    }
    if (print_extent(view)) return 1;
    verifier_view_free(view);
    return 0;
}

static int print_log(const VerifierSession *session, size_t last) {
    static const char *const operations[] = {"allocate", "free", "failed", "unknown"};
    VerifierView *view;
    VerifierLogEntry entry;
    if (verifier_pool_log(session, last, 0, &view) != VERIFIER_STATUS_OK) return complain();
    for (size_t i = 0; i < verifier_view_count(view); i++) {
        if (verifier_log_entry_at(view, i, &entry, sizeof entry) != VERIFIER_STATUS_OK) return complain();
        printf("%s %" PRIx64 " of %" PRIx64 " bytes\n", operations[entry.operation], entry.address, entry.size);
        if (print_stack(view, i, entry.frames)) return 1;
    }
    verifier_view_free(view);
    return 0;
}

int main(int argc, char **argv) {
    VerifierSession *session;
    if (argc < 2) return fprintf(stderr, "usage: leaks DUMP [SYMBOLS]\n"), 2;
    if (verifier_open_file(argv[1], argc > 2 ? argv[2] : NULL, &session) != VERIFIER_STATUS_OK) return complain();
    int failed = print_leaks(session) || print_log(session, 1);
    verifier_session_free(session);
    return failed;
}
