/* Start method spawn: our program is executed anew.
 * SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "proc/freeze.h"
#include "proc/start.h"
#include "shm/arena.h"

static int fill_order(struct mp__freeze *order, const struct child *child, const int *more,
                      size_t more_count) {
    order->count = mp__start_descriptors(child, order->descriptors);
    if (order->count < 0)
        return order->count;
    for (size_t i = 0; i < more_count; i++)
        order->descriptors[order->count++] = more[i];
    order->arena = mp__arena_descriptor();
    order->address = (uint64_t)(uintptr_t)mp__arena->address;
    order->size = mp__arena->size;
    order->launch = mp__launch_name(child->launch);
    order->has_sentinel = child->sentinel.child_end >= 0;
    order->has_lifeline = child->lifeline.child_end >= 0;
    return 0;
}

static pid_t execute(const struct mp__freeze *order, int image, const char *path,
                     const char *argv0) {
    char text[MP__FREEZE_TEXT];
    int kept[MP__PASS_MAX + 1];
    char *argv[] = {(char *)argv0, (char *)MP__FREEZE_MARK, text, NULL};
    mp__freeze_print(order, text);
    memcpy(kept, order->descriptors, (size_t)order->count * sizeof *kept);
    kept[order->count] = order->arena;
    struct mp__exec exec = {
        .image = image,
        .path = path,
        .argv = argv,
        .descriptors = kept,
        .descriptor_count = (size_t)order->count + 1,
    };
    return mp__child_exec(&exec);
}

static int spawn(struct child *child, const struct mp__freeze *order, int image, const char *path,
                 const char *argv0) {
    pid_t pid = execute(order, image, path, argv0);
    MP__POINT("spawn.start.executed");
    if (pid < 0)
        return mp__fail((int)pid, "mp_process_start: executing '%s'", path ? path : argv0);
    return mp__start_born(child, pid);
}

int mp__start_spawn_with(struct child *child, const int *descriptors, size_t count) {
    struct mp__freeze order = {0};
    int image;
    char *path;
    const char *argv0;
    int code = mp__freeze_program(&image, &path, &argv0);
    if (code < 0)
        return code;
    mp__start_lock();
    code = mp__start_prepare(child);
    if (code == 0)
        code = fill_order(&order, child, descriptors, count);
    if (code == 0)
        code = spawn(child, &order, image, path, argv0);
    mp__start_unlock();
    free(path);
    return code;
}

int mp__start_spawn(struct child *child) {
    return mp__start_spawn_with(child, NULL, 0);
}
