/* Waiting for connections, queues, processes and descriptors at once.
 * SPDX-License-Identifier: MIT
 *
 * What has a descriptor is polled. Queues have none: they are waited for by the words of their
 * gates. For both at once a helper thread sleeps on the words and writes to a pipe that is polled
 * with the rest: a wake-up comes at once from either side, and nobody looks in vain. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "chan/pipe.h"
#include "chan/queue.h"
#include "chan/stream.h"
#include "os/descriptor.h"
#include "os/futex.h"
#include "os/threads.h"
#include "reg/sleep.h"

/* A wake-up may die with its sender: look at least that often. More queues than one call can sleep
 * on are looked at more often. */
#define SLICE (MP__SECOND / 2)
#define SLICE_OF_MANY (MP__SECOND / 100)
enum { QUEUES_MAX = MP__SLEEP_WORDS_MAX - 1, FEW = 16 };

struct waiting {
    mp_waitable *list;    /* the caller's */
    size_t count;         /* entries */
    struct pollfd *polls; /* one for each entry, fd -1 for queues; one more for the helper's pipe */
    bool *ready;          /* one for each entry */
    size_t queue_count;   /* entries that are queues */
    mp__time deadline;
    bool slept; /* on the words of queues */
};

static int refuse_entry(size_t index, int code) {
    char reason[256];
    strncpy(reason, mp_error_detail(), sizeof reason - 1);
    reason[sizeof reason - 1] = '\0';
    return mp__fail(code, "mp_wait: entry %zu: %s", index, reason);
}

/* The descriptor to poll, -1 for a queue; or the failure, through *code. */
static int check_entry(const mp_waitable *entry, int *code) {
    if (entry->kind == MP_WAITABLE_FD) {
        *code = entry->fd >= 0   ? 0
                : entry->fd < -1 ? entry->fd
                                 : mp__fail(MP_EINVAL, "descriptor %d", entry->fd);
        return entry->fd;
    }
    if (entry->kind == MP_WAITABLE_CONNECTION) {
        int descriptor = mp__connection_check(entry->object, "connection");
        *code = descriptor < 0 ? descriptor : 0;
        if (descriptor >= 0 && !mp__connection_is_stream(entry->object) &&
            !((struct connection_shared *)entry->object)->in)
            *code = mp__fail(MP_EINVAL, "this end of the pipe only sends");
        return descriptor;
    }
    if (entry->kind == MP_WAITABLE_QUEUE) {
        struct mp__queue_call call;
        *code = mp__queue_begin(&call, entry->object, MP_NOWAIT, "queue");
    } else {
        *code = mp__fail(MP_EINVAL, "%d is no kind of waitable", entry->kind);
    }
    return -1;
}

static int check_entries(struct waiting *waiting) {
    for (size_t i = 0; i < waiting->count; i++) {
        int code;
        int descriptor = check_entry(&waiting->list[i], &code);
        if (code < 0)
            return refuse_entry(i, code);
        waiting->polls[i] = (struct pollfd){.fd = descriptor, .events = POLLIN};
        waiting->queue_count += waiting->list[i].kind == MP_WAITABLE_QUEUE;
    }
    return 0;
}

static int timeout_until(mp__time until) {
    if (until == MP__NEVER)
        return -1;
    mp__time left = until <= 0 ? 0 : until - mp__now();
    return left <= 0 ? 0 : left > 1000 * MP__SECOND ? 1000000 : (int)((left + 999999) / 1000000);
}

/* Poll all of them: 0, also when a signal came, or -errno. */
static int poll_entries(struct waiting *waiting, size_t extra, mp__time until) {
    int ready = poll(waiting->polls, waiting->count + extra, timeout_until(until));
    if (ready < 0 && errno != EINTR && errno != EAGAIN)
        return mp__fail(-errno, "mp_wait: poll of %zu descriptors", waiting->count + extra);
    if (ready <= 0)
        for (size_t i = 0; i < waiting->count + extra; i++)
            waiting->polls[i].revents = 0;
    return 0;
}

static struct channel_shared *channel_of(const mp_waitable *entry) {
    return &((struct queue_shared *)entry->object)->channel;
}

static bool is_ready(const mp_waitable *entry, const struct pollfd *polled) {
    if (entry->kind == MP_WAITABLE_FD)
        return polled->revents != 0;
    if (entry->kind == MP_WAITABLE_QUEUE) {
        bool slept;
        return mp__channel_wait_message(channel_of(entry), 0, &slept) == 0 ||
               mp__lease_waiting(entry->object) > 0;
    }
    if (mp__connection_is_stream(entry->object))
        return polled->revents != 0 ||
               atomic_load(&((struct stream_shared *)entry->object)->is_whole);
    bool slept;
    int code = mp__connection_wait(entry->object, polled->fd, 0, &slept);
    return code == 0 || code == MP_EEOF;
}

/* How many are ready now. */
static int look(struct waiting *waiting) {
    int code = poll_entries(waiting, 0, 0);
    if (code < 0)
        return code;
    int count = 0;
    for (size_t i = 0; i < waiting->count; i++) {
        if (waiting->polls[i].revents & POLLNVAL)
            return mp__fail(MP_EINVAL, "mp_wait: entry %zu: descriptor %d is not open", i,
                            waiting->polls[i].fd);
        waiting->ready[i] = is_ready(&waiting->list[i], &waiting->polls[i]);
        count += waiting->ready[i];
    }
    return count;
}

/* Announce us at the queues: how many words; 0: one is not empty any more. */
static size_t announce(const struct waiting *waiting, struct mp__wait_word *words) {
    size_t count = 0;
    for (size_t i = 0; i < waiting->count && count < QUEUES_MAX; i++) {
        if (waiting->list[i].kind != MP_WAITABLE_QUEUE)
            continue;
        struct channel_shared *channel = channel_of(&waiting->list[i]);
        words[count].word = &channel->readable.word;
        words[count++].expected = mp__gate_prepare(&channel->readable);
        if (!mp__channel_is_empty(channel))
            return 0;
    }
    return count;
}

static mp__time slice_end(const struct waiting *waiting) {
    mp__time slice = waiting->queue_count > QUEUES_MAX ? SLICE_OF_MANY : SLICE;
    mp__time end = mp__now() + slice;
    return end < waiting->deadline ? end : waiting->deadline;
}

struct helper {
    struct mp__wait_word words[MP__SLEEP_WORDS_MAX]; /* of the queues, and at last `stop` */
    size_t count;                                    /* of them */
    mp__time until;
    _Atomic uint32_t stop; /* 1: nobody needs it any more */
    int pipe[2];           /* it writes one byte to [1] when it has woken */
};

static void *run_helper(void *arg) {
    struct helper *helper = arg;
    (void)mp__sleep_any(helper->words, helper->count, helper->until);
    (void)!write(helper->pipe[1], "", 1);
    return NULL;
}

static int sleep_on_both(struct waiting *waiting) {
    struct helper helper = {.until = slice_end(waiting)};
    helper.count = announce(waiting, helper.words);
    if (helper.count == 0)
        return 0;
    helper.words[helper.count++].word = &helper.stop;
    int code = mp__descriptor_pipe(helper.pipe);
    if (code < 0)
        return mp__fail(code, "mp_wait: no pipe for queues");
    pthread_t thread;
    code = mp__thread_start(&thread, run_helper, &helper);
    if (code < 0) {
        (void)mp__fail(code, "mp_wait: no thread to wait for queues");
    } else {
        waiting->polls[waiting->count] = (struct pollfd){.fd = helper.pipe[0], .events = POLLIN};
        code = poll_entries(waiting, 1, slice_end(waiting));
        atomic_store(&helper.stop, 1);
        mp__futex_wake(&helper.stop, 1);
        pthread_join(thread, NULL);
    }
    mp__descriptor_close(helper.pipe[0]);
    mp__descriptor_close(helper.pipe[1]);
    return code;
}

static int sleep_on_queues(struct waiting *waiting) {
    struct mp__wait_word words[QUEUES_MAX];
    size_t count = announce(waiting, words);
    if (count > 0)
        (void)mp__sleep_any(words, count, slice_end(waiting));
    return 0;
}

/* Who woke us has taken the mark of all who sleep there away. */
static void mark_again(const struct waiting *waiting) {
    for (size_t i = 0; i < waiting->count; i++)
        if (waiting->list[i].kind == MP_WAITABLE_QUEUE)
            mp__gate_mark_again(&channel_of(&waiting->list[i])->readable);
}

static int sleep_once(struct waiting *waiting) {
    if (waiting->queue_count == 0)
        return poll_entries(waiting, 0, slice_end(waiting));
    waiting->slept = true;
    int code =
        waiting->queue_count < waiting->count ? sleep_on_both(waiting) : sleep_on_queues(waiting);
    mark_again(waiting);
    return code;
}

/* We have used up a wake-up of each queue, but take nothing: somebody else may sleep there. */
static void pass_on(const struct waiting *waiting) {
    for (size_t i = 0; i < waiting->count && waiting->slept; i++)
        if (waiting->list[i].kind == MP_WAITABLE_QUEUE && waiting->ready[i])
            mp__gate_notify(&channel_of(&waiting->list[i])->readable, 1);
}

static int wait_entries(struct waiting *waiting) {
    int code = check_entries(waiting);
    while (code == 0) {
        code = look(waiting);
        if (code != 0 || waiting->deadline <= 0 || mp__now() >= waiting->deadline)
            break;
        code = sleep_once(waiting);
    }
    pass_on(waiting);
    for (size_t i = 0; i < waiting->count && code >= 0; i++)
        waiting->list[i].ready = waiting->ready[i];
    return code;
}

int mp_wait(mp_waitable *list, size_t count, double timeout) {
    struct pollfd few_polls[FEW + 1];
    bool few_ready[FEW] = {false};
    struct waiting waiting = {list, count, few_polls, few_ready};
    int code = mp__deadline(&waiting.deadline, timeout);
    if (code < 0 || count == 0)
        return code;
    if (!list)
        return mp__fail(MP_EINVAL, "mp_wait: list is NULL, but count is %zu", count);
    if (count <= FEW)
        return wait_entries(&waiting);
    waiting.polls = calloc(count + 1, sizeof *waiting.polls);
    waiting.ready = calloc(count, sizeof *waiting.ready);
    code = waiting.polls && waiting.ready ? wait_entries(&waiting)
                                          : mp__fail(-ENOMEM, "mp_wait: %zu entries", count);
    free(waiting.polls);
    free(waiting.ready);
    return code;
}
