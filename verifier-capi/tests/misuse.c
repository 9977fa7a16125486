/* What a careless caller does, and what the header promises then; and one session on many threads. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verifier.h"

#define CHECK(what) do { if (!(what)) { printf("line %d: %s\n", __LINE__, #what); exit(1); } } while (0)

/* A record and its size, as the functions that fill one take them. */
#define INTO(record) &(record), sizeof(record)

static VerifierSession *session;

static VerifierError last(void) {
    VerifierError error;
    CHECK(verifier_last_error(INTO(error)) == VERIFIER_STATUS_OK);
    return error;
}

static void *thread(void *number) {
    VerifierView *view, *none;
    VerifierGroup group;
    CHECK(verifier_leaks(session, NULL, &view) == VERIFIER_STATUS_OK);
    CHECK(verifier_group_at(view, 0, INTO(group)) == VERIFIER_STATUS_OK);
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
    CHECK(verifier_last_error(NULL, sizeof(VerifierError)) == VERIFIER_STATUS_BAD_ARGUMENT);

    /* NULL for what must not be NULL. */
    CHECK(verifier_open_file(NULL, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT && !none);
    CHECK(verifier_open_file(argv[1], argv[2], NULL) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(!strcmp(last().message, "session is NULL"));
    CHECK(verifier_open_reader(NULL, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_leaks(NULL, NULL, &view) == VERIFIER_STATUS_BAD_ARGUMENT && !view);
    CHECK(verifier_view_count(NULL) == 0 && verifier_view_problem_count(NULL) == 0);
    verifier_view_free(NULL);
    verifier_session_free(NULL);

    /* Not text, not a file, not a dump, not a symbol path. */
    CHECK(verifier_open_file("\xff", argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_open_file("/nowhere", argv[2], &none) == VERIFIER_STATUS_FILE);
    CHECK(verifier_open_file(argv[1], "what*is*this", &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_open_file(argv[0], argv[2], &none) == VERIFIER_STATUS_MALFORMED);
    CHECK(last().place == VERIFIER_PLACE_FILE && strstr(last().message, "file offset"));

    /* A reader that reads nothing, and readers that are none. */
    int calls = 0;
    VerifierReader reader = {.size = sizeof reader, .read = absent, .context = &calls, .space = VERIFIER_SPACE_VIRTUAL,
                             .machine = VERIFIER_MACHINE_X64, .ps_loaded_module_list = 0xfffff80000001000};
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_ABSENT && calls);
    CHECK(last().place == VERIFIER_PLACE_VIRTUAL && last().address == 0xfffff80000001000);
    CHECK(strstr(last().message, "0xfffff80000001000") && strstr(last().message, "42"));
    reader.space = VERIFIER_SPACE_PHYSICAL, reader.directory_table_base = 0x1a0000;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_ABSENT);
    CHECK(last().place == VERIFIER_PLACE_VIRTUAL && last().address == 0xfffff80000001000);
    CHECK(strstr(last().message, "page table entry at physical 0x1a0f80"));

    /* Sizes that no version has, and fields that this version does not know. */
    struct { VerifierReader reader; uint64_t newer; } grown = {.reader = reader, .newer = 0};
    grown.reader.size = sizeof grown;
    CHECK(verifier_open_reader(&grown.reader, argv[2], &none) == VERIFIER_STATUS_ABSENT);
    grown.newer = 1;
    CHECK(verifier_open_reader(&grown.reader, argv[2], &none) == VERIFIER_STATUS_UNSUPPORTED);
    reader.size = 0;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_BAD_SIZE);
    reader.size = sizeof reader - 1;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_BAD_SIZE);
    reader.size = sizeof reader, reader.flags = 2;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_UNSUPPORTED);
    reader.flags = 0, reader.reserved = 1;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_UNSUPPORTED);
    reader.reserved = 0, reader.space = VERIFIER_SPACE_VIRTUAL;
    reader.machine = 1;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    reader.machine = VERIFIER_MACHINE_X64, reader.space = 3;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);
    reader.read = NULL;
    CHECK(verifier_open_reader(&reader, argv[2], &none) == VERIFIER_STATUS_BAD_ARGUMENT);

    /* Views: the wrong kind, the wrong number, no struct to fill. */
    CHECK(verifier_open_file(argv[1], argv[2], &session) == VERIFIER_STATUS_OK);
    VerifierDriver driver;
    VerifierAllocation block;
    VerifierFrame frame;
    VerifierGroup group;
    VerifierReach reach;
    VerifierProblem problem;
    VerifierUnloadLeak leak;
    uint64_t value;
    uint32_t level;
    CHECK(verifier_level(session, &level) == VERIFIER_STATUS_OK && level == 8);
    CHECK(verifier_level(session, NULL) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_drivers(session, &view) == VERIFIER_STATUS_OK && verifier_view_count(view) == 1);
    CHECK(verifier_driver_at(view, 0, INTO(driver)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(driver.name, "myfault.sys") && driver.state == VERIFIER_DRIVER_STATE_LOADED && driver.base);
    /* The end of a list is none of the errors that are kept. */
    CHECK(last().status == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_driver_at(view, 1, INTO(driver)) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(last().status == VERIFIER_STATUS_BAD_ARGUMENT && !strcmp(last().message, "level is NULL"));
    CHECK(verifier_driver_at(view, 0, &driver, sizeof driver - 1) == VERIFIER_STATUS_BAD_SIZE);
    CHECK(verifier_driver_at(view, 0, &driver, SIZE_MAX) == VERIFIER_STATUS_BAD_SIZE);
    struct { VerifierDriver driver; uint64_t newer; } more = {.newer = 1};
    CHECK(verifier_driver_at(view, 0, &more.driver, sizeof more) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(more.driver.name, "myfault.sys") && more.newer == 0);
    CHECK(verifier_driver_at(view, 0, NULL, sizeof driver) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_driver_at(view, 0, (VerifierDriver *)((char *)&driver + 1), sizeof driver) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_driver_counter(view, 0, "CurrentNonPagedPoolAllocations", &value) == VERIFIER_STATUS_OK);
    CHECK(value == 10);
    CHECK(verifier_driver_counter(view, 0, "Nonsense", &value) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(verifier_driver_counter(view, 0, NULL, &value) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_allocation_at(view, 0, INTO(block)) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(!strcmp(last().message, "the view holds drivers, not allocations"));
    CHECK(verifier_frame_at(view, 0, 0, INTO(frame)) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_reach(view, INTO(reach)) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_unload_leak(view, INTO(leak)) == VERIFIER_STATUS_BAD_ARGUMENT);
    CHECK(verifier_view_problem_at(view, 0, INTO(problem)) == VERIFIER_STATUS_NOT_FOUND);
    verifier_view_free(view);
    CHECK(verifier_leaks(session, "myfault.sys", &view) == VERIFIER_STATUS_OK);
    CHECK(verifier_group_block_at(view, 0, 9, INTO(block)) == VERIFIER_STATUS_OK && block.size == 0xfb000);
    CHECK(block.source == VERIFIER_SOURCE_TRACKER);
    CHECK(verifier_group_block_at(view, 0, 10, INTO(block)) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(verifier_frame_at(view, 0, 2, INTO(frame)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(frame.symbol, "myfault!MyfaultDeviceControl+0x358"));
    CHECK(verifier_frame_at(view, 0, SIZE_MAX, INTO(frame)) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(verifier_unload_leak(view, INTO(leak)) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(verifier_reach(view, INTO(reach)) == VERIFIER_STATUS_OK && reach.capacity && reach.written == 12);

    pthread_t threads[4];
    for (intptr_t i = 0; i < 4; i++) CHECK(!pthread_create(&threads[i], NULL, thread, (void *)i));
    for (int i = 0; i < 4; i++) CHECK(!pthread_join(threads[i], NULL));

    /* The other logs, the history of an address, images, the bug check. */
    VerifierView *other;
    VerifierHistoryRecord fact;
    VerifierModule module;
    VerifierBugCheck stop;
    VerifierEvent event;
    VerifierField field;
    CHECK(verifier_event_log(session, 7, SIZE_MAX, 0, &other) == VERIFIER_STATUS_BAD_ARGUMENT && !other);
    CHECK(verifier_event_log(session, VERIFIER_EVENT_KIND_FAULT, SIZE_MAX, 0, &other) == VERIFIER_STATUS_OK);
    CHECK(verifier_view_count(other) == 0 && verifier_reach(other, INTO(reach)) == VERIFIER_STATUS_OK);
    CHECK(reach.empty_because && *reach.empty_because);
    CHECK(verifier_event_at(other, 0, INTO(event)) == VERIFIER_STATUS_NOT_FOUND);
    CHECK(verifier_field_at(other, 0, 0, INTO(field)) == VERIFIER_STATUS_NOT_FOUND);
    verifier_view_free(other);
    /* The fields of drivers and allocations, by their description. */
    CHECK(verifier_drivers(session, &other) == VERIFIER_STATUS_OK);
    CHECK(verifier_field_at(other, 0, 0, INTO(field)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(field.name, "name") && !strcmp(field.text, "myfault.sys"));
    verifier_view_free(other);
    CHECK(verifier_pool(session, NULL, &other) == VERIFIER_STATUS_OK);
    CHECK(verifier_field_at(other, 0, 1, INTO(field)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(field.name, "address") && field.kind == VERIFIER_FIELD_KIND_ADDRESS && field.value);
    CHECK(verifier_field_at(other, 10, 0, INTO(field)) == VERIFIER_STATUS_NOT_FOUND);
    verifier_view_free(other);
    CHECK(verifier_watched_irps(session, SIZE_MAX, 0, &other) == VERIFIER_STATUS_OK);
    CHECK(verifier_field_at(other, 0, 0, INTO(field)) == VERIFIER_STATUS_NOT_FOUND);
    verifier_view_free(other);
    CHECK(verifier_history(session, 0xfffffa8005400010, &other) == VERIFIER_STATUS_OK);
    CHECK(verifier_view_count(other) >= 2);
    CHECK(verifier_history_record_at(other, 0, INTO(fact)) == VERIFIER_STATUS_OK);
    CHECK(fact.role == VERIFIER_ROLE_HELD && fact.address == 0xfffffa8005400000 && !strcmp(fact.tag, "Leak"));
    CHECK(!strcmp(fact.driver, "myfault.sys") && !strcmp(fact.caller_symbol, "myfault!MyfaultDeviceControl+0x358"));
    CHECK(verifier_history_record_at(other, 1, INTO(fact)) == VERIFIER_STATUS_OK);
    CHECK(fact.role == VERIFIER_ROLE_LOGGED && fact.operation == VERIFIER_OPERATION_ALLOCATE && fact.frames == 8);
    CHECK(fact.size == 0xfa000 && fact.thread == 0xfffffa80044ceb60);
    CHECK(verifier_frame_at(other, 1, 2, INTO(frame)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(frame.symbol, "myfault!MyfaultDeviceControl+0x358"));
    verifier_view_free(other);
    CHECK(verifier_modules(session, &other) == VERIFIER_STATUS_OK && verifier_view_count(other) > 1);
    CHECK(verifier_module_at(other, 0, INTO(module)) == VERIFIER_STATUS_OK && module.is_loaded);
    CHECK(!strcmp(module.symbol_name, "nt") && !strcmp(module.name, "ntoskrnl.exe") && module.base && module.size);
    CHECK(verifier_bug_check_at(other, 0, INTO(stop)) == VERIFIER_STATUS_BAD_ARGUMENT);
    verifier_view_free(other);
    CHECK(verifier_bug_check(session, &other) == VERIFIER_STATUS_OK && verifier_view_count(other) == 1);
    CHECK(verifier_bug_check_at(other, 0, INTO(stop)) == VERIFIER_STATUS_OK && stop.code == 0xc6);
    CHECK(!strcmp(stop.name, "DRIVER_CAUGHT_MODIFYING_FREED_POOL") && strstr(stop.meaning, "freed"));
    CHECK(stop.parameters[0] == 0xfffffa8005400000 && !strcmp(stop.parameter_names[0], "address accessed"));
    CHECK(!strcmp(stop.culprit, "myfault.sys") && !strcmp(stop.culprit_symbol, "myfault!MyfaultDeviceControl+0x358"));
    CHECK(strstr(stop.sentence, "is likely to blame") && !stop.culprit_is_certain && !stop.culprit_file);
    CHECK(verifier_bug_check_at(other, 1, INTO(stop)) == VERIFIER_STATUS_NOT_FOUND);
    verifier_view_free(other);
    /* The fields of its parameters, by their description. */
    CHECK(verifier_bug_check_parameters(session, &other) == VERIFIER_STATUS_OK && verifier_view_count(other) == 4);
    CHECK(verifier_field_at(other, 0, 2, INTO(field)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(field.name, "kind") && !strcmp(field.text, "pool"));
    CHECK(verifier_field_at(other, 1, 4, INTO(field)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(field.name, "text") && !strcmp(field.text, "write"));
    verifier_view_free(other);

    /* A handle that is not open any more, of the other kind, or never given. */
    VerifierSession *wrong = (VerifierSession *)view;
    CHECK(verifier_driver_at(other, 0, INTO(driver)) == VERIFIER_STATUS_INVALID_HANDLE);
    CHECK(strstr(last().message, "not an open view") && verifier_view_count(other) == 0);
    verifier_view_free(other);
    CHECK(verifier_drivers(wrong, &other) == VERIFIER_STATUS_INVALID_HANDLE && !other);
    verifier_session_free(wrong);
    CHECK(verifier_group_at((VerifierView *)session, 0, INTO(group)) == VERIFIER_STATUS_INVALID_HANDLE);
    CHECK(verifier_view_count((VerifierView *)argv) == 0);
    CHECK(verifier_group_at(view, 0, INTO(group)) == VERIFIER_STATUS_OK && group.count == 10);

    /* A view outlives its session. */
    verifier_session_free(session);
    CHECK(verifier_drivers(session, &other) == VERIFIER_STATUS_INVALID_HANDLE && !other);
    CHECK(verifier_level(session, &level) == VERIFIER_STATUS_INVALID_HANDLE);
    verifier_session_free(session);
    CHECK(verifier_frame_at(view, 0, 2, INTO(frame)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(frame.symbol, "myfault!MyfaultDeviceControl+0x358"));
    verifier_view_free(view);

    /* Without the kernel's symbols there are fewer names, and a problem that says which file is wanted. */
    CHECK(verifier_open_file(argv[1], argv[3], &session) == VERIFIER_STATUS_OK);
    CHECK(verifier_leaks(session, NULL, &view) == VERIFIER_STATUS_OK && verifier_view_problem_count(view));
    CHECK(verifier_frame_at(view, 0, 2, INTO(frame)) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(frame.symbol, "myfault+0x1634"));
    size_t number = 0;
    do CHECK(verifier_view_problem_at(view, number++, INTO(problem)) == VERIFIER_STATUS_OK);
    while (strcmp(problem.what, "symbols of the kernel"));
    CHECK(problem.place == VERIFIER_PLACE_VIRTUAL && problem.leaves == VERIFIER_EXTENT_COMPLETE);
    CHECK(strstr(problem.why, "ntkrnlmp.pdb") && strstr(problem.why, argv[3]));
    verifier_view_free(view);
    verifier_session_free(session);
    puts("misuse: done");
    return 0;
}
