/* mp_freeze_support: the first line of main(), and all there is to it for a spawned child.
 * SPDX-License-Identifier: MIT */
#include "proc/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/fail.h"
#include "mp/context.h"
#include "os/child.h"
#include "os/descriptor.h"
#include "proc/bootstrap.h"
#include "proc/context.h"
#include "proc/launch.h"
#include "shm/arena.h"

#define PAGE UINT64_C(4096)
#define CODE_NOT_BEGUN 255

static struct {
    _Atomic int image; /* our program's file; -1: not opened */
    const char *argv0; /* main's; NULL: mp_freeze_support() was not called */
} frozen = {.image = -1};

void (*mp__freeze_foreign)(int argc, char **argv);

/* Once; again when it failed, for want of descriptors. The kernel knows what we execute, whatever
 * lies at that path by now. */
static int open_image(void) {
    int none = -1;
    if (atomic_load(&frozen.image) >= 0)
        return 0;
    int image = mp__child_own_image();
    if (image < 0)
        return mp__fail(image, "the program's own file cannot be opened");
    if (!atomic_compare_exchange_strong(&frozen.image, &none, image))
        mp__descriptor_close(image);
    return 0;
}

int mp__freeze_program(int *image, char **path, const char **argv0) {
    *path = mp__context_executable();
    if (!*path && !frozen.argv0)
        return mp__fail(
            MP_ENOTMAIN,
            "mp_process_start: spawn and forkserver execute this program again, and its "
            "main() must expect that. Add as the first line of main(): "
            "mp_freeze_support(argc, argv);");
    int code = *path ? 0 : open_image();
    if (code < 0)
        return code;
    *image = *path ? -1 : atomic_load(&frozen.image);
    *argv0 = *path ? *path : frozen.argv0;
    return 0;
}

void mp__freeze_print(const struct mp__freeze *order, char text[MP__FREEZE_TEXT]) {
    int used = snprintf(text, MP__FREEZE_TEXT, "%d,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%d,%d,%d",
                        order->arena, order->address, order->size, order->launch,
                        order->has_sentinel, order->has_lifeline, order->count);
    for (int i = 0; i < order->count; i++)
        used +=
            snprintf(text + used, (size_t)(MP__FREEZE_TEXT - used), ",%d", order->descriptors[i]);
}

/* One number up to `most`; a comma before it but for the first. */
static bool take_number(const char **text, uint64_t most, uint64_t *out) {
    if (**text == ',')
        ++*text;
    if (**text < '0' || **text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(*text, &end, 10);
    *text = end;
    *out = value;
    return errno == 0 && value <= most;
}

static bool take_int(const char **text, int most, int *out) {
    uint64_t value;
    if (!take_number(text, (uint64_t)most, &value))
        return false;
    *out = (int)value;
    return true;
}

bool mp__freeze_parse(struct mp__freeze *out, const char *text) {
    if (!take_int(&text, INT32_MAX, &out->arena) ||
        !take_number(&text, UINT64_MAX, &out->address) ||
        !take_number(&text, UINT64_MAX, &out->size) ||
        !take_number(&text, UINT64_MAX, &out->launch) || !take_int(&text, 1, &out->has_sentinel) ||
        !take_int(&text, 1, &out->has_lifeline) || !take_int(&text, MP__PASS_MAX, &out->count))
        return false;
    for (int i = 0; i < out->count; i++)
        if (!take_int(&text, INT32_MAX, &out->descriptors[i]))
            return false;
    return *text == 0 && mp__launch_name_offset(out->launch) < out->size &&
           out->has_sentinel + out->has_lifeline <= out->count;
}

/* Where the arena cannot be mapped, its record still can: anywhere. */
static void report_unattached(const struct mp__freeze *order, int code) {
    uint64_t offset = mp__launch_name_offset(order->launch);
    uint64_t start = offset & ~(PAGE - 1);
    char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, order->arena, (off_t)start);
    if (page == MAP_FAILED)
        return;
    mp__fail(code,
             "the shared memory cannot be mapped in the child at the address it has in its parent "
             "(%#" PRIx64 ")",
             order->address);
    struct mp__launch launch = {.shared = (struct launch_shared *)(page + (offset - start)),
                                .use = mp__launch_name_use(order->launch)};
    mp__launch_fail(launch, code);
}

static void keep_from_exec(const struct mp__freeze *order) {
    (void)fcntl(order->arena, F_SETFD, FD_CLOEXEC);
    for (int i = 0; i < order->count; i++)
        (void)fcntl(order->descriptors[i], F_SETFD, FD_CLOEXEC);
}

static void become_child(const char *text) __attribute__((noreturn));

static void become_child(const char *text) {
    static struct mp__freeze order; /* the bootstrap points into it for life */
    if (!text || !mp__freeze_parse(&order, text))
        _exit(CODE_NOT_BEGUN);
    keep_from_exec(&order);
    int code = mp__arena_attach(order.arena, (void *)(uintptr_t)order.address, order.size);
    if (code < 0) {
        report_unattached(&order, code);
        _exit(CODE_NOT_BEGUN);
    }
    int first = order.has_sentinel + order.has_lifeline;
    struct mp__bootstrap how = {
        .launch = mp__launch_named(order.launch),
        .is_clean = true,
        .sentinel_end = order.has_sentinel ? order.descriptors[0] : -1,
        .lifeline_end = order.has_lifeline ? order.descriptors[order.has_sentinel] : -1,
        .descriptors = order.descriptors + first,
        .descriptor_count = (size_t)(order.count - first),
    };
    mp__bootstrap(&how);
}

int mp_freeze_support(int argc, char **argv) {
    if (!argv || argc < 0)
        return mp__fail(MP_EINVAL, "mp_freeze_support: give it main's argc and argv");
    if (!frozen.argv0)
        frozen.argv0 = argc > 0 && argv[0] ? argv[0] : "";
    if (mp__freeze_foreign)
        mp__freeze_foreign(argc, argv);
    if (argc > 1 && argv[1] && strcmp(argv[1], MP__FREEZE_MARK) == 0)
        become_child(argc > 2 ? argv[2] : NULL); /* opens it when it starts others that way */
    return open_image();
}
