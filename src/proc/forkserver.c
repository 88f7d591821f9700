/* Start method forkserver, the client's side: the server's life, and handing work to its spares.
 * SPDX-License-Identifier: MIT */
#include "proc/forkserver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/cpu.h"
#include "os/descriptor.h"
#include "os/futex.h"
#include "os/unforked.h"
#include "proc/section.h"
#include "proc/start.h"
#include "sync/spin.h"

#define END_COUNT (MP__SPARE_CHANNELS + 1) /* control, then channels for the first spares */
#define SPARE_SLICE (MP__SECOND / 50)      /* between looks at a server that may have died */
#define SPARE_LIMIT (60 * MP__SECOND)      /* without a spare for so long: an error */
#define END_SECONDS 5 /* what the server has for its end, as other daemons have */

static struct {
    pthread_mutex_t mutex;            /* guards all of it: one start at a time */
    mp_process *server;               /* hidden; NULL: none */
    struct forkserver_shared *record; /* ours in the arena */
    int ends[END_COUNT];              /* our ends of control and channels */
    int server_ends[END_COUNT];       /* while it is started: those it gets */
} client = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static unsigned last_serial;           /* counts servers; guarded by client.mutex */
static _Atomic unsigned living_serial; /* the present one; 0 none; read without a lock */
static _Atomic int living_sentinel;    /* its sentinel, while living_serial says so */

/* A forked child has no server; what os closed for it is closed. */
static void forget_server(void) {
    memset(&client, 0, sizeof client);
    client.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    atomic_store(&living_serial, 0);
}

__attribute__((constructor)) static void guard_fork(void) {
    pthread_atfork(NULL, NULL, forget_server);
}

/* Without a system call. Its place in the family is lost before its spares can be anybody else's
 * children and reaped. */
static bool has_server(void) {
    return mp__member_is_alive(mp__process_member(client.server));
}

/* The serial is looked at again: the sentinel's number may mean something else by now. */
bool mp__forkserver_is_alive(unsigned serial) {
    if (serial == 0 || atomic_load(&living_serial) != serial)
        return false;
    int ready = mp__descriptor_poll(atomic_load(&living_sentinel), POLLIN, 0);
    bool is_alive =
        ready == 0 || (ready < 0 && ready != -EBADF); /* in doubt: its end is waited for */
    return is_alive && atomic_load(&living_serial) == serial;
}

static void close_ends(int *ends) {
    for (int i = 0; i < END_COUNT; i++) {
        mp__unforked_close(ends[i]);
        ends[i] = -1;
    }
}

/* Socket pairs; no forked child of ours keeps our ends. */
static int open_ends(void) {
    for (int i = 0; i < END_COUNT; i++)
        client.ends[i] = client.server_ends[i] = -1;
    for (int i = 0; i < END_COUNT; i++) {
        int pair[2];
        int code = mp__descriptor_socketpair(pair, SOCK_SEQPACKET);
        if (code < 0)
            return mp__fail(code, "the fork server needs %d sockets", 2 * END_COUNT);
        client.ends[i] = pair[0];
        client.server_ends[i] = pair[1];
        code = mp__unforked_add(pair[0]);
        if (code == 0) /* a server that was stopped must not stop us */
            code = mp__descriptor_set_blocking(pair[0], 0);
        if (code < 0)
            return mp__fail(code, "the fork server's sockets");
    }
    return 0;
}

static bool take_record(struct forkserver_shared *record, mp__member_ref self) {
    uint64_t owner = atomic_load(&record->client);
    if (owner != 0 && owner != self &&
        (mp__member_is_alive(owner) || mp__member_is_alive(atomic_load(&record->server))))
        return false;
    return atomic_compare_exchange_strong(&record->client, &owner, self);
}

static int find_record(void) {
    mp__member_ref self = mp__member_self();
    for (int i = 0; i < MP__FORKSERVER_MAX; i++) {
        struct forkserver_shared *record = &mp__section()->servers[i];
        if (!take_record(record, self))
            continue;
        MP__POINT("forkserver.record.taken");
        atomic_store(&record->server, 0);
        atomic_store(&record->refusal, 0);
        client.record = record;
        return 0;
    }
    return mp__fail(-EAGAIN, "%d processes have a fork server, which is the limit",
                    MP__FORKSERVER_MAX);
}

/* Its client writes `client` last: another one may take the record then. */
static void forget_record(void) {
    if (client.record)
        atomic_store(&client.record->client, 0);
    client.record = NULL;
}

static struct mp__forkserver_order *make_order(size_t *size) {
    struct mp__preload *preload = mp__context_preload();
    if (!preload)
        return NULL;
    *size = sizeof(struct mp__forkserver_order) + preload->arg_size;
    struct mp__forkserver_order *order = calloc(1, *size);
    if (order) {
        order->record = client.record;
        memcpy(&order->preload, preload, sizeof *preload + preload->arg_size);
    }
    free(preload);
    return order;
}

static int make_object(void) {
    size_t size;
    struct mp__forkserver_order *order = make_order(&size);
    if (!order)
        return mp__fail(-ENOMEM, "the fork server's orders");
    mp_process_options options = {
        .target = mp__forkserver_main,
        .arg = order,
        .arg_size = size,
        .name = "ForkServer",
        .daemon = MP_DAEMON,
    };
    int code = mp__process_new_hidden(&client.server, mp_get_context(MP_SPAWN), &options);
    free(order);
    if (code == 0)
        mp__process_of(client.server)->says_when_ready = true;
    return code;
}

static int start_server(struct child *child) {
    return mp__start_spawn_with(child, client.server_ends, END_COUNT);
}

static int make_server(void) {
    int code = open_ends();
    if (code == 0)
        code = find_record();
    if (code == 0)
        code = make_object();
    if (code == 0)
        code = mp__start_child(mp__process_of(client.server), start_server);
    if (code == 0)
        code = mp__process_confirm(client.server);
    close_ends(client.server_ends);
    return code;
}

static void clear_server(void) {
    close_ends(client.ends);
    if (client.server)
        (void)mp_process_close(client.server);
    client.server = NULL;
    forget_record();
}

/* It is dead or was told to end: wait for that, forget it. One that is stopped does not listen. */
static void discard_server(void) {
    if (mp_process_join(client.server, END_SECONDS) == MP_ETIMEDOUT) {
        (void)mp_process_kill(client.server);
        (void)mp_process_join(client.server, MP_FOREVER);
    }
    atomic_store(&living_serial, 0);
    clear_server();
}

static int ensure_server(void) {
    if (client.server && has_server())
        return 0;
    if (client.server)
        discard_server();
    int code = make_server();
    if (code < 0) {
        clear_server();
        return code;
    }
    atomic_store(&living_sentinel, mp_process_sentinel(client.server));
    atomic_store(&living_serial, ++last_serial);
    return 0;
}

/* What it forked for us is left; the spares go with it. */
static void stop_server(void) {
    mp__unforked_close(client.ends[0]);
    client.ends[0] = -1;
    discard_server();
}

void mp__forkserver_stop(void) {
    pthread_mutex_lock(&client.mutex);
    if (client.server)
        stop_server();
    pthread_mutex_unlock(&client.mutex);
}

static void poke_server(void) {
    (void)mp__descriptor_send(client.ends[0], "", 1, NULL, 0);
}

/* Whoever starts something meanwhile calls it, too. */
void mp__forkserver_call(void) {
    if (pthread_mutex_trylock(&client.mutex) != 0)
        return;
    if (client.server)
        poke_server();
    pthread_mutex_unlock(&client.mutex);
}

/* It forks in batches: in a series of starts it would only get in their way. */
static void poke_for_more(bool needs_channel) {
    unsigned idle = 0;
    unsigned stock = needs_channel ? MP__SPARE_CHANNELS : atomic_load(&client.record->stock);
    for (unsigned number = 0; number < stock; number++)
        if (mp__spare_state(atomic_load(&client.record->spares[number].word)) == MP__SPARE_IDLE)
            idle++;
    if (idle == stock / 4)
        poke_server();
}

static int send_parcel(const struct child *child, unsigned number, uint32_t ticket, const int *list,
                       int count) {
    struct mp__parcel parcel = {
        .ticket = ticket,
        .has_sentinel = child->sentinel.child_end >= 0,
        .has_lifeline = child->lifeline.child_end >= 0,
    };
    ssize_t sent =
        mp__descriptor_send(client.ends[1 + number], &parcel, sizeof parcel, list, (size_t)count);
    return sent < 0 ? mp__fail((int)sent, "mp_process_start: passing %d descriptors", count) : 0;
}

/* Watched before it is told to go. While its server lives afterwards, and the word is still IDLE,
 * nobody has reaped it: the pid was its own. Where the sentinel is a pipe, it goes with the parcel.
 */
static int watch_spare(struct child *child, pid_t pid) {
    if (child->sentinel.child_end >= 0)
        return 0;
    int code = mp__sentinel_begin(&child->sentinel, pid);
    if (code < 0 && code != -ESRCH)
        return mp__fail(code,
                        "mp_process_start: no descriptor to watch the child: each that runs, or "
                        "has not been closed, needs one; see RLIMIT_NOFILE (ulimit -n)");
    if (code == 0 && mp__descriptor_poll(child->sentinel.fd, POLLIN, 0) > 0) {
        mp__sentinel_close(&child->sentinel);
        return -ESRCH; /* killed, and its server does not know yet */
    }
    return code;
}

/* 1: it is ours and goes; 0: it is not to be had; or why the start fails. */
static int take_spare(struct child *child, unsigned number, const int *list, int count) {
    struct spare_shared *spare = &client.record->spares[number];
    uint32_t word = atomic_load(&spare->word);
    if (mp__spare_state(word) != MP__SPARE_IDLE)
        return 0;
    uint32_t ticket = mp__spare_ticket(word);
    pid_t pid = (pid_t)atomic_load(&spare->pid);
    int code = watch_spare(child, pid);
    if (code == 0 && count > 0)
        code = send_parcel(child, number, ticket, list, count);
    if (code < 0)
        return code == -ESRCH ? 0 : code;
    atomic_store(&spare->launch, mp__launch_name(child->launch));
    atomic_store(&spare->has_parcel, count > 0);
    if (child->is_near && mp__cpu_bring(pid))
        atomic_store(&spare->is_near, true);
    MP__POINT("forkserver.take.written");
    if (!has_server() || !atomic_compare_exchange_strong(&spare->word, &word,
                                                         mp__spare_word(ticket, MP__SPARE_TAKEN))) {
        if (child->sentinel.child_end < 0)
            mp__sentinel_close(&child->sentinel);
        return 0;
    }
    MP__POINT("forkserver.take.taken");
    mp__futex_wake(&spare->word, MP__WAKE_ALL); /* one of a dead server may sleep there, too */
    if (child->sentinel.child_end >= 0)
        (void)mp__sentinel_begin(&child->sentinel, pid);
    mp__start_note(child, pid);
    return 1;
}

/* Those with a channel last, unless there is something to send. */
static int try_spares(struct child *child, const int *list, int count, int here) {
    for (unsigned number = count > 0 ? MP__SPARE_CHANNELS : MP__SPARE_MAX; number-- > 0;) {
        if (child->is_near && atomic_load(&client.record->spares[number].cpu) != here)
            continue;
        int code = take_spare(child, number, list, count);
        if (code != 0)
            return code;
    }
    return 0;
}

/* A child that will end at once is best run on this processor, by a spare that is not known on
 * another: its end has to tell no other one that its memory is gone. When we have come here since,
 * the others shall, too. */
static int try_near_spares_first(struct child *child, const int *list, int count) {
    int here = mp__cpu_here();
    bool has_moved = atomic_exchange(&client.record->cpu, here) != here;
    atomic_store(&client.record->target, mp__function_word(&child->process->function));
    child->is_near = child->is_near && here >= 0 && !mp__spin_is_crowded();
    int code = child->is_near ? try_spares(child, list, count, here) : 0;
    if (code != 0)
        return code;
    if (child->is_near && has_moved)
        poke_server();
    child->is_near = false;
    return try_spares(child, list, count, here);
}

/* None is idle: wait until one is, or the server says why not. What it said before was about what
 * it did for later. */
static int await_spare(uint32_t bell, mp__time limit) {
    struct forkserver_shared *record = client.record;
    atomic_store(&record->refusal, 0);
    poke_server();
    (void)mp__futex_wait(&record->bell, bell, mp__now() + SPARE_SLICE);
    int refusal = atomic_exchange(&record->refusal, 0);
    if (refusal < 0)
        return mp__fail(refusal, "mp_process_start: the fork server cannot fork");
    if (mp__now() > limit)
        return mp__fail(MP_ETIMEDOUT,
                        "mp_process_start: the fork server has no child for us for a minute");
    return 0;
}

/* 1: it has it; 0: nobody is there to take it. Under the lock of starts, so that what the child
 * gets is prepared anew each time. */
static int offer_locked(struct child *child) {
    int list[MP__PASS_MAX];
    int code = mp__start_prepare(child);
    if (code < 0)
        return code;
    int count = mp__start_descriptors(child, list);
    code = count < 0 ? count : try_near_spares_first(child, list, count);
    if (code > 0) {
        poke_for_more(count > 0);
        return code;
    }
    mp__sentinel_close(&child->sentinel);
    mp__lifeline_close(&child->lifeline);
    return code;
}

static int offer(struct child *child) {
    mp__start_lock();
    int code = offer_locked(child);
    mp__start_unlock();
    return code;
}

static int hand_over(struct child *child) {
    mp__time limit = mp__now() + SPARE_LIMIT;
    for (;;) {
        int code = ensure_server();
        if (code < 0)
            return code;
        child->server = last_serial;
        uint32_t bell = atomic_load(&client.record->bell);
        code = offer(child);
        if (code == 0)
            code = await_spare(bell, limit);
        if (code != 0)
            return code < 0 ? code : 0;
    }
}

int mp__start_forkserver(struct child *child) {
    child->is_near = mp__children_are_short();
    pthread_mutex_lock(&client.mutex);
    int code = hand_over(child);
    pthread_mutex_unlock(&client.mutex);
    return code;
}
