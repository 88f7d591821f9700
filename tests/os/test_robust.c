/* The mutex that outlives its holder.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/robust.h"
#include "os/sanitizer.h"

struct page {
    struct mp__robust mutex; /* under test */
    _Atomic int is_taken;    /* the child has it */
    int counter;             /* guarded by it */
};

static struct page *make_page(void) {
    struct page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MPT_CHECK(page != MAP_FAILED);
    mp__robust_init(&page->mutex);
    return page;
}

static void hold_for_life(void *arg) {
    struct page *page = arg;
    int code = mp__robust_lock(&page->mutex);
    MPT_CHECK(code == 0 || code == MP_EOWNERDEAD);
    page->is_taken = 1;
    for (;;)
        pause();
}

static void kill_a_holder(struct page *page) {
    page->is_taken = 0;
    pid_t child = mpt_fork(hold_for_life, page);
    MPT_UNTIL(page->is_taken);
    assert_true(mp__robust_is_held(&page->mutex));
    mpt_kill(child);
}

static void test_lock_tells_once_that_its_holder_died(void **state) {
    (void)state;
    struct page *page = make_page();
    kill_a_holder(page);
    MPT_CODE(mp__robust_lock(&page->mutex), MP_EOWNERDEAD);
    mp__robust_unlock(&page->mutex);
    MPT_OK(mp__robust_lock(&page->mutex));
    mp__robust_unlock(&page->mutex);
}

static void test_lock_tells_again_when_the_repairer_died_too(void **state) {
    (void)state;
    struct page *page = make_page();
    kill_a_holder(page);
    kill_a_holder(page);
    MPT_CODE(mp__robust_lock(&page->mutex), MP_EOWNERDEAD);
    mp__robust_unlock(&page->mutex);
}

static void test_life_mark_ends_with_its_holder(void **state) {
    (void)state;
    struct page *page = make_page();
    assert_false(mp__robust_is_held(&page->mutex));
    kill_a_holder(page);
    for (int i = 0; i < 3; i++)
        assert_false(mp__robust_is_held(&page->mutex));
    mp__robust_init(&page->mutex); /* the next life */
    kill_a_holder(page);
    assert_false(mp__robust_is_held(&page->mutex));
}

static void test_life_mark_of_this_thread_is_held(void **state) {
    (void)state;
    struct page *page = make_page();
    MPT_OK(mp__robust_lock(&page->mutex));
    assert_true(mp__robust_is_held(&page->mutex));
    mp__robust_unlock(&page->mutex);
    assert_false(mp__robust_is_held(&page->mutex));
}

static void *lock_and_end(void *arg) {
    struct page *page = arg;
    MPT_OK(mp__robust_lock(&page->mutex));
    return NULL;
}

static void test_life_mark_ends_with_its_thread_only(void **state) {
    (void)state;
    struct page *page = make_page();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, lock_and_end, page), 0);
    pthread_join(thread, NULL);
    MPT_UNTIL(!mp__robust_is_held(&page->mutex));
}

static void look_at_inherited_lock(void *arg) {
    struct page *page = arg;
    MPT_CHECK(mp__robust_is_held(&page->mutex));
}

static void test_fork_does_not_inherit_the_life_mark(void **state) {
    (void)state;
    struct page *page = make_page();
    MPT_OK(mp__robust_lock(&page->mutex));
    assert_int_equal(mpt_join(mpt_fork(look_at_inherited_lock, page)), 0);
    assert_true(mp__robust_is_held(&page->mutex)); /* the child's end was not ours */
    mp__robust_unlock(&page->mutex);
}

static void count_up(void *arg) {
    struct page *page = arg;
    for (int i = 0; i < 20000; i++) {
        MPT_OK(mp__robust_lock(&page->mutex));
        page->counter++;
        mp__robust_unlock(&page->mutex);
    }
}

static void test_two_processes_exclude_each_other(void **state) {
    (void)state;
    struct page *page = make_page();
    pid_t child = mpt_fork(count_up, page);
    count_up(page);
    assert_int_equal(mpt_join(child), 0);
    assert_int_equal(page->counter, 40000);
}

/* clang-format off: one case on a line */
static void lock_once(void *arg) {
    struct page *page = arg;
    MPT_OK(mp__robust_lock(&page->mutex));
    page->is_taken = 1;
    mp__robust_unlock(&page->mutex);
}

/* As when a sleeper was killed that had just been woken, and somebody else took the mutex: the
 * mark of sleepers is gone although there is one. */
static void test_a_lost_wake_up_costs_less_than_a_second(void **state) {
    (void)state;
#ifdef MP__UNDER_TSAN /* there the lock sleeps in one piece */
    skip();
#endif
    struct page *page = make_page();
    struct mp__wait_word watched;
    MPT_OK(mp__robust_lock(&page->mutex));
    if (!mp__robust_watch(&page->mutex, &watched))
        skip();
    uint32_t mark = atomic_load(watched.word) & UINT32_C(0x80000000);
    pid_t sleeper = mpt_fork(lock_once, page);
    atomic_fetch_and(watched.word, ~mark);
    MPT_UNTIL(atomic_load(watched.word) & mark);
    MPT_UNTIL(mpt_is_asleep(sleeper));
    atomic_fetch_and(watched.word, ~mark);
    mp__time start = mp__now();
    mp__robust_unlock(&page->mutex);
    assert_int_equal(mpt_join(sleeper), 0);
    assert_true(page->is_taken && mp__now() - start < MP__SECOND);
}

MPT_MAIN(MPT_CASE(test_lock_tells_once_that_its_holder_died),
         MPT_CASE(test_lock_tells_again_when_the_repairer_died_too),
         MPT_CASE(test_life_mark_ends_with_its_holder),
         MPT_CASE(test_life_mark_of_this_thread_is_held),
         MPT_CASE(test_life_mark_ends_with_its_thread_only),
         MPT_CASE(test_fork_does_not_inherit_the_life_mark),
         MPT_CASE(test_two_processes_exclude_each_other),
         MPT_CASE(test_a_lost_wake_up_costs_less_than_a_second))
