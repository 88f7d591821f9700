/* Array: items, indexes and the lock.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "mp/shared.h"

static void test_it_begins_with_zeros_or_what_is_given(void **state) {
    (void)state;
    static const int initial[] = {1, 2, 3};
    static const int zeros[100];
    mp_array *given, *zero;
    MPT_OK(mp_array_new(&given, NULL, 'i', 3, initial, MP_NEW_LOCK));
    MPT_OK(mp_array_new(&zero, NULL, 'i', 100, NULL, MP_NEW_LOCK));
    assert_memory_equal(mp_array_data(given), initial, sizeof initial);
    assert_memory_equal(mp_array_data(zero), zeros, sizeof zeros);
    assert_int_equal(mp_array_length(given), 3);
    assert_int_equal(mp_array_item_size(given), sizeof(int));
    assert_int_equal(mp_array_typecode(given), 'i');
    assert_int_equal((uintptr_t)mp_array_data(given) % 16, 0);
    assert_int_equal((uintptr_t)mp_array_data(zero) % 64, 0);
    mp_array_free(given);
    mp_array_free(zero);
}

static void test_length_zero_is_allowed(void **state) {
    (void)state;
    mp_array *array;
    int item = 0;
    MPT_OK(mp_array_new(&array, NULL, 'i', 0, NULL, MP_NEW_LOCK));
    assert_int_equal(mp_array_length(array), 0);
    assert_non_null(mp_array_data(array));
    MPT_CODE(mp_array_get(array, 0, &item), MP_EINDEX);
    MPT_CODE(mp_array_get(array, -1, &item), MP_EINDEX);
    mp_array_free(array);
}

static void test_an_index_counts_from_either_end(void **state) {
    (void)state;
    mp_array *array;
    double item = 0;
    MPT_OK(mp_array_new(&array, NULL, 'd', 4, (double[]){0, 1, 2, 3}, MP_NEW_LOCK));
    MPT_OK(mp_array_get(array, 2, &item));
    assert_true(item == 2);
    MPT_OK(mp_array_get(array, -4, &item));
    assert_true(item == 0);
    MPT_OK(mp_array_set(array, -1, &(double){9}));
    assert_true(MP_ARRAY(double, array)[3] == 9);
    MPT_CODE(mp_array_get(array, 4, &item), MP_EINDEX);
    MPT_CODE(mp_array_get(array, -5, &item), MP_EINDEX);
    MPT_CODE(mp_array_set(array, PTRDIFF_MAX, &item), MP_EINDEX);
    MPT_CODE(mp_array_set(array, PTRDIFF_MIN, &item), MP_EINDEX);
    mp_array_free(array);
}

static void test_bad_arguments_are_refused(void **state) {
    (void)state;
    mp_array *array;
    long stranger = 0;
    MPT_CODE(mp_array_new(NULL, NULL, 'i', 1, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_array_new(&array, NULL, 'z', 1, NULL, NULL), MP_ETYPE);
    MPT_CODE(mp_raw_array_new(&array, NULL, 'z', 1, NULL), MP_ETYPE);
    MPT_CODE(mp_raw_array_new(NULL, NULL, 'i', 1, NULL), MP_EINVAL);
    MPT_CODE(mp_array_new_struct(&array, NULL, 0, 1, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_array_new_struct(NULL, NULL, 1, 1, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_array_new(&array, NULL, 'i', SIZE_MAX / 2, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_array_new(&array, NULL, 'i', SIZE_MAX / 4, NULL, NULL), MP_EINVAL);
    MPT_CODE(mp_array_new(&array, NULL, 'd', (size_t)1 << 44, NULL, NULL), -ENOMEM);
    MPT_CODE(mp_array_new(&array, NULL, 'i', 1, NULL, (mp_lock *)&stranger), MP_EINVAL);
    MPT_CODE(mp_array_copy(&array, NULL), MP_EINVAL);
    MPT_CODE(mp_array_get(NULL, 0, &stranger), MP_EINVAL);
    MPT_CODE(mp_array_set(NULL, 0, &stranger), MP_EINVAL);
    assert_null(mp_array_data(NULL));
    assert_null(mp_array_get_lock(NULL));
    assert_true(mp_array_length(NULL) + mp_array_item_size(NULL) == 0);
    assert_int_equal(mp_array_typecode(NULL), 0);
    mp_array_free(NULL);
}

static void test_a_freed_one_is_refused(void **state) {
    (void)state;
    mp_array *array;
    int item;
    MPT_OK(mp_array_new(&array, NULL, 'i', 3, NULL, MP_NEW_LOCK));
    MPT_CODE(mp_array_get(array, 0, NULL), MP_EINVAL);
    MPT_CODE(mp_array_set(array, 0, NULL), MP_EINVAL);
    MPT_CODE(mp_array_copy(NULL, array), MP_EINVAL);
    mp_array_free(array);
    MPT_CODE(mp_array_get(array, 0, &item), MP_EINVAL);
    assert_null(mp_array_data(array));
    mp_array_free(array);
}

static void test_a_copy_stands_by_itself(void **state) {
    (void)state;
    mp_array *array, *copy;
    MPT_OK(mp_array_new_struct(&array, NULL, 3, 2, "abcdef", MP_NEW_LOCK));
    MPT_OK(mp_array_copy(&copy, array));
    memset(mp_array_data(array), 'x', 6);
    assert_memory_equal(mp_array_data(copy), "abcdef", 6);
    assert_int_equal(mp_array_item_size(copy), 3);
    assert_null(mp_array_get_lock(copy));
    mp_array_free(array);
    mp_array_free(copy);
}

static void test_items_wait_for_the_lock_of_others(void **state) {
    (void)state;
    mp_lock *lock;
    mp_array *array;
    int item = 0;
    MPT_OK(mp_rlock_new(&lock, NULL));
    MPT_OK(mp_array_new(&array, NULL, 'i', 3, NULL, lock));
    assert_ptr_equal(mp_array_get_lock(array), lock);
    MP_WITH_LOCK(lock) {
        MPT_OK(mp_array_set(array, 1, &(int){4})); /* an RLock: the owner may */
    }
    MPT_OK(mp_array_get(array, 1, &item));
    assert_int_equal(item, 4);
    assert_false(mp_lock_locked(lock));
    mp_array_free(array);
    mp_lock_free(lock);
}

static void swap_many(void *arg) {
    for (int i = 0; i < 2000; i++) {
        unsigned char item[200], first;
        memset(item, i, sizeof item);
        MPT_OK(mp_array_set(arg, -1, item));
        MPT_OK(mp_array_get(arg, -1, item));
        first = item[0];
        for (size_t j = 0; j < sizeof item; j++)
            MPT_CHECK(item[j] == first);
    }
}

static void test_items_are_not_torn(void **state) {
    (void)state;
    mp_array *array;
    MPT_OK(mp_array_new_struct(&array, NULL, 200, 3, NULL, MP_NEW_LOCK));
    pid_t pid = mpt_fork(swap_many, array);
    mpt_run_threads(2, swap_many, array);
    assert_int_equal(mpt_join(pid), 0);
    mp_array_free(array);
}

static void die_setting(void *arg) {
    mpt_die_at("array.item.moved", 1);
    mp_array_set(arg, 0, &(int){5});
}

static void test_a_death_in_set_is_left_for_the_lock_to_tell(void **state) {
    (void)state;
    mp_array *array;
    int item = 0;
    MPT_OK(mp_array_new(&array, NULL, 'i', 3, NULL, MP_NEW_LOCK));
    assert_int_equal(mpt_join(mpt_fork(die_setting, array)), -SIGKILL);
    MPT_OK(mp_array_get(array, 0, &item));
    assert_int_equal(item, 5);
    MPT_OK(mp_array_set(array, 0, &(int){6}));
    MPT_CODE(mp_lock_acquire(mp_array_get_lock(array), 0), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(mp_array_get_lock(array)));
    mp_array_free(array);
}

MPT_MAIN(MPT_CASE(test_it_begins_with_zeros_or_what_is_given),
         MPT_CASE(test_length_zero_is_allowed),
         MPT_CASE(test_an_index_counts_from_either_end),
         MPT_CASE(test_bad_arguments_are_refused),
         MPT_CASE(test_a_freed_one_is_refused),
         MPT_CASE(test_a_copy_stands_by_itself),
         MPT_CASE(test_items_wait_for_the_lock_of_others),
         MPT_CASE(test_items_are_not_torn),
         MPT_CASE(test_a_death_in_set_is_left_for_the_lock_to_tell))
