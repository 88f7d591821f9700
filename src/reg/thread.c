/* Thread records: taken when a thread first uses libmp, given back when it ends.
 * SPDX-License-Identifier: MIT */
#include "reg/thread.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/fail.h"
#include "base/point.h"
#include "reg/recover.h"
#include "reg/registry.h"
#include "shm/heap.h"

_Thread_local struct thread_shared *mp__self_cached __attribute__((tls_model("initial-exec")));
_Thread_local struct mp__kept mp__kept[MP__KEPT] __attribute__((tls_model("initial-exec")));

static pthread_mutex_t key_mutex = PTHREAD_MUTEX_INITIALIZER; /* one makes the key */
static pthread_key_t key;    /* its destructor runs at a thread's end */
static _Atomic bool has_key; /* it is made */

static _Atomic bool has_joined; /* some thread of this process */

bool mp__thread_has_joined(void) {
    return atomic_load(&has_joined);
}

struct thread_shared *mp__thread_at(uint32_t index) {
    return &mp__registry->threads[index];
}

uint32_t mp__thread_high(void) {
    return mp__registry ? atomic_load(&mp__registry->thread_high) : 0;
}

bool mp__thread_is_alive(uint32_t index) {
    if (index == 0 || index >= MP__THREAD_MAX)
        return false;
    mp__member_ref ref = atomic_load(&mp__thread_at(index)->member);
    return ref != 0 && mp__member_is_alive(ref);
}

void mp__thread_free(struct thread_shared *record) {
    atomic_store(&record->wait_state, MP__WAIT_NONE);
    atomic_store(&record->wait_on, 0);
    atomic_store(&record->wait_ticket, 0);
    atomic_store(&record->blocked_on, 0);
    record->holding_count = 0;
    MP__POINT("thread.free.cleared");
    atomic_store(&record->member, 0);
}

void mp__kept_end(struct thread_shared *self) {
    for (unsigned i = 0; i < MP__KEPT; i++) {
        const struct mp__kept *kept = &mp__kept[i];
        if (kept->held && (atomic_load(kept->word) & (MP__THREAD_MAX - 1)) == self->index)
            continue;
        atomic_store(&self->kept[i], 0);
        MP__POINT("thread.kept.erased");
        mp__kept[i] = (struct mp__kept){0};
    }
}

/* What it still holds stays on record until the process dies: a lock may be released by another
 * thread later. */
static void end_thread(void *value) {
    struct thread_shared *record = value;
    if (record != mp__self_cached) /* left by mp__member_leave */
        return;
    mp__self_cached = NULL;
    mp__kept_end(record);
    memset(mp__kept, 0, sizeof mp__kept); /* what it still holds is on its record */
    bool is_empty = mp__holdings_are_empty(record);
    if (is_empty)
        mp__holdings_drop_chunks(record);
    mp__heap_leave();
    MP__POINT("thread.end.heap");
    if (is_empty)
        mp__thread_free(record);
}

/* A program may be out of keys now and have one to spare later. */
static int make_key(void) {
    if (has_key)
        return 0;
    pthread_mutex_lock(&key_mutex);
    int code = has_key ? 0 : -pthread_key_create(&key, end_thread);
    if (code == 0)
        has_key = true;
    pthread_mutex_unlock(&key_mutex);
    return code;
}

void mp__thread_forked(void) {
    mp__self_cached = NULL;
    memset(mp__kept, 0, sizeof mp__kept);
    atomic_store(&has_joined, false);
    key_mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    if (has_key)
        pthread_setspecific(key, NULL);
}

/* The high mark is raised first: a record taken above it would be overlooked by a recovery. */
static struct thread_shared *claim_record(mp__member_ref member) {
    for (uint32_t i = 1; i < MP__THREAD_MAX; i++) {
        struct thread_shared *record = mp__thread_at(i);
        uint64_t nobody = 0;
        if (atomic_load_explicit(&record->member, memory_order_relaxed) != 0)
            continue;
        mp__registry_raise(&mp__registry->thread_high, i);
        if (atomic_compare_exchange_strong(&record->member, &nobody, member)) {
            MP__POINT("thread.join.taken");
            record->index = i;
            record->holding_count = 0;
            return record;
        }
    }
    return NULL;
}

static struct thread_shared *find_record(mp__member_ref member) {
    struct thread_shared *record = claim_record(member);
    if (record)
        return record;
    mp__recover_all();
    record = claim_record(member);
    if (!record)
        mp__fail(-EAGAIN,
                 "%d threads of the family use libmp, which is its limit: let some of them end",
                 MP__THREAD_MAX - 1);
    return record;
}

struct thread_shared *mp__self_join(void) {
    mp__member_ref member = mp__member_self();
    if (member == 0)
        return NULL;
    if (mp__recover_is_running()) {
        mp__fail(MP_ESTATE, "a recovery runs in a thread that is not in the family yet");
        return NULL;
    }
    int code = make_key();
    if (code < 0) {
        mp__fail(code, "no thread-specific key is left for libmp (pthread_key_create)");
        return NULL;
    }
    atomic_store(&has_joined, true);
    struct thread_shared *record = find_record(member);
    if (!record)
        return NULL;
    code = -pthread_setspecific(key, record);
    if (code < 0) {
        mp__thread_free(record);
        mp__fail(code, "this thread's record could not be stored (pthread_setspecific)");
        return NULL;
    }
    mp__heap_join(mp__member_index(member), record->index);
    mp__self_cached = record;
    MP__POINT("thread.join.done");
    return record;
}
