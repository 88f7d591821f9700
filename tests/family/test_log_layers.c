/* What each layer logs, as a program's handler gets it.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdio.h>
#include <string.h>

#include "mp/mp.h"

/* Calls back into the library, as handlers may. */
static struct log {
    mp_semaphore *semaphore; /* taken for each line; NULL: none */
    char text[20000];        /* "LEVEL text\n" for each */
} * shared;

static void hear(int level, const char *process_name, const char *text, void *user) {
    struct log *log = user;
    (void)process_name;
    if (log->semaphore)
        MPT_OK(mp_semaphore_acquire(log->semaphore, 20));
    size_t used = strlen(log->text);
    snprintf(log->text + used, sizeof log->text - used, "%d %s\n", level, text);
    if (log->semaphore)
        MPT_OK(mp_semaphore_release(log->semaphore, 1));
}

static struct log private_log;

static void listen_to(struct log *log) {
    shared = log;
    MPT_OK(mp_log_set_level(MP_LOG_SUBDEBUG));
    MPT_OK(mp_log_set_handler(hear, log));
}

static void expect(int level, const char *text) {
    char line[200];
    mp_log(MP_LOG_CRITICAL, "what was kept comes first");
    snprintf(line, sizeof line, "%d %s", level, text);
    if (!strstr(shared->text, line))
        fprintf(stderr, "no '%s' in:\n%s", line, shared->text);
    MPT_CHECK(strstr(shared->text, line));
}

static void test_memory_members_and_locks(void **state) {
    (void)state;
    mp_lock *lock;
    mp_semaphore *semaphore;
    listen_to(&private_log);
    MPT_OK(mp_lock_new(&lock, NULL));
    expect(MP_LOG_INFO, "allocating a new mmap of length ");
    expect(MP_LOG_SUBDEBUG, "process ");
    expect(MP_LOG_DEBUG, "created semlock with handle 0x");
    private_log.text[0] = 0;
    MPT_OK(mp_semaphore_new(&semaphore, NULL, 1));
    expect(MP_LOG_DEBUG, "created semlock with handle 0x");
    mp_semaphore_free(semaphore);
    mp_lock_free(lock);
}

static void test_queues_and_pipes(void **state) {
    (void)state;
    mp_queue *queue;
    mp_connection *first, *second;
    listen_to(&private_log);
    MPT_OK(mp_queue_new(&queue, NULL, 0));
    expect(MP_LOG_DEBUG, "created queue with handle 0x");
    mp_queue_free(queue);
    expect(MP_LOG_DEBUG, "freed queue with handle 0x");
    MPT_OK(mp_pipe_new(&first, &second, NULL, true));
    expect(MP_LOG_DEBUG, "created pipe with handle 0x");
    mp_connection_free(first);
    mp_connection_free(second);
    expect(MP_LOG_DEBUG, "freed pipe with handle 0x");
}

static void test_pickles_and_shared_memory(void **state) {
    (void)state;
    mp_object *object;
    mp_shared_memory *memory;
    listen_to(&private_log);
    MPT_CODE(mp_object_loads(&object, "\x80\x04]\xff.", 5), MP_EPROTO);
    expect(MP_LOG_DEBUG, "a pickle of 5 bytes was refused behind byte 4: ");
    MPT_CODE(mp_object_loads(&object, "\x80\x04]", 3), MP_EPROTO);
    expect(MP_LOG_DEBUG, "a pickle of 3 bytes was refused: it goes on");
    MPT_OK(mp_shared_memory_open(&memory, NULL, 10, MP_CREATE));
    expect(MP_LOG_DEBUG, "created shared memory '");
    MPT_OK(mp_shared_memory_unlink(memory));
    expect(MP_LOG_DEBUG, "unlinked shared memory '");
    mp_shared_memory_free(memory);
}

static int connect_to(void *address, size_t size) {
    mp_connection *connection;
    (void)size;
    MPT_OK(mp_client_connect(&connection, address, "key", 3, 20));
    mp_connection_free(connection);
    return mp_client_connect(&connection, address, "kay", 3, 20) == MP_EAUTH ? 0 : 1;
}

static void test_listeners_and_clients(void **state) {
    (void)state;
    mp_listener *listener;
    mp_connection *connection;
    mp_process *client;
    mp_process_options options = {.target = connect_to};
    listen_to(&private_log);
    MPT_OK(mp_listener_new(&listener, NULL,
                           &(mp_listener_options){.authkey = "key", .authkey_size = 3}));
    expect(MP_LOG_SUBDEBUG, "listener created with address='unix:/");
    options.arg = mp_listener_address(listener);
    options.arg_size = strlen(options.arg) + 1;
    MPT_OK(mp_process_new(&client, mpt_context(), &options));
    MPT_OK(mp_process_start(client));
    MPT_OK(mp_listener_accept(listener, &connection, 20));
    expect(MP_LOG_DEBUG, "the other end's proof of the key was accepted");
    expect(MP_LOG_DEBUG, "our proof of the key was accepted");
    expect(MP_LOG_DEBUG, "accepted connection from '");
    mp_connection_free(connection);
    MPT_CODE(mp_listener_accept(listener, &connection, 20), MP_EAUTH);
    expect(MP_LOG_DEBUG, "the other end's proof of the key was not accepted: mp_connection_");
    MPT_OK(mp_process_join(client, 20));
    MPT_OK(mp_process_close(client));
    mp_listener_close(listener);
    expect(MP_LOG_SUBDEBUG, "closing listener with address='unix:/");
}

struct dead_end {
    mp_lock *lock;
    mp_queue *queue;
};

static void die_in_both(void *arg) {
    const struct dead_end *end = arg;
    MPT_OK(mp_log_set_handler(NULL, NULL));
    MPT_OK(mp_lock_acquire(end->lock, 20));
    mpt_die_at("guard.acquire.taken", 1);
    (void)mp_queue_put(end->queue, "x", 1, 20);
}

/* The handler needs what a recovery needs: it is called when that is over. */
static void test_the_dead_and_what_they_held(void **state) {
    (void)state;
    struct dead_end end;
    char line[100];
    struct log log = {0};
    MPT_OK(mp_semaphore_new(&log.semaphore, NULL, 1));
    MPT_OK(mp_lock_new(&end.lock, NULL));
    MPT_OK(mp_queue_new(&end.queue, NULL, 0));
    listen_to(&log);
    pid_t pid = mpt_fork(die_in_both, &end);
    assert_int_equal(mpt_join(pid), -9);
    MPT_CODE(mp_lock_acquire(end.lock, 20), MP_EOWNERDEAD);
    snprintf(line, sizeof line, "process %d has died: what it held was given back", (int)pid);
    expect(MP_LOG_DEBUG, line);
    snprintf(line, sizeof line, "... lock %p: who takes it next is told", (void *)end.lock);
    expect(MP_LOG_DEBUG, line);
    expect(MP_LOG_DEBUG, "... channel 0x");
    snprintf(line, sizeof line, "lock %p: taken over from a dead owner", (void *)end.lock);
    expect(MP_LOG_DEBUG, line);
    MPT_OK(mp_lock_release(end.lock));
    mp_queue_free(end.queue);
    mp_lock_free(end.lock);
    MPT_OK(mp_log_set_handler(NULL, NULL));
    mp_semaphore_free(log.semaphore);
}

static int do_nothing(const void *arg, size_t size, mp_reply *reply, void *user) {
    (void)arg, (void)size, (void)reply, (void)user;
    return 0;
}

static void test_pools_and_managers(void **state) {
    (void)state;
    mp_pool *pool;
    mp_manager *manager;
    listen_to(&private_log);
    MPT_OK(mp_pool_new(&pool, mpt_context(), &(mp_pool_options){.processes = 1}));
    MPT_OK(mp_pool_apply(pool, do_nothing, NULL, 0, NULL, 0, NULL));
    MPT_OK(mp_pool_close(pool));
    expect(MP_LOG_DEBUG, "closing pool");
    MPT_OK(mp_pool_join(pool, 20));
    expect(MP_LOG_DEBUG, "joining pool");
    mp_pool_free(pool);
    MPT_OK(mp_manager_new(&manager, mpt_context(), NULL));
    MPT_OK(mp_manager_start(manager));
    mp_manager_free(manager);
    expect(MP_LOG_INFO, "sending shutdown message to manager");
}

MPT_PROCESS_MAIN(MPT_CASE(test_memory_members_and_locks), MPT_CASE(test_queues_and_pipes),
                 MPT_CASE(test_pickles_and_shared_memory),
                 MPT_EACH_METHOD(test_listeners_and_clients),
                 MPT_CASE(test_the_dead_and_what_they_held),
                 MPT_EACH_METHOD(test_pools_and_managers))
