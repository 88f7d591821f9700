/* The table of starts.
 * SPDX-License-Identifier: MIT */
#include "proc/launch.h"

#include <errno.h>
#include <stdio.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/futex.h"
#include "proc/section.h"

#define USE_SHIFT 17
#define KNOWN (UINT32_C(1) << 16)
#define CODE_BIAS 256 /* codes are -64..255 */

_Static_assert(sizeof(struct launch_shared) == 256, "a record is four cache lines");

static _Atomic uint32_t next_record; /* where to look first; this process's */

static bool is_abandoned(const struct launch_shared *record, mp__member_ref taker) {
    return !mp__member_is_alive(taker) && !mp__member_is_alive(atomic_load(&record->child));
}

/* Free, or both who used it are dead. */
static bool take_record(struct launch_shared *record, mp__member_ref self, bool is_full) {
    uint64_t taker = atomic_load(&record->taker);
    if (taker != 0 && (!is_full || taker == self || !is_abandoned(record, taker)))
        return false;
    return atomic_compare_exchange_strong(&record->taker, &taker, self);
}

static struct launch_shared *find_record(mp__member_ref self, bool is_full) {
    struct launch_shared *records = mp__section()->launches;
    uint32_t start = atomic_load(&next_record);
    for (uint32_t i = 0; i < MP__LAUNCH_MAX; i++) {
        uint32_t index = (start + i) % MP__LAUNCH_MAX;
        if (!take_record(&records[index], self, is_full))
            continue;
        atomic_store(&next_record, index + 1);
        return &records[index];
    }
    return NULL;
}

static void prepare_record(struct launch_shared *record, struct process_shared *process) {
    uint32_t use = (atomic_load(&record->end) >> USE_SHIFT) + 1;
    atomic_store(&record->end, use << USE_SHIFT);
    atomic_store(&record->child, 0);
    atomic_store(&record->process, process);
    atomic_store(&record->state, MP__LAUNCH_UNDER_WAY);
}

int mp__launch_take(struct mp__launch *out, struct process_shared *process) {
    mp__member_ref self = mp__member_self();
    if (self == 0)
        return -EAGAIN;
    struct launch_shared *record = find_record(self, false);
    if (!record)
        record = find_record(self, true);
    if (!record)
        return mp__fail(-EAGAIN, "%d children are on their way, the limit: join some of them",
                        MP__LAUNCH_MAX);
    MP__POINT("launch.take.taken");
    prepare_record(record, process);
    MP__POINT("launch.take.prepared");
    mp__member_ref child;
    int code = mp__member_reserve(&child);
    if (code < 0) {
        atomic_store(&record->taker, 0);
        return code;
    }
    atomic_store(&record->child, child);
    MP__POINT("launch.take.reserved");
    *out = (struct mp__launch){record, atomic_load(&record->end) >> USE_SHIFT};
    return 0;
}

void mp__launch_free(struct mp__launch launch) {
    if (launch.shared)
        atomic_store(&launch.shared->taker, 0);
    MP__POINT("launch.free.freed");
}

uint64_t mp__launch_name(struct mp__launch launch) {
    return (uint64_t)((char *)launch.shared - (char *)mp__arena) << 16 | launch.use;
}

struct mp__launch mp__launch_named(uint64_t name) {
    struct launch_shared *record =
        (struct launch_shared *)((char *)mp__arena + mp__launch_name_offset(name));
    return (struct mp__launch){record, (uint32_t)(name & 0xffff)};
}

void mp__launch_end(struct mp__launch launch, int code) {
    uint32_t none = launch.use << USE_SHIFT;
    uint32_t known = none | KNOWN | (uint32_t)(code + CODE_BIAS);
    (void)atomic_compare_exchange_strong(&launch.shared->end, &none, known);
    MP__POINT("launch.end.written");
}

void mp__launch_bury(struct mp__launch launch, int code) {
    mp__launch_end(launch, code);
    mp__futex_wake(&launch.shared->end, MP__WAKE_ALL);
}

bool mp__launch_code(struct mp__launch launch, int *code) {
    uint32_t end = atomic_load(&launch.shared->end);
    if (end >> USE_SHIFT != launch.use || !(end & KNOWN))
        return false;
    *code = (int)(end & (KNOWN - 1)) - CODE_BIAS;
    return true;
}

void mp__launch_await_code(struct mp__launch launch, mp__time deadline) {
    (void)mp__futex_wait(&launch.shared->end, launch.use << USE_SHIFT, deadline);
}

void mp__launch_runs(struct mp__launch launch, bool is_awaited) {
    atomic_store(&launch.shared->state, MP__LAUNCH_RUNS);
    if (is_awaited)
        mp__futex_wake(&launch.shared->state, MP__WAKE_ALL);
    MP__POINT("launch.runs.reported");
}

void mp__launch_fail(struct launch_shared *shared, int code) {
    snprintf(shared->detail, sizeof shared->detail, "%s", mp_error_detail());
    atomic_store(&shared->failure, code);
    MP__POINT("launch.fail.written");
    atomic_store(&shared->state, MP__LAUNCH_FAILED);
    mp__futex_wake(&shared->state, MP__WAKE_ALL);
}
