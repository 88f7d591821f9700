/* Threads that make, name, start and ask at once.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mp/shared.h"
#include "os/sanitizer.h"
#include "process.h"

#define TURNS 300
#define KEY_BYTES 1000 /* not kept where small things are */

static bool is_of_one_piece(const char *key, size_t size) {
    for (size_t i = 1; i < size; i++)
        if (key[i] != key[0])
            return false;
    return true;
}

static _Atomic bool is_over; /* for the threads */

/* Keys and names of different lengths, each made of one letter. */
static void *change_part(void *process) {
    char bytes[KEY_BYTES + 1];
    for (unsigned i = 0; !is_over; i++) {
        size_t size = 1 + i % KEY_BYTES;
        memset(bytes, 'a' + (int)(i % 26), size);
        bytes[size] = 0;
        MPT_OK(mp_process_set_authkey(process, bytes, size));
        MPT_OK(mp_process_set_name(process, bytes));
    }
    return NULL;
}

static void check_key(const mp_process *process) {
    char key[KEY_BYTES];
    size_t size;
    MPT_OK(mp_process_authkey(process, key, sizeof key, &size));
    MPT_CHECK(is_of_one_piece(key, size));
}

static void test_key_and_name_may_be_set_while_others_use_them(void **state) {
    (void)state;
    pthread_t threads[2];
    mp_process *self = mp_current_process();
    MPT_OK(mp_process_set_authkey(self, "k", 1));
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, change_part, self), 0);
    for (int i = 0; i < TURNS; i++) {
        mp_process *process;
        check_key(self);
        MPT_OK(mp_process_new(&process, mpt_context(), NULL));
        check_key(process);
        MPT_CODE(mp_process_join(self, 0), MP_ESTATE); /* its detail names it */
        MPT_OK(mp_process_close(process));
    }
    is_over = true;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
}

static int check_own_parts(void *arg, size_t size) {
    (void)arg;
    (void)size;
    const char *name = mp_process_name(mp_current_process());
    check_key(mp_current_process());
    return is_of_one_piece(name, strlen(name)) ? 0 : 1;
}

/* The child gets one or the other, whole. */
static void test_key_and_name_may_be_set_while_a_child_starts(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        is_over = false;
        mp_process *process = mpt_new(check_own_parts, NULL, 0);
        MPT_OK(mp_process_set_name(process, "n"));
        MPT_OK(mp_process_set_authkey(process, "k", 1));
        assert_int_equal(pthread_create(&thread, NULL, change_part, process), 0);
        MPT_OK(mp_process_start(process));
        is_over = true;
        pthread_join(thread, NULL);
        assert_int_equal(mpt_end(process), 0);
    }
}

static int check_first_parts(void *arg, size_t size) {
    char key[8] = {0};
    (void)arg;
    (void)size;
    MPT_OK(mp_process_authkey(mp_current_process(), key, sizeof key, NULL));
    bool is_first = strcmp(mp_process_name(mp_current_process()), "first name") == 0;
    return is_first && strcmp(key, "first") == 0 ? 0 : 1;
}

static void test_child_has_the_name_and_key_from_before_its_start(void **state) {
    (void)state;
    mp_process_options options = {.target = check_first_parts, .name = "first name"};
    for (int i = 0; i < 20; i++) {
        mp_process *process;
        MPT_OK(mp_process_new(&process, mpt_context(), &options));
        MPT_OK(mp_process_set_authkey(process, "first", 5));
        MPT_OK(mp_process_start(process));
        MPT_OK(mp_process_set_authkey(process, "second", 6));
        MPT_OK(mp_process_set_name(process, "second name"));
        assert_int_equal(mpt_end(process), 0);
    }
}

struct words {
    _Atomic int go;
};

static int run_until_go(void *arg, size_t size) {
    (void)size;
    MPT_UNTIL((*(struct words **)arg)->go);
    return 0;
}

static void *start_forked(void *arg) {
    mp_process **out = arg;
    struct words **words = (struct words **)(out + 1);
    mp_process_options options = {.target = run_until_go, .arg = words, .arg_size = sizeof *words};
    *out = mpt_start_with(mp_get_context(MP_FORK), &options);
    return NULL;
}

/* A lock inside ThreadSanitizer that the other thread holds at fork is held in the child for ever:
 * any atomic operation there may wait for it. */
static void skip_forks_under_tsan(void) {
#ifdef MP__UNDER_TSAN
    if (mpt_method() == MP_FORK)
        skip();
#endif
}

/* Else that one would keep open what tells of the other's end. */
static void test_end_of_a_child_is_seen_while_one_lives_that_was_forked_meanwhile(void **state) {
    (void)state;
    skip_forks_under_tsan();
    struct {
        mp_process *process;
        struct words *words;
    } forked[20];
    struct words *words = mp_shared_calloc(1, sizeof *words);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        forked[i].words = words;
        mp_process *process = mpt_new(mpt_do_nothing, NULL, 0);
        assert_int_equal(pthread_create(&thread, NULL, start_forked, &forked[i]), 0);
        MPT_OK(mp_process_start(process));
        assert_int_equal(mpt_end(process), 0);
        pthread_join(thread, NULL);
    }
    words->go = 1;
    for (int i = 0; i < 20; i++)
        assert_int_equal(mpt_end(forked[i].process), 0);
    mp_shared_free(words);
}

static void *fork_again_and_again(void *arg) {
    while (!is_over) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(0);
        MPT_CHECK(pid > 0 && waitpid(pid, NULL, 0) == pid);
    }
    return arg;
}

static void test_daemons_may_end_while_a_thread_forks(void **state) {
    (void)state;
    pthread_t thread;
    mp_process_options options = {.target = mpt_do_nothing, .daemon = MP_DAEMON};
    assert_int_equal(pthread_create(&thread, NULL, fork_again_and_again, NULL), 0);
    for (int i = 0; i < TURNS; i++) {
        mp_process *process = mpt_start_with(mp_get_context(MP_FORK), &options);
        assert_int_equal(mpt_end(process), 0);
    }
    is_over = true;
    pthread_join(thread, NULL);
}

MPT_PROCESS_MAIN(
    MPT_CASE(test_key_and_name_may_be_set_while_others_use_them),
    MPT_EACH_METHOD(test_key_and_name_may_be_set_while_a_child_starts),
    MPT_EACH_METHOD(test_child_has_the_name_and_key_from_before_its_start),
    MPT_EACH_METHOD(test_end_of_a_child_is_seen_while_one_lives_that_was_forked_meanwhile),
    MPT_CASE(test_daemons_may_end_while_a_thread_forks))
