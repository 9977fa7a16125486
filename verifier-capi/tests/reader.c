/* What a reader of an image is asked for until the image is open, with and without the flag that the image
 * does not change; a log of IRQL transitions; and the bug check that the kernel noted in memory.
 *
 *     reader IMAGE DTB PS_LOADED_MODULE_LIST SYMBOLS
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "verifier.h"

#define CHECK(what) do { if (!(what)) { printf("line %d: %s\n", __LINE__, #what); exit(1); } } while (0)

static int image;

static int32_t read_image(void *context, uint64_t address, void *buffer, size_t size) {
    ++*(size_t *)context;
    return pread(image, buffer, size, (off_t)address) == (ssize_t)size ? 0 : -1;
}

static size_t calls_to_open(uint32_t flags, char **argv) {
    size_t calls = 0;
    VerifierSession *session;
    VerifierView *view;
    VerifierReader reader = {
        .size = sizeof reader, .flags = flags, .space = VERIFIER_SPACE_PHYSICAL, .machine = VERIFIER_MACHINE_X64,
        .read = read_image, .context = &calls, .directory_table_base = strtoull(argv[2], NULL, 0),
        .ps_loaded_module_list = strtoull(argv[3], NULL, 0),
    };
    CHECK(verifier_open_reader(&reader, argv[4], &session) == VERIFIER_STATUS_OK);
    size_t to_open = calls;
    VerifierBugCheck stop;
    CHECK(verifier_bug_check(session, &view) == VERIFIER_STATUS_OK);
    CHECK(verifier_bug_check_at(view, 0, &stop, sizeof stop) == VERIFIER_STATUS_OK);
    CHECK(stop.code == 0xc6 && stop.parameters[1] == 7);
    verifier_view_free(view);

    CHECK(verifier_event_log(session, VERIFIER_EVENT_KIND_IRQL, SIZE_MAX, 0, &view) == VERIFIER_STATUS_OK);
    VerifierReach reach;
    VerifierEvent event;
    VerifierField field;
    VerifierFrame frame;
    CHECK(verifier_view_count(view) == 2);
    CHECK(verifier_reach(view, &reach, sizeof reach) == VERIFIER_STATUS_OK);
    CHECK(reach.written == 2 && reach.is_ordered == 1 && !reach.empty_because);
    CHECK(verifier_event_at(view, 0, &event, sizeof event) == VERIFIER_STATUS_OK);
    CHECK(event.slot == 2 && event.fields == 10 && event.frames == 2);
    CHECK(event.impossible == VERIFIER_IMPOSSIBLE_VALUE_NOTHING);
    CHECK(verifier_frame_at(view, 0, 0, &frame, sizeof frame) == VERIFIER_STATUS_OK && frame.address);
    uint64_t want[] = {0xfffffa80044ceb60, 2, 1, 3, 77};
    /* The slot is the first field; after the numbers are the mark of a damaged record, and the stack. */
    for (size_t i = 0; i < 5; i++) {
        CHECK(verifier_field_at(view, 0, i + 1, &field, sizeof field) == VERIFIER_STATUS_OK);
        CHECK(field.value == want[i] && field.is_present && !field.text);
        CHECK(field.kind == (i ? VERIFIER_FIELD_KIND_SIGNED : VERIFIER_FIELD_KIND_ADDRESS));
    }
    CHECK(!strcmp(field.name, "tick"));
    CHECK(verifier_field_at(view, 0, 6, &field, sizeof field) == VERIFIER_STATUS_OK);
    CHECK(field.kind == VERIFIER_FIELD_KIND_TEXT && !field.is_present && !field.text);
    CHECK(verifier_field_at(view, 0, 7, &field, sizeof field) == VERIFIER_STATUS_OK);
    CHECK(field.kind == VERIFIER_FIELD_KIND_STACK && field.value == 2);
    /* The kernel has no lines of source code. */
    CHECK(verifier_field_at(view, 0, 8, &field, sizeof field) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(field.name, "file") && field.kind == VERIFIER_FIELD_KIND_TEXT && !field.is_present);
    CHECK(verifier_field_at(view, 0, 9, &field, sizeof field) == VERIFIER_STATUS_OK);
    CHECK(!strcmp(field.name, "line") && field.kind == VERIFIER_FIELD_KIND_NUMBER && !field.is_present);
    CHECK(verifier_field_at(view, 0, 10, &field, sizeof field) == VERIFIER_STATUS_NOT_FOUND);
    verifier_view_free(view);
    /* One thread's records only. */
    CHECK(verifier_event_log(session, VERIFIER_EVENT_KIND_IRQL, SIZE_MAX, want[0], &view) == VERIFIER_STATUS_OK);
    CHECK(verifier_view_count(view) == 1);
    verifier_view_free(view);
    verifier_session_free(session);
    return to_open;
}

int main(int argc, char **argv) {
    CHECK(argc == 5 && (image = open(argv[1], O_RDONLY)) >= 0);
    size_t moving = calls_to_open(0, argv), stable = calls_to_open(VERIFIER_READER_STABLE, argv);
    if (stable * 2 >= moving) printf("%zu calls, %zu of a stable reader\n", moving, stable);
    CHECK(stable * 2 < moving);
    puts("reader: done");
    return 0;
}
