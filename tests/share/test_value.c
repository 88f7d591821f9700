/* Value: one item, its type and its lock.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <signal.h>
#include <wchar.h>

#include "mp/shared.h"
#include "reg/recover.h"

struct point {
    double x, y;   /* anything */
    char name[60]; /* to be larger than 64 bytes */
};

static void test_every_typecode_has_its_size(void **state) {
    static const struct {
        char code;   /* Python's letter */
        size_t size; /* of the C type */
    } table[] = {{'c', 1},
                 {'b', 1},
                 {'B', 1},
                 {'u', sizeof(wchar_t)},
                 {'h', sizeof(short)},
                 {'H', sizeof(short)},
                 {'i', sizeof(int)},
                 {'I', sizeof(int)},
                 {'l', sizeof(long)},
                 {'L', sizeof(long)},
                 {'q', 8},
                 {'Q', 8},
                 {'f', sizeof(float)},
                 {'d', sizeof(double)},
                 {'?', sizeof(bool)}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        mp_value *value;
        MPT_OK(mp_raw_value_new(&value, NULL, table[i].code, NULL));
        assert_int_equal(mp_value_size(value), table[i].size);
        assert_int_equal(mp_value_typecode(value), table[i].code);
        assert_int_equal((uintptr_t)mp_value_data(value) % 16, 0);
        mp_value_free(value);
    }
}

static void test_it_begins_with_zero_or_what_is_given(void **state) {
    (void)state;
    mp_value *zero, *seven;
    MPT_OK(mp_value_new(&zero, NULL, 'd', NULL, MP_NEW_LOCK));
    MPT_OK(mp_value_new(&seven, NULL, 'i', &(int){7}, MP_NEW_LOCK));
    assert_true(MP_VALUE(double, zero) == 0.0);
    assert_int_equal(MP_VALUE(int, seven)++, 7);
    assert_int_equal(MP_VALUE(int, seven), 8);
    mp_value_free(zero);
    mp_value_free(seven);
}

static void test_a_struct_is_aligned_for_its_size(void **state) {
    (void)state;
    struct point point = {1, 2, "here"};
    mp_value *value;
    MPT_OK(mp_value_new_struct(&value, NULL, sizeof point, &point, MP_NO_LOCK));
    assert_int_equal((uintptr_t)mp_value_data(value) % 64, 0);
    assert_memory_equal(mp_value_data(value), &point, sizeof point);
    assert_int_equal(mp_value_typecode(value), 0);
    mp_value_free(value);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    mp_value *value;
    long stranger = 0;
    MPT_CODE(mp_value_new(NULL, NULL, 'i', NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_value_new(&value, NULL, 'x', NULL, NULL), MP_ETYPE);
    MPT_CODE(mp_raw_value_new(&value, NULL, 0, NULL), MP_ETYPE);
    MPT_CODE(mp_raw_value_new(NULL, NULL, 'i', NULL), MP_EINVAL);
    MPT_CODE(mp_value_new_struct(&value, NULL, 0, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_value_new_struct(NULL, NULL, 1, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_value_new_struct(&value, NULL, SIZE_MAX, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_value_new_struct(&value, NULL, (size_t)1 << 46, NULL, NULL), -ENOMEM);
    MPT_CODE(mp_value_new(&value, NULL, 'i', NULL, (mp_lock *)&stranger), MP_EINVAL);
    MPT_CODE(mp_value_copy(&value, NULL), MP_EINVAL);
    MPT_CODE(mp_value_synchronized(&value, NULL, NULL), MP_EINVAL);
    assert_null(mp_value_data(NULL));
    assert_null(mp_value_get_lock(NULL));
    assert_int_equal(mp_value_size(NULL), 0);
    assert_int_equal(mp_value_typecode(NULL), 0);
    mp_value_free(NULL);
}

static void test_a_freed_one_and_its_lock_are_refused(void **state) {
    (void)state;
    mp_value *value;
    MPT_OK(mp_value_new(&value, NULL, 'i', NULL, MP_NEW_LOCK));
    mp_lock *lock = mp_value_get_lock(value);
    mp_value_free(value);
    assert_null(mp_value_data(value));
    MPT_CODE(mp_lock_acquire(lock, 0), MP_EINVAL);
    mp_value_free(value);
}

static void test_the_lock_is_own_given_or_none(void **state) {
    (void)state;
    mp_lock *mine;
    mp_value *own, *given, *raw;
    MPT_OK(mp_lock_new(&mine, NULL));
    MPT_OK(mp_value_new(&own, NULL, 'i', NULL, NULL));
    MPT_OK(mp_value_new(&given, NULL, 'i', NULL, mine));
    MPT_OK(mp_value_new(&raw, NULL, 'i', NULL, MP_NO_LOCK));
    MPT_OK(mp_lock_acquire(mp_value_get_lock(own), 0));
    MPT_OK(mp_lock_acquire(mp_value_get_lock(own), 0)); /* an RLock */
    MPT_OK(mp_lock_release(mp_value_get_lock(own)));
    MPT_OK(mp_lock_release(mp_value_get_lock(own)));
    assert_ptr_equal(mp_value_get_lock(given), mine);
    assert_null(mp_value_get_lock(raw));
    mp_value_free(own);
    mp_value_free(given);
    mp_value_free(raw);
    MPT_OK(mp_lock_acquire(mine, 0));
    MPT_OK(mp_lock_release(mine));
    mp_lock_free(mine);
}

static void test_a_copy_stands_by_itself(void **state) {
    (void)state;
    mp_value *value, *copy;
    MPT_OK(mp_value_new(&value, NULL, 'i', &(int){5}, MP_NEW_LOCK));
    MPT_OK(mp_value_copy(&copy, value));
    MPT_CODE(mp_value_copy(NULL, value), MP_EINVAL);
    MP_VALUE(int, value) = 6;
    assert_int_equal(MP_VALUE(int, copy), 5);
    assert_null(mp_value_get_lock(copy));
    mp_value_free(value);
    mp_value_free(copy);
}

static void test_synchronized_adds_a_lock_to_the_same_data(void **state) {
    (void)state;
    mp_value *raw, *safe;
    long stranger = 0;
    MPT_OK(mp_raw_value_new(&raw, NULL, 'i', &(int){5}));
    MPT_CODE(mp_value_synchronized(NULL, raw, MP_NEW_LOCK), MP_EINVAL);
    MPT_CODE(mp_value_synchronized(&safe, raw, MP_NO_LOCK), MP_EINVAL);
    MPT_CODE(mp_value_synchronized(&safe, raw, (mp_lock *)&stranger), MP_EINVAL);
    MPT_OK(mp_value_synchronized(&safe, raw, MP_NEW_LOCK));
    assert_ptr_equal(mp_value_data(safe), mp_value_data(raw));
    assert_non_null(mp_value_get_lock(safe));
    mp_value_free(safe);
    assert_int_equal(MP_VALUE(int, raw), 5);
    mp_value_free(raw);
}

static void add_many(void *arg) {
    for (int i = 0; i < 10000; i++)
        MP_WITH_LOCK(mp_value_get_lock(arg)) {
            MP_VALUE(long, arg)++;
        }
}

static void test_processes_and_threads_add_under_the_lock(void **state) {
    (void)state;
    mp_value *total;
    pid_t pids[2];
    MPT_OK(mp_value_new(&total, NULL, 'l', NULL, MP_NEW_LOCK));
    mpt_fork_all(pids, 2, add_many, total);
    mpt_run_threads(1, add_many, total);
    MPT_JOIN_ALL(pids, 2);
    assert_int_equal(MP_VALUE(long, total), 30000);
    mp_value_free(total);
}

static void die_adding(void *arg) {
    MP_WITH_LOCK(mp_value_get_lock(arg)) {
        MP_VALUE(int, arg) = -1;
        raise(SIGKILL);
    }
}

static void test_the_lock_tells_who_died_in_it(void **state) {
    (void)state;
    mp_value *value;
    MPT_OK(mp_value_new(&value, NULL, 'i', NULL, MP_NEW_LOCK));
    assert_int_equal(mpt_join(mpt_fork(die_adding, value)), -SIGKILL);
    MPT_CODE(mp_lock_acquire(mp_value_get_lock(value), 2), MP_EOWNERDEAD);
    assert_int_equal(MP_VALUE(int, value), -1);
    MPT_OK(mp_lock_release(mp_value_get_lock(value)));
    mp_value_free(value);
}

static void die_making(void *arg) {
    mp_value *value;
    mpt_die_at(arg, 1);
    if (mp_value_new(&value, NULL, 'i', NULL, MP_NEW_LOCK) == 0)
        mp_value_free(value);
}

static void test_death_in_new_and_free_leaks_nothing(void **state) {
    static const char *const points[] = {"value.new.filled", "object.free.taken",
                                         "object.free.cleared"};
    (void)state;
    mp_value *value;
    MPT_OK(mp_value_new(&value, NULL, 'i', NULL, MP_NEW_LOCK));
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++)
        assert_int_equal(mpt_join(mpt_fork(die_making, (void *)points[i])), -SIGKILL);
    mp__recover_all();
    mp_value_free(value); /* the leftovers are counted by mpt */
}

MPT_MAIN(MPT_CASE(test_every_typecode_has_its_size),
         MPT_CASE(test_it_begins_with_zero_or_what_is_given),
         MPT_CASE(test_a_struct_is_aligned_for_its_size),
         MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_a_freed_one_and_its_lock_are_refused),
         MPT_CASE(test_the_lock_is_own_given_or_none),
         MPT_CASE(test_a_copy_stands_by_itself),
         MPT_CASE(test_synchronized_adds_a_lock_to_the_same_data),
         MPT_CASE(test_processes_and_threads_add_under_the_lock),
         MPT_CASE(test_the_lock_tells_who_died_in_it),
         MPT_CASE(test_death_in_new_and_free_leaks_nothing))
