/* A manager's pool for C clients: results one by one, in order or as they are done.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <stdlib.h>

#include "mp/collection.h"
#include "mp/manager.h"
#include "mp/pickle.h"
#include "mp/proxy.h"
#include "mp/proxy_types.h"
#include "mp/sync.h"

/* In a worker: waits for the event at an address, and returns the number behind it. */
static int wait_for(mp_method_call *call) {
    unsigned long long event;
    int number;
    int code = mp_object_parse(call->args, "((Ki))", &event, &number);
    if (code == 0 && event)
        code = mp_event_wait((mp_event *)(uintptr_t)event, MP_FOREVER);
    call->result = code == 0 ? mp_integer_new(number) : NULL;
    return code;
}

static mp_manager *manager;
static mp_event *gate;

/* A pool's iterator over wait_for: for 1 it waits until the gate is open, for the others not. */
static mp_object *begin(const char *method, int count) {
    mp_proxy *pool;
    mp_object *items = mp_list_new(), *iterator;
    MPT_OK(mp_event_new(&gate, mpt_context()));
    MPT_OK(mp_manager_new(&manager, mpt_context(), NULL));
    MPT_OK(mp_manager_register_function(manager, "wait_for", wait_for));
    MPT_OK(mp_manager_start(manager));
    for (int i = 1; i <= count; i++)
        MPT_OK(mp_list_append(
            items, mp_object_build("(Ki)", i == 1 ? (unsigned long long)(uintptr_t)gate : 0, i)));
    MPT_OK(mp_manager_pool(manager, &pool, 2));
    MPT_OK(mp_proxy_call(pool, &iterator, method, "(NN)", mp_global_new("any", "wait_for"), items));
    mp_proxy_free(pool); /* its iterator keeps the pool */
    return iterator;
}

static void end(mp_object *iterator) {
    mp_object_free(iterator);
    mp_manager_free(manager);
    mp_event_free(gate);
}

static int64_t next_of(const mp_object *iterator) {
    mp_object *got;
    int64_t number = 0;
    MPT_OK(mp_proxy_call(mp_object_get_proxy(iterator), &got, "__next__", ""));
    MPT_OK(mp_integer_get(got, &number));
    mp_object_free(got);
    return number;
}

static void expect_end(const mp_object *iterator) {
    mp_proxy *proxy = mp_object_get_proxy(iterator);
    MPT_CODE(mp_proxy_call(proxy, NULL, "__next__", ""), MP_EEND);
    MPT_CODE(mp_proxy_call(proxy, NULL, "__next__", ""), MP_EEND);
}

static void test_imap_unordered_gives_what_is_done(void **state) {
    (void)state;
    mp_object *iterator = begin("imap_unordered", 3);
    int64_t sum = next_of(iterator) + next_of(iterator);
    assert_int_equal(sum, 5); /* while 1 waits */
    MPT_OK(mp_event_set(gate));
    assert_int_equal(next_of(iterator), 1);
    expect_end(iterator);
    end(iterator);
}

static void test_imap_gives_results_in_order(void **state) {
    (void)state;
    mp_object *iterator = begin("imap", 3);
    mp_proxy *proxy = mp_object_get_proxy(iterator);
    MPT_CODE(mp_proxy_call(proxy, NULL, "next", "(d)", 0.01), MP_ETIMEDOUT);
    MPT_CODE(mp_proxy_call(proxy, NULL, "next", "(i)", 0), MP_ETIMEDOUT);
    MPT_OK(mp_event_set(gate));
    for (int i = 1; i <= 3; i++)
        assert_int_equal(next_of(iterator), i);
    expect_end(iterator);
    end(iterator);
}

static void test_an_imap_of_nothing_is_at_its_end(void **state) {
    (void)state;
    mp_object *iterator = begin("imap_unordered", 0);
    expect_end(iterator);
    end(iterator);
}

enum { SHARED = 40 };

static void *take_half(void *iterator) {
    int64_t sum = 0;
    for (int i = 0; i < SHARED / 2; i++)
        sum += next_of(iterator);
    return (void *)(intptr_t)sum;
}

static void test_threads_share_an_imap(void **state) {
    (void)state;
    pthread_t thread;
    void *theirs;
    mp_object *iterator = begin("imap_unordered", SHARED);
    assert_int_equal(pthread_create(&thread, NULL, take_half, iterator), 0);
    MPT_OK(mp_event_set(gate));
    intptr_t mine = (intptr_t)take_half(iterator);
    pthread_join(thread, &theirs);
    assert_int_equal(mine + (intptr_t)theirs, SHARED * (SHARED + 1) / 2);
    expect_end(iterator);
    end(iterator);
}

static void test_an_imap_that_nobody_reads_goes_with_its_pool(void **state) {
    (void)state;
    mp_object *iterator = begin("imap", 3);
    mp_object_free(iterator);
    MPT_CODE(mp_manager_number_of_objects(manager), 0);
    end(NULL);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_imap_unordered_gives_what_is_done),
                 MPT_EACH_METHOD(test_imap_gives_results_in_order),
                 MPT_CASE(test_an_imap_of_nothing_is_at_its_end),
                 MPT_CASE(test_threads_share_an_imap),
                 MPT_CASE(test_an_imap_that_nobody_reads_goes_with_its_pool))
