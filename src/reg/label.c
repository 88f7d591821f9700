/* Names of processes in their slots, a word at a time: whoever reads may come at any moment.
 * SPDX-License-Identifier: MIT */
#include "reg/label.h"

#include <string.h>

#include "base/point.h"
#include "reg/registry.h"

#define WORDS (MP__LABEL_BYTES / 8)
#define IS_DAEMON UINT64_C(1)

_Static_assert(sizeof(((struct member_shared *)0)->label) == 8 + MP__LABEL_BYTES, "head and name");

static _Atomic uint64_t *label_at(mp__member_ref member) {
    return mp__member_at(mp__member_index(member))->label;
}

void mp__label_set(mp__member_ref member, const char *name, bool is_daemon) {
    _Atomic uint64_t *label = label_at(member);
    uint64_t words[WORDS] = {0};
    char *text = (char *)words;
    for (size_t i = 0; i < MP__LABEL_BYTES - 1 && name[i]; i++)
        text[i] = name[i];
    atomic_store(&label[0], 0);
    for (unsigned i = 0; i < WORDS; i++)
        atomic_store(&label[i + 1], words[i]);
    MP__POINT("label.set.written");
    atomic_store(&label[0], member >> 32 << 32 | (is_daemon ? IS_DAEMON : 0));
}

struct mp__label mp__label_of(mp__member_ref member) {
    struct mp__label out = {.name = "-"};
    uint64_t words[WORDS];
    if (!mp__registry || mp__member_index(member) == 0 ||
        mp__member_index(member) >= MP__MEMBER_MAX)
        return out;
    if (atomic_load(&mp__member_at(mp__member_index(member))->parent) == 0)
        memcpy(out.name, "MainProcess", sizeof "MainProcess");
    _Atomic uint64_t *label = label_at(member);
    uint64_t head = atomic_load(&label[0]);
    for (unsigned i = 0; i < WORDS; i++)
        words[i] = atomic_load(&label[i + 1]);
    if (head >> 32 != member >> 32 || head != atomic_load(&label[0]))
        return out;
    memcpy(out.name, words, sizeof out.name);
    out.name[sizeof out.name - 1] = 0;
    out.is_daemon = head & IS_DAEMON;
    return out;
}
