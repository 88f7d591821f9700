/* The fork server itself: one thread that forks, waits and reaps.
 * SPDX-License-Identifier: MIT
 *
 * It dies with its client, its spares with it. Children at work live on; their codes they write
 * themselves, those of the killed it writes.
 *
 * While children start and end at a high rate the server must not get in their way: it forks
 * many at once when the client says that few are left, and an end alone wakes it only after a
 * quiet moment. It forks on another processor than the client's, so that the system puts the spares
 * on that one, if it is idle: there they start and end soonest. Only when none is left, and the
 * client sleeps until it gets one, the server stays where it is. Those that came to sleep elsewhere
 * it wakes, in a quiet moment, and they go there. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fail.h"
#include "base/point.h"
#include "os/child.h"
#include "os/cpu.h"
#include "os/descriptor.h"
#include "os/futex.h"
#include "os/usage.h"
#include "proc/bootstrap.h"
#include "proc/exit.h"
#include "proc/forkserver.h"

#define QUIET_MILLISECONDS 10        /* after which children that have ended wake the server */
#define SERIES (MP__SECOND / 10)     /* most of the stock used up in less: it is too small */
#define MOVE_PAUSE (MP__SECOND / 50) /* least time between moves after a client that goes on */
#define SHRINK_SECONDS 1             /* of quiet, after which half of the stock is too much */
#define TAKEN_MILLISECONDS \
    1 /* between looks at a spare that has been taken and has not left its place */
#define ORPHAN_SLICE \
    (MP__SECOND / 20) /* between a spare's looks at its server where it cannot be bound to it */

struct note { /* a child of the server */
    pid_t pid;
    uint32_t ticket; /* it had as a spare */
    unsigned number; /* of its place */
    uint64_t launch; /* name of what it runs; 0: not taken, as far as is known */
};

static struct {
    struct forkserver_shared *record;
    const int *ends;      /* control, then channels */
    size_t end_count;     /* MP__SPARE_CHANNELS + 1 */
    struct note *notes;   /* in no order; malloc'd */
    size_t count;         /* of notes */
    size_t capacity;      /* of notes */
    sigset_t unblocked;   /* the mask in which children run, and SIGCHLD comes */
    pid_t pid;            /* the server's own */
    mp__time filled;      /* when all places were last filled; 0 never */
    int32_t cpu;          /* of the client, when its spares last went after it */
    mp__time moved;       /* when that was */
    uint64_t last_launch; /* name of a start of late; 0: none yet */
    bool is_clean;        /* what the preload function left in streams is written */
} server;

static void ring_bell(void) {
    atomic_fetch_add(&server.record->bell, 1);
    MP__POINT("forkserver.bell.counted");
    mp__futex_wake(&server.record->bell, MP__WAKE_ALL);
}

static void notice_child(int signal) {
    (void)signal; /* that ppoll ends is all */
}

static void set_handler(int signal, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    (void)sigaction(signal, &action, NULL);
}

/* SIGCHLD comes only while we wait. Ctrl-C is the client's business, but not a spare's to ignore:
 * one that comes before it has set that waits until it has. */
static void set_signals(void) {
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGINT);
    (void)sigprocmask(SIG_BLOCK, &blocked, &server.unblocked);
    sigdelset(&server.unblocked, SIGCHLD);
    sigdelset(&server.unblocked, SIGINT);
    set_handler(SIGCHLD, notice_child);
    set_handler(SIGINT, SIG_IGN);
}

static void run_preload(const struct mp__preload *preload) {
    mp__any_fn function;
    if (preload->function.image == 0)
        return;
    int code = mp__function_find(&preload->function, &function);
    if (code < 0)
        mp__bootstrap_give_up(code);
    void *arg = malloc(preload->arg_size + 1);
    if (!arg)
        mp__bootstrap_give_up(mp__fail(-ENOMEM, "the preload function's argument"));
    memcpy(arg, preload->arg, preload->arg_size);
    code = ((int (*)(void *))function)(arg);
    free(arg);
    if (code != 0)
        mp__bootstrap_give_up(
            mp__fail(MP_ETASK, "the fork server's preload function returned %d", code));
}

/* ---- a spare ---- */

/* All but the spare's own channel, if it has one. */
static void close_others(unsigned number) {
    for (size_t i = 0; i < server.end_count; i++)
        if (i != 1 + number)
            mp__descriptor_close(server.ends[i]);
}

static void close_list(const int *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        mp__descriptor_close(list[i]);
}

/* What was sent to spares that died before us is thrown away. */
static void receive_parcel(struct mp__bootstrap *how, unsigned number, uint32_t ticket, int *list) {
    struct mp__parcel parcel;
    size_t count;
    for (;;) {
        count = MP__PASS_MAX;
        ssize_t got =
            mp__descriptor_receive(server.ends[1 + number], &parcel, sizeof parcel, list, &count);
        if (got != sizeof parcel)
            _exit(255);
        if (parcel.ticket == ticket)
            break;
        close_list(list, count);
    }
    size_t first = (size_t)(parcel.has_sentinel + parcel.has_lifeline);
    how->sentinel_end = parcel.has_sentinel ? list[0] : -1;
    how->lifeline_end = parcel.has_lifeline ? list[parcel.has_sentinel] : -1;
    how->descriptors = list + first;
    how->descriptor_count = count - first;
}

/* Sleep until the client gives us something; leave when the place is another's. When woken for
 * nothing, go where the client is. */
static void await_work(struct spare_shared *spare, uint32_t ticket, bool is_bound) {
    uint32_t word;
    int cpu = mp__cpu_here();
    while ((word = atomic_load(&spare->word)) == mp__spare_word(ticket, MP__SPARE_EMPTY) ||
           word == mp__spare_word(ticket, MP__SPARE_IDLE)) {
        if (!is_bound && getppid() != server.pid)
            _exit(0);
        atomic_store(&spare->cpu, cpu);
        (void)mp__futex_wait(&spare->word, word, is_bound ? MP__NEVER : mp__now() + ORPHAN_SLICE);
        if (atomic_load(&spare->word) == mp__spare_word(ticket, MP__SPARE_IDLE))
            cpu = mp__cpu_settle(atomic_load(&server.record->cpu));
    }
    if (word != mp__spare_word(ticket, MP__SPARE_TAKEN))
        _exit(0);
}

/* All that can be done ahead is done before it sleeps. */
static void be_spare(unsigned number, uint32_t ticket) {
    struct spare_shared *spare = &server.record->spares[number];
    static int list[MP__PASS_MAX]; /* the bootstrap points into it for life */
    struct mp__bootstrap how = {
        .sentinel_end = -1, .lifeline_end = -1, .is_clean = server.is_clean, .is_rehearsed = true};
    set_handler(SIGCHLD, SIG_DFL);
    set_handler(SIGINT, SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &server.unblocked, NULL);
    bool is_bound = mp__child_bind(server.pid) == 0;
    close_others(number);
    mp__cpu_roam();
    mp__bootstrap_rehearse(server.last_launch, how.is_clean);
    mp__function_expect(atomic_load(&server.record->target));
    await_work(spare, ticket, is_bound);
    how.is_near = atomic_load(&spare->is_near);
    if (how.is_near)
        mp__cpu_roam();
    how.launch = mp__launch_named(atomic_load(&spare->launch));
    if (atomic_load(&spare->has_parcel))
        receive_parcel(&how, number, ticket, list);
    if (number < MP__SPARE_CHANNELS)
        mp__descriptor_close(server.ends[1 + number]);
    mp__child_unbind();
    uint32_t taken = mp__spare_word(ticket, MP__SPARE_TAKEN);
    (void)atomic_compare_exchange_strong(&spare->word, &taken,
                                         mp__spare_word(ticket, MP__SPARE_LEFT));
    MP__POINT("forkserver.spare.left");
    mp__bootstrap(&how);
}

/* ---- the server ---- */

static int reserve_note(void) {
    if (server.count < server.capacity)
        return 0;
    size_t capacity = server.capacity ? 2 * server.capacity : 16;
    struct note *notes = realloc(server.notes, capacity * sizeof *notes);
    if (!notes)
        return -ENOMEM;
    server.notes = notes;
    server.capacity = capacity;
    return 0;
}

/* Once a place was taken, what its spare runs stands there until the place is used again; before,
 * it may be what a client wrote that then did not get it. */
static void learn_launch(struct note *note) {
    struct spare_shared *spare = &server.record->spares[note->number];
    uint32_t word = atomic_load(&spare->word);
    if (mp__spare_ticket(word) != note->ticket || mp__spare_state(word) < MP__SPARE_TAKEN)
        return;
    server.last_launch = note->launch = atomic_load(&spare->launch);
}

/* Notes what was taken, before any place is used again. Bit n: one is in place n, or on its way
 * there. */
static unsigned find_spares(void) {
    unsigned places = 0;
    for (size_t i = 0; i < server.count; i++) {
        struct note *note = &server.notes[i];
        if (note->launch == 0)
            learn_launch(note);
        if (note->launch == 0)
            places |= 1U << note->number;
    }
    return places;
}

/* By the server, not the spare: one of a dead server, on its last legs, must not write here. */
static void announce(const struct note *note) {
    struct spare_shared *spare = &server.record->spares[note->number];
    atomic_store(&spare->pid, (int32_t)note->pid);
    MP__POINT("forkserver.announce.pid");
    atomic_store(&spare->word, mp__spare_word(note->ticket, MP__SPARE_IDLE));
    ring_bell();
}

static int fork_spare(unsigned number, uint32_t ticket) {
    struct note note = {.ticket = ticket, .number = number};
    int code = reserve_note();
    if (code < 0)
        return code;
    note.pid = fork();
    if (note.pid == 0)
        be_spare(number, ticket);
    if (note.pid < 0)
        return -errno;
    server.notes[server.count++] = note;
    announce(&note);
    return 0;
}

static int refill(unsigned number) {
    struct spare_shared *spare = &server.record->spares[number];
    uint32_t ticket = atomic_fetch_add(&server.record->ticket, 1) + 1;
    atomic_store(&spare->is_near, false);
    atomic_store(&spare->word, mp__spare_word(ticket, MP__SPARE_EMPTY));
    MP__POINT("forkserver.refill.emptied");
    int code = fork_spare(number, ticket);
    if (code < 0) {
        atomic_store(&server.record->refusal, code);
        ring_bell();
    }
    return code;
}

/* Those that sleep elsewhere go where the client is. They take its processor for that, which is for
 * quiet times; or for the first start there of a series. */
static void move_spares(void) {
    server.cpu = atomic_load(&server.record->cpu);
    server.moved = mp__now();
    for (unsigned number = 0; number < MP__SPARE_MAX; number++) {
        struct spare_shared *spare = &server.record->spares[number];
        if (mp__spare_state(atomic_load(&spare->word)) == MP__SPARE_IDLE &&
            atomic_load(&spare->cpu) != server.cpu)
            mp__futex_wake(&spare->word, MP__WAKE_ALL);
    }
}

static bool has_client_moved(void) {
    return atomic_load(&server.record->cpu) != server.cpu && mp__now() - server.moved > MOVE_PAUSE;
}

static unsigned count_idle(void) {
    unsigned idle = 0;
    for (unsigned number = 0; number < MP__SPARE_MAX; number++)
        idle += mp__spare_state(atomic_load(&server.record->spares[number].word)) == MP__SPARE_IDLE;
    return idle;
}

/* true: some place is TAKEN and not yet LEFT, look again soon. */
static bool refill_all(void) {
    bool is_taken = false;
    unsigned places = find_spares();
    mp__cpu_remember(); /* for the spares, too */
    if (count_idle() > 0)
        mp__cpu_leave(atomic_load(&server.record->cpu));
    mp__function_learn();
    if (server.last_launch != 0)
        mp__launch_expect_next(mp__launch_named(server.last_launch));
    for (unsigned number = 0; number < atomic_load(&server.record->stock); number++) {
        enum mp__spare_state state =
            mp__spare_state(atomic_load(&server.record->spares[number].word));
        if (state == MP__SPARE_TAKEN)
            is_taken = true;
        else if (state != MP__SPARE_IDLE && !(places & 1U << number) && refill(number) < 0)
            break;
    }
    return is_taken;
}

/* No longer to be had: whoever watches it finds the word changed, before the pid can be another's.
 * true: it died in its place. */
static bool withdraw(const struct note *note) {
    struct spare_shared *spare = &server.record->spares[note->number];
    uint32_t word = mp__spare_word(note->ticket, MP__SPARE_IDLE);
    if (atomic_compare_exchange_strong(&spare->word, &word,
                                       mp__spare_word(note->ticket, MP__SPARE_EMPTY)))
        return true;
    word = mp__spare_word(note->ticket, MP__SPARE_TAKEN);
    return atomic_compare_exchange_strong(&spare->word, &word,
                                          mp__spare_word(note->ticket, MP__SPARE_LEFT));
}

/* Descriptors under way to a dead spare would live on in its channel. */
static void empty_channel(unsigned number) {
    if (number >= MP__SPARE_CHANNELS)
        return;
    struct mp__parcel parcel;
    int list[MP__PASS_MAX];
    size_t count = MP__PASS_MAX;
    while (mp__descriptor_receive(server.ends[1 + number], &parcel, sizeof parcel, list, &count) >
           0) {
        close_list(list, count);
        count = MP__PASS_MAX;
    }
}

static void bury(size_t index, int code) {
    struct note *note = &server.notes[index];
    if (withdraw(note))
        empty_channel(note->number);
    learn_launch(note);
    if (note->launch != 0)
        mp__launch_bury(mp__launch_named(note->launch), code,
                        code < 0 ? mp__usage_of_process(note->pid) : 0);
    server.notes[index] = server.notes[--server.count];
}

/* Looks first and reaps last: until then the pid means nobody else. */
static void reap_ended(void) {
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid > 0) {
        int code = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
        for (size_t i = 0; i < server.count; i++)
            if (server.notes[i].pid == info.si_pid) {
                bury(i, code);
                break;
            }
        while (waitpid(info.si_pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        info = (siginfo_t){0};
    }
}

/* In a series of starts an empty stock costs more than a large one. */
static void grow_stock(void) {
    uint32_t stock = atomic_load(&server.record->stock);
    if (stock < MP__SPARE_MAX && count_idle() <= stock / 4 && server.filled != 0 &&
        mp__now() - server.filled < SERIES)
        atomic_store(&server.record->stock, 2 * stock);
    MP__POINT("forkserver.grow.stored");
}

/* Those in the upper half go, if nobody takes them first; they are buried as others are. */
static void shrink_stock(void) {
    uint32_t stock = atomic_load(&server.record->stock) / 2;
    if (stock < MP__SPARE_FEW)
        return;
    atomic_store(&server.record->stock, stock);
    MP__POINT("forkserver.shrink.stored");
    for (size_t i = 0; i < server.count; i++) {
        struct note *note = &server.notes[i];
        uint32_t word = mp__spare_word(note->ticket, MP__SPARE_IDLE);
        if (note->number >= stock && note->launch == 0 &&
            atomic_compare_exchange_strong(&server.record->spares[note->number].word, &word,
                                           mp__spare_word(note->ticket, MP__SPARE_EMPTY)))
            kill(note->pid, SIGKILL);
    }
}

enum event { CLIENT_CALLS, CLIENT_IS_GONE, CHILD_ENDED, NOTHING };

/* SIGCHLD, once it has come, waits until it is asked for. */
static enum event await_event(bool is_quiet, int milliseconds) {
    struct pollfd poller = {.fd = server.ends[0], .events = POLLIN};
    struct timespec soon = {.tv_nsec = milliseconds * 1000000L};
    struct timespec late = {.tv_sec = SHRINK_SECONDS};
    const struct timespec *quiet =
        atomic_load(&server.record->stock) > MP__SPARE_FEW ? &late : NULL;
    int ready = ppoll(&poller, 1, is_quiet ? quiet : &soon, is_quiet ? &server.unblocked : NULL);
    if (ready <= 0)
        return ready < 0 ? CHILD_ENDED : NOTHING;
    char byte;
    ssize_t got = mp__descriptor_receive(server.ends[0], &byte, 1, NULL, &(size_t){0});
    return got > 0 ? CLIENT_CALLS : CLIENT_IS_GONE;
}

/* Until the client is gone, or has told us to. The end of a child is left alone for a while: in a
 * series of starts its place is then filled together with others. */
static void serve(void) {
    enum event event = CLIENT_CALLS;
    bool is_taken = false, is_quiet = false;
    while (event != CLIENT_IS_GONE) {
        if (event == CLIENT_CALLS && has_client_moved())
            move_spares();
        if (event == CLIENT_CALLS)
            grow_stock();
        if (event == NOTHING && is_quiet)
            shrink_stock();
        if (event != CHILD_ENDED) {
            reap_ended();
            is_taken = refill_all();
            server.filled = mp__now();
        }
        is_quiet = event == NOTHING && !is_taken;
        if (is_quiet)
            move_spares();
        event = await_event(is_quiet, is_taken ? TAKEN_MILLISECONDS : QUIET_MILLISECONDS);
    }
}

static void end_spares(void) {
    for (size_t i = 0; i < server.count; i++) {
        struct note *note = &server.notes[i];
        learn_launch(note);
        if (note->launch != 0)
            continue;
        (void)withdraw(note);
        kill(note->pid, SIGKILL);
        while (waitpid(note->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
}

int mp__forkserver_main(void *arg, size_t arg_size) {
    (void)arg_size;
    struct mp__forkserver_order *order = arg;
    server.record = order->record;
    server.ends = mp__bootstrap_descriptors(&server.end_count);
    for (size_t i = 1; i < server.end_count; i++) { /* a spare's parcel is there already */
        int code = mp__descriptor_set_blocking(server.ends[i], 0);
        if (code < 0)
            mp__bootstrap_give_up(mp__fail(code, "the fork server's channels"));
    }
    server.pid = getpid();
    set_signals();
    run_preload(&order->preload);
    atomic_store(&server.record->server, mp__member_self());
    MP__POINT("forkserver.serve.known");
    server.is_clean = mp__exit_flush(true) || order->preload.function.image == 0;
    for (unsigned i = 0; i < MP__SPARE_MAX; i++) /* what a dead server left there is not ours */
        atomic_store(
            &server.record->spares[i].word,
            mp__spare_word(atomic_fetch_add(&server.record->ticket, 1) + 1, MP__SPARE_EMPTY));
    atomic_store(&server.record->stock, MP__SPARE_FEW);
    MP__POINT("forkserver.serve.stocked");
    mp__bootstrap_ready();
    serve();
    end_spares();
    return 0;
}
