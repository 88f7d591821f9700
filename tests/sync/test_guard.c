/* The guard by itself: what its word says, and that recovery may be repeated.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "mp/shared.h"
#include "reg/recover.h"
#include "sync/guard.h"
#include "sync/kind.h"
#include "sync/lock.h"

#define KIND MP__HOLDING_LOCK

static struct lock_shared *open_lock(void) {
    mp_lock *lock;
    MPT_OK(mp_lock_new(&lock, NULL));
    return lock;
}

static void test_the_word_names_its_owner(void **state) {
    (void)state;
    struct lock_shared *lock = open_lock();
    struct thread_shared *self = mp__self();
    MPT_OK(mp__guard_acquire(&lock->guard, self, KIND, lock, MP__NEVER));
    assert_int_equal(atomic_load(&lock->guard.word), self->index);
    assert_int_equal(mp__guard_owner(&lock->guard), self->index);
    MPT_CODE(mp__guard_acquire(&lock->guard, self, KIND, lock, 0), MP_ETIMEDOUT);
    mp__guard_release(&lock->guard, self, KIND, lock);
    assert_int_equal(atomic_load(&lock->guard.word), 0);
    mp_lock_free(lock);
}

static void test_release_of_another_s_does_nothing(void **state) {
    (void)state;
    struct lock_shared *lock = open_lock();
    struct thread_shared *self = mp__self();
    assert_false(mp__guard_release_checked(&lock->guard, self, KIND, lock));
    atomic_store(&lock->guard.word, (self->index + 1) | MP__GUARD_WAITERS);
    assert_false(mp__guard_release_checked(&lock->guard, self, KIND, lock));
    assert_int_equal(atomic_load(&lock->guard.word), (self->index + 1) | MP__GUARD_WAITERS);
    atomic_store(&lock->guard.word, 0);
    mp_lock_free(lock);
}

static void test_recovery_may_be_repeated(void **state) {
    (void)state;
    struct lock_shared *lock = open_lock();
    atomic_store(&lock->guard.word, 77 | MP__GUARD_WAITERS);
    mp__guard_recover(&lock->guard, 78, true);
    assert_int_equal(atomic_load(&lock->guard.word), 77 | MP__GUARD_WAITERS);
    for (int i = 0; i < 2; i++) {
        mp__guard_recover(&lock->guard, 77, true);
        assert_int_equal(atomic_load(&lock->guard.word), MP__GUARD_DEAD | MP__GUARD_WAITERS);
    }
    MPT_CODE(mp__guard_acquire(&lock->guard, mp__self(), KIND, lock, 0), MP_EOWNERDEAD);
    mp__guard_release(&lock->guard, mp__self(), KIND, lock);
    mp_lock_free(lock);
}

static void test_recovery_without_a_mark_tells_nobody(void **state) {
    (void)state;
    struct lock_shared *lock = open_lock();
    atomic_store(&lock->guard.word, 77);
    mp__guard_recover(&lock->guard, 77, false);
    MPT_OK(mp__guard_acquire(&lock->guard, mp__self(), KIND, lock, 0));
    mp__guard_release(&lock->guard, mp__self(), KIND, lock);
    mp_lock_free(lock);
}

static void die_holding(void *arg) {
    mp_lock_acquire(arg, MP_FOREVER);
    raise(SIGKILL);
}

static void die_recovering(void *arg) {
    mpt_die_at("guard.recover.freed", 1);
    mp_lock_acquire(arg, MP_FOREVER);
}

static void test_the_recovering_one_may_die_too(void **state) {
    (void)state;
    struct lock_shared *lock = open_lock();
    assert_int_equal(mpt_join(mpt_fork(die_holding, lock)), -SIGKILL);
    assert_int_equal(mpt_join(mpt_fork(die_recovering, lock)), -SIGKILL);
    MPT_CODE(mp_lock_acquire(lock, 2), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(lock));
    mp_lock_free(lock);
}

static void test_a_lock_got_by_the_library_stays_marked(void **state) {
    (void)state;
    struct lock_shared *lock = open_lock();
    assert_int_equal(mpt_join(mpt_fork(die_holding, lock)), -SIGKILL);
    MPT_CODE(mp_lock_acquire(lock, 2), MP_EOWNERDEAD);
    mp__lock_release_dead(lock);
    assert_false(mp_lock_locked(lock));
    MPT_CODE(mp_lock_acquire(lock, MP_NOWAIT), MP_EOWNERDEAD);
    MPT_OK(mp_lock_release(lock));
    mp_lock_free(lock);
}

static void test_the_check_sees_what_cannot_be(void **state) {
    static const uint32_t words[] = {MP__GUARD_DEAD | 1, UINT32_C(1) << 20, 16000};
    (void)state;
    struct lock_shared *lock = open_lock();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        atomic_store(&lock->guard.word, words[i]);
        MPT_CODE(mp__lock_check(lock), MP_ESTATE);
    }
    atomic_store(&lock->guard.word, 0);
    MPT_OK(mp__lock_check(lock));
    mp_lock_free(lock);
    MPT_CODE(mp__lock_check(lock), MP_ESTATE);
}

static void test_a_wrong_pointer_is_described(void **state) {
    (void)state;
    struct lock_shared *lock = open_lock();
    int here = 0;
    MPT_CODE(mp__kind_check(NULL, MP__KIND_LOCK, "f", "lock"), MP_EINVAL);
    assert_string_equal(mp_error_detail(), "f: the lock is NULL");
    MPT_CODE(mp__kind_check(&here, MP__KIND_LOCK, "f", "lock"), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "outside the shared heap"));
    MPT_CODE(mp__kind_check((char *)lock + 1, MP__KIND_LOCK, "f", "lock"), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "no object starts there"));
    MPT_CODE(mp__kind_check(lock, MP__KIND_EVENT, "f", "event"), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "another kind of object"));
    mp_lock_free(lock);
    MPT_CODE(mp__kind_check(lock, MP__KIND_LOCK, "f", "lock"), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "was freed"));
}

MPT_MAIN(MPT_CASE(test_the_word_names_its_owner),
         MPT_CASE(test_release_of_another_s_does_nothing),
         MPT_CASE(test_recovery_may_be_repeated),
         MPT_CASE(test_recovery_without_a_mark_tells_nobody),
         MPT_CASE(test_the_recovering_one_may_die_too),
         MPT_CASE(test_a_lock_got_by_the_library_stays_marked),
         MPT_CASE(test_the_check_sees_what_cannot_be),
         MPT_CASE(test_a_wrong_pointer_is_described))
