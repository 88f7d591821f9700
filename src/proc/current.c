/* This process's handle, and its parent's.
 * SPDX-License-Identifier: MIT */
#include "proc/current.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/log.h"
#include "os/clock.h"
#include "os/descriptor.h"
#include "os/futex.h"
#include "os/random.h"
#include "os/sentinel.h"
#include "reg/label.h"
#include "shm/arena.h"

#define AUTHKEY_BYTES 32
#define PARENT_SLICE (MP__SECOND / 50)   /* between looks at a parent that has no sentinel */
#define CHANGE_SLICE (MP__SECOND / 1000) /* between looks at parts that are being changed */

static pthread_mutex_t parts = PTHREAD_MUTEX_INITIALIZER; /* taken after current.mutex */

static struct {
    pthread_mutex_t mutex;        /* guards the making of the handles and of the sentinel */
    struct process_shared self;   /* kind is 0 until made */
    struct process_shared parent; /* kind is 0 in the root */
    struct mp__sentinel sentinel; /* of the parent; fd -1: not opened */
    _Atomic bool parent_is_gone;  /* seen to be dead */
    _Atomic unsigned count;       /* children that got a number */
} current = {.mutex = PTHREAD_MUTEX_INITIALIZER, .sentinel = {.fd = -1, .child_end = -1}};

static struct {
    _Alignas(16) char bytes[1024];
    _Atomic size_t used; /* from the start; never given back but by becoming a child */
} room;

/* What the child that is just being forked is to be; guarded by the start lock. */
static struct {
    struct process_shared process; /* its parts lie in `bytes` */
    char *bytes;                   /* `small`, or malloc'd; NULL: nothing noted */
    size_t size;                   /* of bytes */
    _Alignas(16) char small[512];
} note;
_Static_assert(sizeof note.small <= sizeof room.bytes, "what is noted there can be moved");

/* The malloc'd bytes that were noted for this process: its parts lie in them. */
static struct {
    char *bytes; /* NULL: none */
    size_t size; /* of bytes */
} noted;

static size_t round_up(size_t size) {
    return (size + 15) & ~(size_t)15;
}

void *mp__current_alloc(size_t size) {
    size_t wanted = round_up(size);
    size_t start = atomic_load(&room.used);
    do {
        if (wanted > sizeof room.bytes - start)
            return malloc(size);
    } while (!atomic_compare_exchange_weak(&room.used, &start, start + wanted));
    return room.bytes + start;
}

static bool lies_in(const void *block, const char *bytes, size_t size) {
    return (uintptr_t)block - (uintptr_t)bytes < size;
}

void mp__current_free(void *block) {
    if (!lies_in(block, room.bytes, sizeof room.bytes) && !lies_in(block, noted.bytes, noted.size))
        free(block);
}

static void lock(void) {
    pthread_mutex_lock(&current.mutex);
}
static void unlock(void) {
    pthread_mutex_unlock(&current.mutex);
}

void mp__current_lock_parts(void) {
    pthread_mutex_lock(&parts);
}

void mp__current_unlock_parts(void) {
    pthread_mutex_unlock(&parts);
}

static void begin_fork(void) {
    lock();
    mp__current_lock_parts();
}

static void end_fork(void) {
    mp__current_unlock_parts();
    unlock();
}

__attribute__((constructor)) static void guard_fork(void) {
    pthread_atfork(begin_fork, end_fork, end_fork);
}

/* The first of a family, or made by a bare fork: then it goes on as what its parent was. */
static int make_root(mp__member_ref self) {
    struct process_shared *process = &current.self;
    unsigned char key[AUTHKEY_BYTES];
    int code = mp__random_bytes(key, sizeof key);
    if (code < 0)
        return mp__fail(code, "no random bytes for the authentication key");
    if (mp__process_set_part(process, MP__PART_NAME, "MainProcess", strlen("MainProcess")) < 0 ||
        mp__process_set_part(process, MP__PART_IDENTITY, "", 0) < 0 ||
        mp__process_set_part(process, MP__PART_AUTHKEY, key, sizeof key) < 0)
        return mp__fail(-ENOMEM, "the handle of this process");
    process->maker = self;
    process->method = MP_DEFAULT;
    atomic_store(&process->phase, MP__PROCESS_STARTED);
    return 0;
}

void mp__current_label(void) {
    struct process_shared *self = &current.self;
    mp__current_lock_parts();
    const char *name = atomic_load(&self->parts[MP__PART_NAME].data);
    mp__label_set(atomic_load(&self->member), name, self->is_daemon);
    mp__log_set_name(name);
    mp__current_unlock_parts();
}

static int refresh(void) {
    mp__member_ref self = mp__member_self();
    if (self == 0)
        return -EAGAIN;
    if (!current.self.kind) {
        int code = make_root(self);
        if (code < 0)
            return code;
    }
    atomic_store(&current.self.member, self);
    atomic_store(&current.self.pid, (int32_t)getpid());
    atomic_store(&current.self.kind, MP__KIND_PROCESS);
    mp__current_label();
    return 0;
}

struct process_shared *mp__current(void) {
    mp__member_ref self = mp__member_self();
    if (self != 0 && atomic_load(&current.self.member) == self)
        return &current.self;
    lock();
    int code = refresh();
    unlock();
    return code < 0 ? NULL : &current.self;
}

bool mp__current_is_handle(const void *process) {
    return process == &current.self || mp__current_is_parent(process);
}

bool mp__current_is_parent(const void *process) {
    return process == &current.parent;
}

mp_process *mp_current_process(void) {
    return (mp_process *)mp__current();
}

mp_process *mp_parent_process(void) {
    return atomic_load(&current.parent.kind) ? (mp_process *)&current.parent : NULL;
}

unsigned mp__current_count(void) {
    return atomic_fetch_add(&current.count, 1) + 1;
}

/* The block may be freed and used again under us when its maker is dead: then its address and size
 * mean nothing, but must not lead out of the arena. */
static int copy_part(struct process_shared *to, const struct process_shared *from, unsigned part) {
    const char *data = atomic_load(&from->parts[part].data);
    size_t size = from->parts[part].size;
    if (!data)
        return mp__process_set_part(to, part, "", 0);
    if (!mp__arena_contains(data, size))
        return MP_EWORKER;
    return mp__process_set_part(to, part, data, size);
}

static void copy_rest(struct process_shared *to, const struct process_shared *from) {
    to->maker = from->maker;
    to->maker_pid = from->maker_pid;
    to->method = from->method;
    to->is_daemon = from->is_daemon;
    to->may_have_children = from->may_have_children;
    to->is_hidden = from->is_hidden;
    to->says_when_ready = from->says_when_ready;
    to->log_legacy = from->log_legacy;
    to->function = from->function;
    to->target = from->target;
}

static int copy_process(struct process_shared *to, const struct process_shared *from) {
    int code = 0;
    for (unsigned part = 0; part < MP__PART_COUNT && code == 0; part++)
        code = copy_part(to, from, part);
    copy_rest(to, from);
    return code;
}

/* Again when a thread of the maker changed a part meanwhile: the copy may be half of it, or of
 * something else. If the maker lives afterwards, the object was there all the time. */
static int copy_unchanged(struct process_shared *to, struct process_shared *from,
                          mp__member_ref maker) {
    for (;;) {
        uint32_t changes = atomic_load(&from->changes);
        bool is_changing = changes % 2 != 0;
        int code = is_changing ? 0 : copy_process(to, from);
        if (!mp__member_is_alive(maker))
            return MP_EWORKER;
        if (!is_changing && atomic_load(&from->changes) == changes)
            return code;
        (void)mp__futex_wait(&from->changes, changes, mp__now() + CHANGE_SLICE);
    }
}

/* Neither is changed once we are a child, so that the parent's name can be the one that we have. */
static void become_child_of(const struct process_shared *self) {
    struct process_shared *parent = &current.parent;
    const struct mp__bytes *name = &self->parts[MP__PART_PARENT_NAME];
    atomic_store(&parent->parts[MP__PART_NAME].data, atomic_load(&name->data));
    parent->parts[MP__PART_NAME].size = name->size;
    atomic_store(&parent->member, self->maker);
    atomic_store(&parent->pid, self->maker_pid);
    atomic_store(&parent->phase, MP__PROCESS_STARTED);
    atomic_store(&parent->kind, MP__KIND_PROCESS);
}

static void forget_sentinel(void) {
    mp__sentinel_close(&current.sentinel);
    atomic_store(&current.parent_is_gone, false);
}

static int become(struct process_shared *self) {
    become_child_of(self);
    forget_sentinel();
    if (self->method != MP_FORK)
        mp__log_inherit(self->log_legacy);
    atomic_store(&current.count, 0);
    atomic_store(&self->phase, MP__PROCESS_STARTED);
    atomic_store(&self->kind, MP__KIND_PROCESS);
    return refresh();
}

int mp__current_become(struct process_shared *process, mp__member_ref maker) {
    struct process_shared *self = &current.self;
    atomic_store(&room.used, 0); /* a spare's, as the copy of its server */
    int code = copy_unchanged(self, process, maker);
    if (code < 0)
        return mp__fail(code, "a child could not copy what it is to do");
    return become(self);
}

/* ---- forked children ---- */

static size_t size_of_parts(const struct process_shared *process) {
    size_t size = 0;
    for (unsigned part = 0; part < MP__PART_COUNT; part++)
        size += round_up(process->parts[part].size + 1);
    return size;
}

static void set_bytes(struct mp__bytes *bytes, char *data, size_t size) {
    atomic_store(&bytes->data, data);
    bytes->size = size;
}

static int note_parts(const struct process_shared *process) {
    note.size = size_of_parts(process);
    note.bytes = note.size <= sizeof note.small ? note.small : malloc(note.size);
    if (!note.bytes)
        return mp__fail(-ENOMEM, "mp_process_start: %zu bytes for the child", note.size);
    char *to = note.bytes;
    for (unsigned part = 0; part < MP__PART_COUNT; part++) {
        const struct mp__bytes *from = &process->parts[part];
        memcpy(to, atomic_load(&from->data), from->size);
        to[from->size] = 0;
        set_bytes(&note.process.parts[part], to, from->size);
        to += round_up(from->size + 1);
    }
    return 0;
}

int mp__current_note(const struct process_shared *process) {
    mp__current_lock_parts();
    int code = note_parts(process);
    mp__current_unlock_parts();
    copy_rest(&note.process, process);
    return code;
}

void mp__current_forget_note(void) {
    if (note.bytes != note.small)
        free(note.bytes);
    note.bytes = NULL;
}

/* The note's own place is needed for our children. */
static char *take_noted_bytes(void) {
    free(noted.bytes);
    noted.bytes = NULL;
    atomic_store(&room.used, 0); /* what was ours as our parent's copy is replaced now */
    if (note.bytes == note.small)
        return memcpy(mp__current_alloc(note.size), note.small, note.size);
    noted.bytes = note.bytes;
    noted.size = note.size;
    return note.bytes;
}

int mp__current_become_noted(void) {
    struct process_shared *self = &current.self;
    mp__process_free_parts(self);
    char *bytes = take_noted_bytes();
    for (unsigned part = 0; part < MP__PART_COUNT; part++) {
        const struct mp__bytes *from = &note.process.parts[part];
        set_bytes(&self->parts[part], bytes + (atomic_load(&from->data) - note.bytes), from->size);
    }
    note.bytes = NULL;
    copy_rest(self, &note.process);
    return become(self);
}

int mp__current_adopt(const struct mp__stranger *stranger) {
    struct process_shared *self = mp__current(), *parent = &current.parent;
    if (!self)
        return -ENOMEM;
    self->is_daemon = stranger->is_daemon;
    int code = mp_process_set_name((mp_process *)self, stranger->name);
    if (code == 0)
        code = mp__process_set_part(self, MP__PART_IDENTITY, stranger->identity,
                                    strlen(stranger->identity));
    if (code == 0)
        code = mp__process_set_part(parent, MP__PART_NAME, stranger->parent_name,
                                    strlen(stranger->parent_name));
    if (code < 0)
        return mp__fail(code, "the handles of this process and its parent");
    current.sentinel.fd = stranger->sentinel;
    atomic_store(&parent->pid, (int32_t)stranger->parent_pid);
    atomic_store(&parent->phase, MP__PROCESS_STARTED);
    atomic_store(&parent->kind, MP__KIND_PROCESS);
    return 0;
}

/* Opened when first asked for. The pid is the parent's as long as that is alive afterwards. */
static int open_sentinel_locked(void) {
    if (current.sentinel.fd >= 0)
        return current.sentinel.fd;
    struct mp__sentinel sentinel;
    int code = mp__sentinel_prepare(&sentinel);
    if (code < 0)
        return code;
    if (sentinel.child_end >= 0) {
        mp__sentinel_close(&sentinel);
        return -ENOSYS;
    }
    code = mp__sentinel_begin(&sentinel, atomic_load(&current.parent.pid));
    if (code == 0 && mp__member_is_alive(atomic_load(&current.parent.member))) {
        current.sentinel = sentinel;
        return sentinel.fd;
    }
    mp__sentinel_close(&sentinel);
    return code < 0 ? code : -ESRCH;
}

int mp__current_parent_sentinel(void) {
    lock();
    int descriptor = open_sentinel_locked();
    unlock();
    return descriptor;
}

static bool parent_is_gone(void) {
    if (atomic_load(&current.parent.member) == 0) /* no member: its sentinel says so */
        return mp__descriptor_poll(current.sentinel.fd, POLLIN, 0) > 0;
    if (!atomic_load(&current.parent_is_gone) &&
        !mp__member_is_alive(atomic_load(&current.parent.member)))
        atomic_store(&current.parent_is_gone, true);
    return atomic_load(&current.parent_is_gone);
}

static mp__time earlier(mp__time a, mp__time b) {
    return a < b ? a : b;
}

int mp__current_join_parent(mp__time deadline) {
    static _Atomic uint32_t nobody_wakes;
    int descriptor = mp__current_parent_sentinel();
    if (descriptor >= 0 && mp__descriptor_poll(descriptor, POLLIN, deadline) > 0)
        return 0;
    while (!parent_is_gone()) {
        if (deadline <= mp__now())
            return mp__fail(MP_ETIMEDOUT, "the parent process %d still runs",
                            (int)atomic_load(&current.parent.pid));
        (void)mp__futex_wait(&nobody_wakes, 0, earlier(deadline, mp__now() + PARENT_SLICE));
    }
    return 0;
}
