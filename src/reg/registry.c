/* Makes the registry in a new arena, once, whoever comes first; compares everything for tests.
 * SPDX-License-Identifier: MIT */
#include "reg/registry.h"

#include <unistd.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/child.h"
#include "os/cpu.h"
#include "reg/holding.h"
#include "shm/arena.h"

_Static_assert(sizeof(struct thread_shared) % 64 == 0, "records do not share cache lines");
_Static_assert(sizeof(struct member_shared) % 64 == 0, "slots do not share cache lines");

struct registry_shared *mp__registry;

/* Take over from nobody or from a maker that died in it. true: the making is ours. */
static bool claim_making(struct registry_shared *registry) {
    uint32_t maker = atomic_load(&registry->maker);
    if (maker == MP__REGISTRY_READY)
        return false;
    if (maker != 0 && mp__child_exists((pid_t)maker, mp__boot_time()))
        return false;
    return atomic_compare_exchange_strong(&registry->maker, &maker, (uint32_t)getpid());
}

static void make_registry(struct registry_shared *registry) {
    MP__POINT("registry.make.claimed");
    mp__robust_init(&registry->recover);
    MP__POINT("registry.make.recover");
    atomic_store(&registry->maker, MP__REGISTRY_READY);
}

int mp__registry_open(void) {
    if (mp__registry)
        return 0;
    int code = mp__arena_open();
    if (code < 0)
        return code;
    if (mp__arena->section_size[MP__SECTION_REGISTRY] < sizeof(struct registry_shared))
        return mp__fail(MP_ESTATE, "the arena's registry section has %llu bytes, %zu are needed",
                        (unsigned long long)mp__arena->section_size[MP__SECTION_REGISTRY],
                        sizeof(struct registry_shared));
    struct registry_shared *registry = mp__arena_section(MP__SECTION_REGISTRY);
    while (atomic_load(&registry->maker) != MP__REGISTRY_READY) {
        if (claim_making(registry))
            make_registry(registry);
        else
            mp__cpu_pause();
    }
    mp__registry = registry;
    return 0;
}

void mp__registry_raise(_Atomic uint32_t *high, uint32_t index) {
    uint32_t old = atomic_load_explicit(high, memory_order_relaxed);
    while (old < index && !atomic_compare_exchange_weak(high, &old, index))
        ;
    MP__POINT("registry.raise.raised");
}

static int check_member(uint32_t index) {
    struct member_shared *slot = &mp__registry->members[index];
    uint64_t status = atomic_load(&slot->status);
    enum mp__member_state state = mp__status_state(status);
    if (state > MP__MEMBER_RUNNING)
        return mp__fail(MP_ESTATE, "member slot %u has state %d", index, (int)state);
    if (status != 0 && index > atomic_load(&mp__registry->member_high))
        return mp__fail(MP_ESTATE, "member slot %u was used above the high mark %u", index,
                        atomic_load(&mp__registry->member_high));
    if (state == MP__MEMBER_RUNNING && mp__member_pid(mp__status_ref(status, index)) == 0)
        return mp__fail(MP_ESTATE, "member slot %u is RUNNING without a pid", index);
    return 0;
}

static int check_free_record(struct thread_shared *record, uint32_t index) {
    if (!mp__holdings_are_empty(record))
        return mp__fail(MP_ESTATE, "thread record %u is free and holds something", index);
    if (atomic_load(&record->more) || atomic_load(&record->wait_on) != 0)
        return mp__fail(MP_ESTATE, "thread record %u is free and has a wait or a chunk", index);
    return 0;
}

static int check_entry(uint64_t entry, uint32_t index) {
    void *object = mp__holding_object(entry);
    if (entry != 0 &&
        (mp__holding_kind_of(entry) >= MP__HOLDING_KIND_COUNT || !mp__arena_contains(object, 1)))
        return mp__fail(MP_ESTATE, "thread record %u holds something of kind %u, object %p", index,
                        mp__holding_kind_of(entry), object);
    return 0;
}

static int check_entries(struct thread_shared *record, uint32_t index) {
    int code = 0;
    for (uint32_t i = 0; i < MP__KEPT && code == 0; i++)
        code = check_entry(atomic_load(&record->kept[i]), index);
    for (uint32_t i = 0; i < MP__HOLDINGS_INLINE && code == 0; i++)
        code = check_entry(atomic_load(&record->holdings[i]), index);
    return code;
}

static int check_record(uint32_t index) {
    struct thread_shared *record = &mp__registry->threads[index];
    mp__member_ref ref = atomic_load(&record->member);
    if (ref == 0)
        return check_free_record(record, index);
    if (record->index != index)
        return mp__fail(MP_ESTATE, "thread record %u says it is %u", index, record->index);
    uint32_t member = mp__member_index(ref);
    if (member == 0 || member >= MP__MEMBER_MAX)
        return mp__fail(MP_ESTATE, "thread record %u belongs to member %u", index, member);
    uint64_t status = atomic_load(&mp__registry->members[member].status);
    if (mp__status_ref(status, member) != ref || mp__status_state(status) != MP__MEMBER_RUNNING)
        return mp__fail(MP_ESTATE, "thread record %u belongs to member %u, which is gone", index,
                        member);
    return check_entries(record, index);
}

int mp__registry_check(void) {
    if (!mp__registry)
        return 0;
    int code = 0;
    for (uint32_t i = 1; i < MP__MEMBER_MAX && code == 0; i++)
        code = check_member(i);
    uint32_t high = atomic_load(&mp__registry->thread_high);
    for (uint32_t i = 1; i <= high && code == 0; i++)
        code = check_record(i);
    return code;
}
