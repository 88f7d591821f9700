/* The table of starts.
 * SPDX-License-Identifier: MIT */
#include "proc/launch.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/futex.h"
#include "os/memory.h"
#include "proc/section.h"

#define USE_SHIFT 17
#define STATE_BITS 2
#define USE_MASK (UINT32_MAX >> USE_SHIFT)
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

static uint32_t state_word(uint32_t use, enum mp__launch_state state) {
    return use << STATE_BITS | (uint32_t)state;
}

/* The use comes first: whoever then reads anything of this start finds that, too. */
static void prepare_record(struct launch_shared *record, struct process_shared *process) {
    uint32_t use = (atomic_load(&record->end) >> USE_SHIFT) + 1;
    atomic_store(&record->end, use << USE_SHIFT);
    atomic_store(&record->child, 0);
    atomic_store(&record->process, process);
    atomic_store(&record->cpu, 0);
    atomic_store(&record->state, state_word(use & USE_MASK, MP__LAUNCH_UNDER_WAY));
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
    return (struct mp__launch){record, mp__launch_name_use(name)};
}

void mp__launch_expect_next(struct mp__launch last) {
    size_t left = (size_t)(mp__section()->launches + MP__LAUNCH_MAX - last.shared);
    size_t count = left < 2 * MP__LAUNCH_AHEAD ? left : 2 * MP__LAUNCH_AHEAD;
    mp__memory_populate(last.shared, count * sizeof *last.shared);
}

void mp__launch_end(struct mp__launch launch, int code) {
    uint32_t none = launch.use << USE_SHIFT;
    uint32_t known = none | KNOWN | (uint32_t)(code + CODE_BIAS);
    (void)atomic_compare_exchange_strong(&launch.shared->end, &none, known);
    MP__POINT("launch.end.written");
}

void mp__launch_bury(struct mp__launch launch, int code, mp__time cpu) {
    if (atomic_load(&launch.shared->end) >> USE_SHIFT == launch.use)
        atomic_store(&launch.shared->cpu, cpu);
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

mp__time mp__launch_cpu(struct mp__launch launch) {
    return atomic_load(&launch.shared->cpu);
}

void mp__launch_await_code(struct mp__launch launch, mp__time deadline) {
    (void)mp__futex_wait(&launch.shared->end, launch.use << USE_SHIFT, deadline);
}

int mp__launch_read(struct mp__launch launch, struct mp__launch_facts *out) {
    const struct launch_shared *record = launch.shared;
    out->child = atomic_load(&record->child);
    out->maker = atomic_load(&record->taker);
    out->process = atomic_load(&record->process);
    if (atomic_load(&record->end) >> USE_SHIFT == launch.use)
        return 0;
    return mp__fail(MP_ESTATE, "process %d comes too late: its start was given up", (int)getpid());
}

static bool change_state(struct mp__launch launch, enum mp__launch_state from,
                         enum mp__launch_state to) {
    uint32_t word = state_word(launch.use, from);
    bool is_changed =
        atomic_compare_exchange_strong(&launch.shared->state, &word, state_word(launch.use, to));
    MP__POINT("launch.state.changed");
    return is_changed;
}

void mp__launch_runs(struct mp__launch launch, bool is_awaited) {
    if (change_state(launch, MP__LAUNCH_UNDER_WAY, MP__LAUNCH_RUNS) && is_awaited)
        mp__futex_wake(&launch.shared->state, MP__WAKE_ALL);
    MP__POINT("launch.runs.reported");
}

void mp__launch_fail(struct mp__launch launch, int code) {
    struct launch_shared *record = launch.shared;
    if (!change_state(launch, MP__LAUNCH_UNDER_WAY, MP__LAUNCH_FAILING))
        return;
    snprintf(record->detail, sizeof record->detail, "%s", mp_error_detail());
    atomic_store(&record->failure, code);
    MP__POINT("launch.fail.written");
    if (change_state(launch, MP__LAUNCH_FAILING, MP__LAUNCH_FAILED))
        mp__futex_wake(&record->state, MP__WAKE_ALL);
}

enum mp__launch_state mp__launch_state(struct mp__launch launch) {
    uint32_t word = atomic_load(&launch.shared->state);
    return (enum mp__launch_state)(word & ((1U << STATE_BITS) - 1));
}

void mp__launch_await_state(struct mp__launch launch, mp__time deadline) {
    uint32_t word = atomic_load(&launch.shared->state);
    if (word == state_word(launch.use, MP__LAUNCH_UNDER_WAY) ||
        word == state_word(launch.use, MP__LAUNCH_FAILING))
        (void)mp__futex_wait(&launch.shared->state, word, deadline);
}
