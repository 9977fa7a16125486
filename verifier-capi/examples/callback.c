/* Uses the library over memory that this program reads: an image of physical memory, page by page.
 *
 *     callback IMAGE DTB PS_LOADED_MODULE_LIST SYMBOLS
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <fcntl.h>

#include "verifier.h"

/* pread does not use a file position, so any number of threads may call this. */
static int32_t read_image(void *context, uint64_t address, void *buffer, size_t size) {
    ssize_t got = pread(*(int *)context, buffer, size, (off_t)address);
    return got == (ssize_t)size ? 0 : -1;
}

static int complain(void) {
    VerifierError error;
    verifier_last_error(&error, sizeof error);
    fprintf(stderr, "callback: %s\n", error.message);
    return 1;
}

int main(int argc, char **argv) {
    VerifierSession *session;
    VerifierView *view;
    VerifierAllocation block;
    if (argc != 5) return fprintf(stderr, "usage: callback IMAGE DTB PS_LOADED_MODULE_LIST SYMBOLS\n"), 2;
    int image = open(argv[1], O_RDONLY);
    if (image < 0) return perror(argv[1]), 1;
    VerifierReader reader = {
        .size = sizeof reader,
        .flags = VERIFIER_READER_STABLE, /* the image does not change while it is read */
        .space = VERIFIER_SPACE_PHYSICAL,
        .machine = VERIFIER_MACHINE_X64,
        .read = read_image,
        .context = &image,
        .directory_table_base = strtoull(argv[2], NULL, 0),
        .ps_loaded_module_list = strtoull(argv[3], NULL, 0),
    };
    if (verifier_open_reader(&reader, argv[4], &session) != VERIFIER_STATUS_OK) return complain();
    if (verifier_pool(session, NULL, &view) != VERIFIER_STATUS_OK) return complain();
    for (size_t i = 0; i < verifier_view_count(view); i++) {
        if (verifier_allocation_at(view, i, &block, sizeof block) != VERIFIER_STATUS_OK) return complain();
        printf("%s %s %016" PRIx64 " %#" PRIx64 " %s\n", block.driver, block.tag, block.address, block.size,
               block.caller_symbol ? block.caller_symbol : "?");
    }
    /* Only a complete view shows all allocations. */
    if (verifier_view_extent(view) != VERIFIER_EXTENT_COMPLETE) puts("not complete: more may be outstanding");
    verifier_view_free(view);
    verifier_session_free(session);
    close(image);
    return 0;
}
