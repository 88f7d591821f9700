/* Which connections to managers this process has, and who uses them.
 * SPDX-License-Identifier: MIT */
#include "mgr/link.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "mgr/protocol.h"
#include "mgr/wire.h"
#include "mp/collection.h"
#include "mp/process.h"
#include "os/descriptor.h"
#include "os/random.h"

enum { UNHEARD_MAX = 32 }; /* replies that may wait in a socket: far from filling it */

/* A manager, or one after the other, at an address; stays as long as the process. All that changes
 * is under `changing`. */
struct peer {
    struct peer *next;
    unsigned users;  /* proxies and managers of this process */
    unsigned count;  /* connections, also those that are being made */
    unsigned epoch;  /* see mp__link_epoch; of the last time when there is no connection */
    uint64_t client; /* who we are to the manager in this epoch */
    int anchor;      /* a connection's descriptor; -1: none */
    char address[];
};

struct channel {
    struct mp__wire wire;
    struct peer *peer;
    bool does_count;                        /* a manager of ours is at the other end */
    unsigned unheard;                       /* replies on their way that nobody waits for */
    struct channel *next;                   /* of the same thread */
    struct channel *after_all, *before_all; /* of this process; under `changing` */
};

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER; /* the lists; held by who forks */
static struct peer *peers;
static struct channel *all_channels;
static struct channel *lost_channels; /* of other threads at a fork: maybe cut off in a call */
static pthread_t main_thread;         /* its channels stay */
static pthread_key_t thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local struct channel *channels;

static void lock_lists(void) {
    pthread_mutex_lock(&changing);
}

static void unlock_lists(void) {
    pthread_mutex_unlock(&changing);
}

/* The child's copies would keep its parent's connections open. Their buffers are left alone: other
 * threads may have been at them. */
static void forget_all(void) {
    for (struct channel *channel = all_channels; channel; channel = channel->after_all)
        mp__descriptor_close(channel->wire.socket);
    lost_channels = all_channels;
    all_channels = NULL;
    channels = NULL;
    for (struct peer *peer = peers; peer; peer = peer->next) {
        mp__descriptor_close(peer->anchor);
        peer->anchor = -1;
        peer->users = peer->count = 0;
    }
    main_thread = pthread_self();
    unlock_lists();
}

static void close_channel(struct channel *channel) {
    struct channel **place = &channels;
    while (*place != channel)
        place = &(*place)->next;
    *place = channel->next;
    lock_lists();
    if (channel->before_all)
        channel->before_all->after_all = channel->after_all;
    else
        all_channels = channel->after_all;
    if (channel->after_all)
        channel->after_all->before_all = channel->before_all;
    channel->peer->count--;
    unlock_lists();
    mp__wire_close(&channel->wire);
    free(channel);
}

static void end_thread(void *unused) {
    (void)unused;
    while (channels)
        close_channel(channels);
}

__attribute__((constructor)) static void note_main_thread(void) {
    main_thread = pthread_self();
}

static void prepare(void) {
    pthread_atfork(lock_lists, unlock_lists, forget_all);
    (void)pthread_key_create(&thread_end, end_thread);
}

static struct peer *find_peer_locked(const char *address) {
    struct peer *peer = peers;
    while (peer && strcmp(peer->address, address) != 0)
        peer = peer->next;
    return peer;
}

static struct peer *add_peer_locked(const char *address) {
    size_t size = strlen(address) + 1;
    struct peer *peer = calloc(1, sizeof *peer + size);
    if (!peer)
        return NULL;
    memcpy(peer->address, address, size);
    peer->anchor = -1;
    peer->next = peers;
    peers = peer;
    return peer;
}

static struct peer *find_peer(const char *address, unsigned more_users) {
    pthread_once(&once, prepare);
    lock_lists();
    struct peer *peer = find_peer_locked(address);
    if (!peer)
        peer = add_peer_locked(address);
    if (peer)
        peer->users += more_users;
    unlock_lists();
    if (!peer)
        mp__fail(-ENOMEM, "no memory to note the manager at %.200s", address);
    return peer;
}

int mp__link_hold(const char *address) {
    return find_peer(address, 1) ? 0 : -ENOMEM;
}

/* How the manager knows which connections are of one client. With the first one that is another
 * client than before: the manager may not yet have noticed that the last one ended. */
static uint64_t add_connection(struct peer *peer) {
    lock_lists();
    if (peer->count++ == 0) {
        peer->epoch++;
        if (mp__random_bytes(&peer->client, sizeof peer->client) < 0)
            peer->client = (uint64_t)mp__now();
    }
    uint64_t client = peer->client;
    unlock_lists();
    return client;
}

static void drop_connection(struct peer *peer) {
    lock_lists();
    peer->count--;
    unlock_lists();
}

static mp_object *make_introduction(uint64_t client) {
    char name[200];
    const char *process = mp_process_name(mp_current_process());
    snprintf(name, sizeof name, "%.100s" MP__CLIENT_MARK "%016llx", process ? process : "?",
             (unsigned long long)client);
    mp_object *args = mp_object_build("(s)", name);
    return args ? mp__request_new(NULL, "accept_connection", args, NULL) : NULL;
}

static bool is_greeting(const mp_object *reply) {
    enum mp__reply_kind kind;
    const mp_object *payload;
    const char *text;
    return mp__reply_take(&kind, &payload, reply) == 0 && kind == MP__REPLY_RETURN &&
           mp_object_get_kind(payload) == MP_OBJECT_STR && mp_str_get(payload, &text, NULL) == 0 &&
           strcmp(text, MP__MANAGER_GREETING) == 0;
}

static int exchange(struct mp__wire *wire, const mp_object *request, mp_object **reply,
                    bool *has_proxy) {
    int code = mp__wire_send(wire, request);
    return code < 0 ? code : mp__wire_receive(wire, reply, has_proxy);
}

/* Connect for more than one request. 1: to a manager of ours; 0: to another. The peer counts it. */
static int open_wire(struct mp__wire *wire, struct peer *peer, const struct mp__site *site) {
    mp_object *reply, *request = make_introduction(add_connection(peer));
    int code = request ? mp__wire_open(wire, site) : -ENOMEM;
    if (code == 0) {
        code = exchange(wire, request, &reply, NULL);
        if (code < 0)
            mp__wire_close(wire);
    }
    mp_object_free(request);
    if (code < 0) {
        drop_connection(peer);
        return code;
    }
    code = is_greeting(reply);
    mp_object_free(reply);
    return code;
}

/* So that the references of this process outlive this thread. */
static int ensure_anchor(struct peer *peer, const struct mp__site *site) {
    struct mp__wire wire;
    lock_lists();
    bool has_anchor = peer->anchor >= 0;
    unlock_lists();
    if (has_anchor || pthread_equal(pthread_self(), main_thread))
        return 0;
    int code = open_wire(&wire, peer, site);
    if (code < 0)
        return code;
    lock_lists();
    int spare = peer->anchor;
    peer->count -= spare >= 0;
    peer->anchor = wire.socket;
    unlock_lists();
    wire.socket = spare;
    mp__wire_close(&wire);
    return 0;
}

static void add_channel(struct channel *channel) {
    channel->next = channels;
    channels = channel;
    lock_lists();
    channel->after_all = all_channels;
    if (all_channels)
        all_channels->before_all = channel;
    all_channels = channel;
    unlock_lists();
    (void)pthread_setspecific(thread_end, channel);
}

static int open_channel(struct channel **out, struct peer *peer, const struct mp__site *site) {
    struct channel *channel = calloc(1, sizeof *channel);
    if (!channel)
        return mp__fail(-ENOMEM, "no memory for a connection to %.200s", site->address);
    int code = open_wire(&channel->wire, peer, site);
    if (code < 0) {
        free(channel);
        return code;
    }
    channel->peer = peer;
    channel->does_count = code == 1;
    add_channel(channel);
    code = channel->does_count ? ensure_anchor(peer, site) : 0;
    if (code < 0)
        close_channel(channel);
    else
        *out = channel;
    return code;
}

static int find_channel(struct channel **out, const struct mp__site *site) {
    for (struct channel *channel = channels; channel; channel = channel->next)
        if (strcmp(channel->peer->address, site->address) == 0) {
            *out = channel;
            return 0;
        }
    struct peer *peer = find_peer(site->address, 0);
    return peer ? open_channel(out, peer, site) : -ENOMEM;
}

/* Whatever it is that comes. */
static int hear(struct channel *channel) {
    mp_object *reply;
    for (; channel->unheard > 0; channel->unheard--) {
        int code = mp__wire_receive(&channel->wire, &reply, NULL);
        if (channel->wire.is_broken)
            return code;
        if (code == 0)
            mp_object_free(reply);
    }
    return 0;
}

/* A reply that cannot be read is no reason to lose the locks that this connection holds. */
static int talk(struct channel *channel, const mp_object *request, mp_object **reply,
                bool *has_proxy) {
    int code = hear(channel);
    if (code == 0)
        code = exchange(&channel->wire, request, reply, has_proxy);
    if (channel->wire.is_broken)
        close_channel(channel);
    return code;
}

int mp__link_call(const struct mp__site *site, mp_object *request, mp_object **reply,
                  bool *has_proxy) {
    struct channel *channel;
    int code = request ? find_channel(&channel, site) : mp__fail(-ENOMEM, "making a request");
    if (code == 0)
        code = talk(channel, request, reply, has_proxy);
    mp_object_free(request);
    return code;
}

static int ask_once(const struct mp__site *site, const mp_object *request, mp_object **reply) {
    struct mp__wire wire;
    int code = mp__wire_open(&wire, site);
    if (code < 0)
        return code;
    code = exchange(&wire, request, reply, NULL);
    mp__wire_close(&wire);
    return code;
}

unsigned mp__link_epoch(const char *address) {
    lock_lists();
    const struct peer *peer = find_peer_locked(address);
    unsigned epoch = peer && peer->count > 0 ? peer->epoch : 0;
    unlock_lists();
    return epoch;
}

int mp__link_counts(const struct mp__site *site) {
    struct channel *channel;
    int code = find_channel(&channel, site);
    return code < 0 ? code : channel->does_count;
}

int mp__link_ask(const struct mp__site *site, mp_object *request, mp_object **reply) {
    struct channel *channel;
    int code = request ? find_channel(&channel, site) : mp__fail(-ENOMEM, "making a request");
    if (code == 0)
        code = channel->does_count ? talk(channel, request, reply, NULL)
                                   : ask_once(site, request, reply);
    mp_object_free(request);
    return code;
}

static void tell(struct channel *channel, const mp_object *request) {
    int code = channel->unheard < UNHEARD_MAX ? 0 : hear(channel);
    if (code == 0)
        code = mp__wire_send(&channel->wire, request);
    if (code == 0)
        channel->unheard++;
    if (channel->wire.is_broken)
        close_channel(channel);
}

void mp__link_tell(const struct mp__site *site, mp_object *request) {
    struct channel *channel;
    mp_object *reply;
    if (request && find_channel(&channel, site) == 0) {
        if (channel->does_count)
            tell(channel, request);
        else if (ask_once(site, request, &reply) == 0)
            mp_object_free(reply);
    }
    mp_object_free(request);
}

/* Of the channels only this thread's: another thread may just use its own. */
void mp__link_release(const char *address) {
    lock_lists();
    struct peer *peer = find_peer_locked(address);
    if (peer && peer->users > 0)
        peer->users--;
    bool is_unused = peer && peer->users == 0;
    int anchor = is_unused ? peer->anchor : -1;
    if (anchor >= 0) {
        peer->anchor = -1;
        peer->count--;
    }
    unlock_lists();
    for (struct channel *channel = channels, *next; channel && is_unused; channel = next) {
        next = channel->next;
        if (channel->peer == peer)
            close_channel(channel);
    }
    mp__descriptor_close(anchor);
}
