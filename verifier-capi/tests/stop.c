/* What ends a call: limits, a deadline, the caller's answer, another thread; and what is left then.
 *
 *     stop IMAGE DTB PS_LOADED_MODULE_LIST SYMBOLS DUMP
 */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "verifier.h"

#define CHECK(what) do { if (!(what)) { printf("line %d: %s\n", __LINE__, #what); exit(1); } } while (0)

/* A record and its size, as the functions that fill one take them. */
#define INTO(record) &(record), sizeof(record)

static int image;

/* What reads of the image do besides. */
enum { PLAIN, SLOW, WAIT };
static int mode = PLAIN;
static sem_t reading, go_on;

static int32_t read_image(void *context, uint64_t address, void *buffer, size_t size) {
    (void)context;
    if (mode == SLOW) nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    if (mode == WAIT) mode = PLAIN, sem_post(&reading), sem_wait(&go_on);
    return pread(image, buffer, size, (off_t)address) == (ssize_t)size ? 0 : -1;
}

static int32_t counts_down(void *context) {
    int *left = context;
    return *left == 0 || --*left == 0;
}

static VerifierError last(void) {
    VerifierError error;
    CHECK(verifier_last_error(INTO(error)) == VERIFIER_STATUS_OK);
    return error;
}

static VerifierStatus try_image(char **argv, const VerifierOptions *options, VerifierSession **session) {
    VerifierReader reader = {
        .size = sizeof reader, .space = VERIFIER_SPACE_PHYSICAL, .machine = VERIFIER_MACHINE_X64,
        .read = read_image, .directory_table_base = strtoull(argv[2], NULL, 0),
        .ps_loaded_module_list = strtoull(argv[3], NULL, 0),
    };
    return verifier_open_reader_with(&reader, argv[4], options, session);
}

static VerifierSession *open_image(char **argv, const VerifierOptions *options) {
    VerifierSession *session;
    CHECK(try_image(argv, options, &session) == VERIFIER_STATUS_OK);
    return session;
}

/* A call that was ended gives no answer, or one that says that it is not complete. */
static void check_stopped(VerifierStatus status, VerifierView *view, const char *why) {
    if (status == VERIFIER_STATUS_OK) {
        CHECK(verifier_view_extent(view) != VERIFIER_EXTENT_COMPLETE);
    } else {
        CHECK(status == VERIFIER_STATUS_STOPPED && !view && strstr(last().message, why));
    }
    verifier_view_free(view);
}

struct call { VerifierSession *session; VerifierView *view; VerifierStatus status; };

static void *leaks_of(void *argument) {
    struct call *call = argument;
    call->status = verifier_leaks(call->session, NULL, &call->view);
    if (call->status != VERIFIER_STATUS_OK) CHECK(strstr(last().message, "canceled"));
    return NULL;
}

static void limits(char **argv) {
    VerifierSession *session;
    VerifierView *view;
    VerifierProblem problem;
    VerifierOptions options = {.size = sizeof options, .ring_records = 5};
    CHECK(verifier_open_file_with(argv[5], argv[4], &options, &session) == VERIFIER_STATUS_OK);
    CHECK(verifier_pool(session, NULL, &view) == VERIFIER_STATUS_OK && verifier_view_count(view) == 10);
    CHECK(verifier_view_extent(view) == VERIFIER_EXTENT_COMPLETE);
    verifier_view_free(view);
    CHECK(verifier_pool_log(session, SIZE_MAX, 0, &view) == VERIFIER_STATUS_OK && verifier_view_count(view) <= 5);
    CHECK(verifier_view_extent(view) == VERIFIER_EXTENT_AT_LEAST);
    CHECK(verifier_view_problem_at(view, 0, INTO(problem)) == VERIFIER_STATUS_OK);
    CHECK(problem.leaves == VERIFIER_EXTENT_AT_LEAST && strstr(problem.why, "ring_records"));
    /* A caller of an older header, which has no `leaves`. */
    problem.leaves = 77;
    CHECK(verifier_view_problem_at(view, 0, &problem, offsetof(VerifierProblem, leaves)) == VERIFIER_STATUS_OK);
    CHECK(problem.leaves == 77);
    verifier_view_free(view);
    verifier_session_free(session);
    /* A table of symbols that is larger than it may be is not there. */
    options = (VerifierOptions){.size = sizeof options, .isf_bytes = 16};
    CHECK(verifier_open_file_with(argv[5], argv[4], &options, &session) == VERIFIER_STATUS_OK);
    CHECK(verifier_pool(session, NULL, &view) == VERIFIER_STATUS_OK);
    CHECK(verifier_view_problem_at(view, 0, INTO(problem)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(problem.what, "symbols of the kernel") && problem.leaves == VERIFIER_EXTENT_COMPLETE);
    verifier_view_free(view);
    verifier_session_free(session);

    struct { VerifierOptions options; uint64_t newer; } grown = {.options = {.size = sizeof grown}};
    CHECK(verifier_open_file_with(argv[5], argv[4], &grown.options, &session) == VERIFIER_STATUS_OK);
    verifier_session_free(session);
    grown.newer = 1;
    CHECK(verifier_open_file_with(argv[5], argv[4], &grown.options, &session) == VERIFIER_STATUS_UNSUPPORTED);
    options = (VerifierOptions){.size = sizeof options, .reserved = 1};
    CHECK(verifier_open_file_with(argv[5], argv[4], &options, &session) == VERIFIER_STATUS_UNSUPPORTED);
    options.size = sizeof options - 1;
    CHECK(verifier_open_file_with(argv[5], argv[4], &options, &session) == VERIFIER_STATUS_BAD_SIZE);
}

static void deadline(char **argv) {
    VerifierSession *session;
    VerifierOptions options = {.size = sizeof options, .deadline_ms = 1};
    mode = SLOW;
    CHECK(try_image(argv, &options, &session) == VERIFIER_STATUS_STOPPED && !session);
    CHECK(strstr(last().message, "its deadline of 1 ms"));
    mode = PLAIN;
}

static void callback(char **argv) {
    VerifierSession *session;
    VerifierView *view = NULL;
    int left = 2;
    VerifierOptions options = {.size = sizeof options, .is_canceled = counts_down, .context = &left};
    /* A session is opened whole or not at all. */
    CHECK(verifier_open_file_with(argv[5], argv[4], &options, &session) == VERIFIER_STATUS_STOPPED && !session);
    CHECK(strstr(last().message, "is_canceled"));
    left = -1;
    session = open_image(argv, &options);
    left = 2;
    VerifierStatus status = verifier_leaks(session, NULL, &view);
    check_stopped(status, view, "is_canceled");
    /* After it stops saying so, calls are answered again. */
    left = -1;
    CHECK(verifier_leaks(session, NULL, &view) == VERIFIER_STATUS_OK);
    CHECK(verifier_view_extent(view) == VERIFIER_EXTENT_COMPLETE && verifier_view_count(view) == 1);
    verifier_view_free(view);
    verifier_session_free(session);
}

static void another_thread(char **argv) {
    pthread_t thread;
    struct call call = {.session = open_image(argv, NULL)};
    VerifierView *kept, *none;
    uint32_t level;
    CHECK(verifier_drivers(call.session, &kept) == VERIFIER_STATUS_OK && verifier_view_count(kept) == 1);
    mode = WAIT;
    CHECK(!pthread_create(&thread, NULL, leaks_of, &call));
    sem_wait(&reading);
    CHECK(verifier_session_cancel(call.session) == VERIFIER_STATUS_OK);
    sem_post(&go_on);
    CHECK(!pthread_join(thread, NULL));
    check_stopped(call.status, call.view, "");
    /* It stays so; views that were made before are what they were. */
    CHECK(verifier_drivers(call.session, &none) == VERIFIER_STATUS_STOPPED && !none);
    CHECK(strstr(last().message, "canceled"));
    CHECK(verifier_level(call.session, &level) == VERIFIER_STATUS_STOPPED);
    CHECK(verifier_session_cancel(call.session) == VERIFIER_STATUS_OK);
    CHECK(verifier_view_count(kept) == 1 && verifier_view_extent(kept) == VERIFIER_EXTENT_COMPLETE);
    verifier_view_free(kept);
    CHECK(verifier_view_extent(kept) == VERIFIER_EXTENT_UNKNOWN);
    verifier_session_free(call.session);
    CHECK(verifier_session_cancel(call.session) == VERIFIER_STATUS_INVALID_HANDLE);
    CHECK(verifier_session_cancel(NULL) == VERIFIER_STATUS_BAD_ARGUMENT);
}

int main(int argc, char **argv) {
    CHECK(argc == 6 && (image = open(argv[1], O_RDONLY)) >= 0);
    CHECK(!sem_init(&reading, 0, 0) && !sem_init(&go_on, 0, 0));
    limits(argv);
    deadline(argv);
    callback(argv);
    another_thread(argv);
    puts("stop: done");
    return 0;
}
