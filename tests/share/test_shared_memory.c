/* Memory with a name: made, attached, closed, unlinked.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "mp/shared_memory.h"

/* A name that no other test has at this time. */
static const char *own_name(void) {
    static char name[32];
    if (!name[0])
        snprintf(name, sizeof name, "mpt_%d", (int)getpid());
    return name;
}

static void test_made_up_names_are_python_s(void **state) {
    (void)state;
    mp_shared_memory *memory;
    MPT_OK(mp_shared_memory_open(&memory, NULL, 100, MP_CREATE));
    const char *name = mp_shared_memory_name(memory);
    assert_int_equal(strlen(name), 12);
    assert_memory_equal(name, "psm_", 4);
    assert_int_equal(strspn(name + 4, "0123456789abcdef"), 8);
    assert_int_equal(mp_shared_memory_size(memory), 100);
    MPT_OK(mp_shared_memory_unlink(memory));
    mp_shared_memory_free(memory);
}

static void test_what_one_writes_the_other_reads(void **state) {
    (void)state;
    mp_shared_memory *one, *other;
    MPT_OK(mp_shared_memory_open(&one, own_name(), 5000, MP_CREATE));
    assert_int_equal(((char *)mp_shared_memory_buf(one))[4999], 0);
    memcpy(mp_shared_memory_buf(one), "hello", 6);
    MPT_OK(mp_shared_memory_open(&other, own_name(), 77, 0));
    assert_int_equal(mp_shared_memory_size(other), 5000);
    assert_string_equal(mp_shared_memory_buf(other), "hello");
    assert_string_equal(mp_shared_memory_name(other), own_name());
    MPT_OK(mp_shared_memory_unlink(one));
    mp_shared_memory_free(one);
    assert_string_equal(mp_shared_memory_buf(other), "hello");
    MPT_CODE(mp_shared_memory_unlink(other), -ENOENT);
    mp_shared_memory_free(other);
}

static void test_close_keeps_name_and_size(void **state) {
    (void)state;
    mp_shared_memory *memory;
    MPT_OK(mp_shared_memory_open(&memory, own_name(), 10, MP_CREATE));
    MPT_OK(mp_shared_memory_close(memory));
    MPT_OK(mp_shared_memory_close(memory));
    assert_null(mp_shared_memory_buf(memory));
    assert_int_equal(mp_shared_memory_size(memory), 10);
    MPT_OK(mp_shared_memory_unlink(memory));
    mp_shared_memory_free(memory);
}

static void test_an_existing_name_is_not_created_again(void **state) {
    (void)state;
    mp_shared_memory *memory, *again;
    MPT_OK(mp_shared_memory_open(&memory, own_name(), 10, MP_CREATE));
    MPT_CODE(mp_shared_memory_open(&again, own_name(), 10, MP_CREATE), -EEXIST);
    MPT_OK(mp_shared_memory_unlink(memory));
    MPT_CODE(mp_shared_memory_open(&again, own_name(), 0, 0), -ENOENT);
    mp_shared_memory_free(memory);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    mp_shared_memory *memory;
    char name[400];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    MPT_CODE(mp_shared_memory_open(NULL, "x", 1, 0), MP_EINVAL);
    MPT_CODE(mp_shared_memory_open(&memory, NULL, 1, 0), MP_EINVAL);
    MPT_CODE(mp_shared_memory_open(&memory, NULL, 0, MP_CREATE), MP_EINVAL);
    MPT_CODE(mp_shared_memory_open(&memory, NULL, SIZE_MAX, MP_CREATE), MP_EINVAL);
    MPT_CODE(mp_shared_memory_open(&memory, NULL, 1, 6), MP_EINVAL);
    MPT_CODE(mp_shared_memory_open(&memory, name, 1, MP_CREATE), MP_EINVAL);
    MPT_CODE(mp_shared_memory_open(&memory, name, 1, 0), MP_EINVAL);
    MPT_CODE(mp_shared_memory_open(&memory, "", 1, MP_CREATE), MP_EINVAL);
    MPT_CODE(mp_shared_memory_close(NULL), MP_EINVAL);
    MPT_CODE(mp_shared_memory_unlink(NULL), MP_EINVAL);
    assert_null(mp_shared_memory_buf(NULL));
    assert_null(mp_shared_memory_name(NULL));
    assert_int_equal(mp_shared_memory_size(NULL), 0);
    mp_shared_memory_free(NULL);
}

static void test_memory_that_is_not_there_leaves_no_name(void **state) {
    (void)state;
    mp_shared_memory *memory;
    int code = mp_shared_memory_open(&memory, own_name(), (size_t)1 << 60, MP_CREATE);
    assert_true(code == -ENOSPC || code == -EFBIG || code == -ENOMEM);
    MPT_CODE(mp_shared_memory_open(&memory, own_name(), 0, 0), -ENOENT);
    struct rlimit small = {.rlim_cur = 1000, .rlim_max = RLIM_INFINITY};
    MPT_CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    MPT_CODE(mp_shared_memory_open(&memory, own_name(), 2000, MP_CREATE), -EFBIG);
    MPT_CODE(mp_shared_memory_open(&memory, own_name(), 0, 0), -ENOENT);
}

static void test_memory_without_bytes_cannot_be_attached(void **state) {
    (void)state;
    mp_shared_memory *memory;
    char path[64];
    snprintf(path, sizeof path, "/%s", own_name());
    int descriptor = shm_open(path, O_RDWR | O_CREAT, 0600);
    MPT_CODE(mp_shared_memory_open(&memory, own_name(), 0, 0), MP_EINVAL);
    close(descriptor);
    shm_unlink(path);
}

static void write_and_die(void *arg) {
    mp_shared_memory *memory;
    (void)arg;
    MPT_OK(mp_shared_memory_open(&memory, own_name(), 0, 0));
    memcpy(mp_shared_memory_buf(memory), "bye", 4);
    kill(getpid(), SIGKILL);
}

static void test_it_outlives_who_used_it(void **state) {
    (void)state;
    mp_shared_memory *memory;
    MPT_OK(mp_shared_memory_open(&memory, own_name(), 4, MP_CREATE));
    assert_int_equal(mpt_join(mpt_fork(write_and_die, NULL)), -SIGKILL);
    assert_string_equal(mp_shared_memory_buf(memory), "bye");
    MPT_OK(mp_shared_memory_unlink(memory));
    mp_shared_memory_free(memory);
}

MPT_MAIN(MPT_CASE(test_made_up_names_are_python_s), MPT_CASE(test_what_one_writes_the_other_reads),
         MPT_CASE(test_close_keeps_name_and_size),
         MPT_CASE(test_an_existing_name_is_not_created_again),
         MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_memory_that_is_not_there_leaves_no_name),
         MPT_CASE(test_memory_without_bytes_cannot_be_attached),
         MPT_CASE(test_it_outlives_who_used_it))
