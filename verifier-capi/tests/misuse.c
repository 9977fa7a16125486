/* What a careless caller does, and what the header promises then; and one session on many threads. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verifier.h"

#define CHECK(what) do { if (!(what)) { printf("line %d: %s\n", __LINE__, #what); exit(1); } } while (0)

static VerifierSession *session;

static VerifierError last(void) {
    VerifierError error;
    CHECK(verifier_last_error(&error) == VERIFIER_STATUS_OK);
    return error;
}

static void *thread(void *number) {
    VerifierView *view, *none;
    VerifierGroup group;
    CHECK(verifier_leaks(session, NULL, &view) == VERIFIER_STATUS_OK);
    CHECK(verifier_group_at(view, 0, &group) == VERIFIER_STATUS_OK);
    CHECK(group.count == 10 && !strcmp(group.tag, "Leak") && !strcmp(group.driver, "myfault.sys"));
    /* Each thread has its own last error. */
    char name[32];
    snprintf(name, sizeof name, "none%d.sys", (int)(intptr_t)number);
    CHECK(verifier_pool(session, name, &none) == VERIFIER_STATUS_BAD_ARGUMENT && none == NULL);
    CHECK(strstr(last().message, name));
    verifier_view_free(view);
    return NULL;
}

static int32_t absent(void *context, uint64_t address, void *buffer, size_t size) {
    CHECK(buffer && size && address / 4096 == (address + size - 1) / 4096);
    ++*(int *)context;
    return 42;
}

int main(int argc, char **argv) {
    VerifierView *view;
    VerifierSession *none = (VerifierSession *)argv;
    CHECK(argc == 4);
    CHECK(verifier_abi_version() == VERIFIER_ABI_VERSION);
    CHECK(last().status == VERIFIER_STATUS_OK && !*last().message);
    CHECK(verifier_last_error(NULL) == VERIFIER_STATUS_BAD_ARGUMENT);

    /* Nothing where something must be. */
    CHECK(verifier_open_file(NULL, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT && !none);
    CHECK(verifier_open_file(argv[1], argv[2], NULL) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(!strcmp(last().message, "session is NULL"));
    CHECK(verifier_open_reader(NULL, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_leaks(NULL, NULL, &view) == VERIFIER_STATUS_BAD_ARGUMENT && !view);
    CHECK(verifier_view_count(NULL) == 0 && verifier_view_problem_count(NULL) == 0);
    verifier_view_free(NULL);
    verifier_session_free(NULL);

    /* What is no text, no file, no dump, no symbol path. */
    CHECK(verifier_open_file("\xff", argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_open_file("/nowhere", argv[2], &none) == VERIFIER_STATUS_FILE);
    CHECK(verifier_open_file(argv[1], "what*is*this", &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_open_file(argv[0], argv[2], &none) == VERIFIER_STATUS_MALFORMED);
    CHECK(last().place == VERIFIER_PLACE_FILE && strstr(last().message, "file offset"));

    /* A reader that reads nothing, and readers that are none. */
    int calls = 0;
    VerifierReader reader = {.read = absent, .context = &calls, .space = VERIFIER_SPACE_VIRTUAL,
                             .machine = VERIFIER_MACHINE_X64, .ps_loaded_module_list = 0xfffff80000001000};
    CHECK(verifier_open_reader(&reader, argv[2], &none) != VERIFIER_STATUS_OK && calls);
    CHECK(strstr(last().message, "0xfffff80000001000") && strstr(last().message, "42"));
    reader.machine = 1;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    reader.machine = VERIFIER_MACHINE_X64, reader.space = 3;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    reader.read = NULL;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);

    /* Views: the wrong kind, the wrong number, nowhere to put it. */
    CHECK(verifier_open_file(argv[1], argv[2], &session) == VERIFIER_STATUS_OK);
    VerifierDriver driver;
    VerifierAllocation block;
    VerifierFrame frame;
    VerifierReach reach;
    VerifierProblem problem;
    uint64_t value;
    uint32_t level;
    CHECK(verifier_level(session, &level) == VERIFIER_STATUS_OK && level == 8);
    CHECK(verifier_level(session, NULL) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_drivers(session, &view) == VERIFIER_STATUS_OK && verifier_view_count(view) == 1);
    CHECK(verifier_driver_at(view, 0, &driver) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(driver.name, "myfault.sys") && driver.state == VERIFIER_DRIVER_STATE_LOADED && driver.base);
    CHECK(verifier_driver_at(view, 1, &driver) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(!strcmp(last().message, "there are 1 drivers, no 1"));
    CHECK(verifier_driver_at(view, 0, NULL) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_driver_at(view, 0, (VerifierDriver *)((char *)&driver + 1)) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_driver_counter(view, 0, "CurrentNonPagedPoolAllocations", &value) == VERIFIER_STATUS_OK);
    CHECK(value == 10);
    CHECK(verifier_driver_counter(view, 0, "Nonsense", &value) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(verifier_driver_counter(view, 0, NULL, &value) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_allocation_at(view, 0, &block) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(!strcmp(last().message, "the view holds drivers, not allocations"));
    CHECK(verifier_frame_at(view, 0, 0, &frame) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_reach(view, &reach) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_view_problem_at(view, 0, &problem) == VERIFIER_STATUS_NOT_FOUND);
    verifier_view_free(view);
    CHECK(verifier_leaks(session, "myfault.sys", &view) == VERIFIER_STATUS_OK);
    CHECK(verifier_group_block_at(view, 0, 9, &block) == VERIFIER_STATUS_OK && block.size == 0xfb000);
    CHECK(block.source == VERIFIER_SOURCE_TRACKER);
    CHECK(verifier_group_block_at(view, 0, 10, &block) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(verifier_frame_at(view, 0, 2, &frame) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(frame.symbol, "myfault!MyfaultDeviceControl+0x358"));
    CHECK(verifier_frame_at(view, 0, SIZE_MAX, &frame) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(verifier_reach(view, &reach) == VERIFIER_STATUS_OK && reach.capacity && reach.written == 12);

    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) CHECK(!pthread_create(&threads[i], NULL, thread, (void *)i));
    for (int i = 0; i < 4; i++) CHECK(!pthread_join(threads[i], NULL));

    /* A view outlives its session. */
    verifier_session_free(session);
    CHECK(verifier_frame_at(view, 0, 2, &frame) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(frame.symbol, "myfault!MyfaultDeviceControl+0x358"));
    verifier_view_free(view);

    /* Without the kernel's symbols there are fewer names, and a problem that says which file is wanted. */
    CHECK(verifier_open_file(argv[1], argv[3], &session) == VERIFIER_STATUS_OK);
    CHECK(verifier_leaks(session, NULL, &view) == VERIFIER_STATUS_OK && verifier_view_problem_count(view));
    CHECK(verifier_frame_at(view, 0, 2, &frame) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(frame.symbol, "myfault+0x1634"));
    CHECK(verifier_view_problem_at(view, 0, &problem) == VERIFIER_STATUS_OK);
    CHECK(problem.place == VERIFIER_PLACE_NONE && !strcmp(problem.what, "the kernel's symbols"));
    CHECK(strstr(problem.why, "ntkrnlmp.pdb") && strstr(problem.why, argv[3]));
    verifier_view_free(view);
    verifier_session_free(session);
    puts("misuse: done");
    return 0;
}
