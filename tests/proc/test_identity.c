/* Names, keys and who is whose parent.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mp/shared.h"
#include "process.h"

struct shared {
    _Atomic int words[8];
};

static int store_identity(void *arg, size_t size) {
    (void)size;
    struct shared *shared = *(struct shared **)arg;
    mp_process *self = mp_current_process();
    mp_process *parent = mp_parent_process();
    shared->words[0] = mp_process_pid(self);
    shared->words[1] = getpid();
    shared->words[2] = mp_process_pid(parent);
    shared->words[3] = strcmp(mp_process_name(self), "worker") == 0;
    shared->words[4] = strcmp(mp_process_name(parent), "MainProcess") == 0;
    shared->words[5] = mp_process_is_alive(self) && mp_process_is_alive(parent);
    shared->words[6] = mp_process_join(parent, 0);
    return 0;
}

static void test_child_knows_itself_and_its_parent(void **state) {
    (void)state;
    struct shared *shared = mp_shared_calloc(1, sizeof *shared);
    mp_process *process = mpt_new(store_identity, &shared, sizeof shared);
    MPT_OK(mp_process_set_name(process, "worker"));
    MPT_OK(mp_process_start(process));
    pid_t pid = mp_process_pid(process);
    assert_int_equal(mpt_end(process), 0);
    assert_int_equal(shared->words[0], pid);
    assert_int_equal(shared->words[1], pid);
    assert_int_equal(shared->words[2], getpid());
    assert_int_equal(shared->words[3], 1);
    assert_int_equal(shared->words[4], 1);
    assert_int_equal(shared->words[5], 1);
    assert_int_equal(shared->words[6], MP_ETIMEDOUT);
    mp_shared_free(shared);
}

static void test_root_is_the_main_process(void **state) {
    (void)state;
    mp_process *self = mp_current_process();
    int code;
    assert_string_equal(mp_process_name(self), "MainProcess");
    assert_int_equal(mp_process_pid(self), getpid());
    assert_true(mp_process_is_alive(self));
    assert_false(mp_process_daemon(self));
    assert_null(mp_parent_process());
    MPT_CODE(mp_process_start(self), MP_ESTATE);
    MPT_CODE(mp_process_join(self, 0), MP_ESTATE);
    MPT_CODE(mp_process_exitcode(self, &code), MP_ESTATE);
    MPT_CODE(mp_process_sentinel(self), MP_ESTATE);
    MPT_CODE(mp_process_terminate(self), MP_EFOREIGN);
    MPT_OK(mp_process_close(self));
    assert_true(mp_process_is_alive(self));
}

static void test_name_counts(void **state) {
    (void)state;
    mp_process *list[3];
    for (int i = 0; i < 3; i++)
        MPT_OK(mp_process_new(&list[i], i < 2 ? NULL : mp_get_context(MP_SPAWN), NULL));
    assert_string_equal(mp_process_name(list[0]), "Process-1");
    assert_string_equal(mp_process_name(list[1]), "Process-2");
    assert_string_equal(mp_process_name(list[2]), "SpawnProcess-3");
    for (int i = 0; i < 3; i++)
        MPT_OK(mp_process_close(list[i]));
}

static void test_name_tells_the_method(void **state) {
    (void)state;
    static const char *const names[] = {[MP_FORK] = "ForkProcess-1",
                                        [MP_SPAWN] = "SpawnProcess-1",
                                        [MP_FORKSERVER] = "ForkServerProcess-1"};
    mp_process *process = mpt_new(NULL, NULL, 0);
    assert_string_equal(mp_process_name(process), names[mpt_method()]);
    MPT_OK(mp_process_set_name(process, "other"));
    assert_string_equal(mp_process_name(process), "other");
    MPT_CODE(mp_process_set_name(process, NULL), MP_EINVAL);
    MPT_OK(mp_process_close(process));
}

static int check_grandchild_name(void *arg, size_t size) {
    (void)arg;
    (void)size;
    mp_process *process;
    for (int i = 1; i <= 2; i++) {
        char expected[32];
        MPT_OK(mp_process_new(&process, NULL, &(mp_process_options){.target = mpt_do_nothing}));
        snprintf(expected, sizeof expected, "Process-1:%d", i);
        MPT_CHECK(strcmp(mp_process_name(process), expected) == 0);
        MPT_OK(mp_process_start(process));
        MPT_CHECK(mpt_end(process) == 0);
    }
    return 0;
}

static void test_name_of_a_grandchild_has_two_numbers(void **state) {
    (void)state;
    assert_int_equal(mpt_end(mpt_start(check_grandchild_name, NULL, 0)), 0);
}

static int check_key(void *arg, size_t size) {
    unsigned char key[64];
    size_t key_size = 0;
    MPT_OK(mp_process_authkey(mp_current_process(), key, sizeof key, &key_size));
    return key_size == size && memcmp(key, arg, size) == 0 ? 0 : 1;
}

static void test_authkey_is_inherited(void **state) {
    (void)state;
    unsigned char key[32];
    size_t size;
    MPT_OK(mp_process_authkey(mp_current_process(), key, sizeof key, &size));
    assert_int_equal(size, 32);
    assert_int_equal(mpt_end(mpt_start(check_key, key, sizeof key)), 0);
    MPT_CODE(mp_process_authkey(mp_current_process(), key, 31, NULL), MP_ETOOSHORT);
    MPT_CODE(mp_process_authkey(mp_current_process(), NULL, 3, NULL), MP_EINVAL);
}

static void test_authkey_can_be_set(void **state) {
    (void)state;
    mp_process *process = mpt_new(check_key, "abc", 3);
    MPT_OK(mp_process_set_authkey(process, "abc", 3));
    MPT_CODE(mp_process_set_authkey(process, NULL, 3), MP_EINVAL);
    MPT_OK(mp_process_start(process));
    assert_int_equal(mpt_end(process), 0);
    MPT_OK(mp_process_set_authkey(mp_current_process(), "xy", 2));
    assert_int_equal(mpt_end(mpt_start(check_key, "xy", 2)), 0);
}

MPT_PROCESS_MAIN(MPT_CASE(test_root_is_the_main_process),
                 MPT_CASE(test_name_counts),
                 MPT_EACH_METHOD(test_name_tells_the_method),
                 MPT_EACH_METHOD(test_name_of_a_grandchild_has_two_numbers),
                 MPT_EACH_METHOD(test_authkey_is_inherited),
                 MPT_EACH_METHOD(test_authkey_can_be_set),
                 MPT_EACH_METHOD(test_child_knows_itself_and_its_parent))
