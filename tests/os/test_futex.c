/* Sleeping on words shared by processes.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "os/futex.h"
#include "os/futex_poll.h"

struct page {
    _Atomic uint32_t words[MP__WAIT_ANY_MAX]; /* what is slept on */
    _Atomic uint32_t ready;                   /* sleepers that are about to sleep */
    _Atomic uint32_t woken;                   /* sleepers that came back in order */
};

static struct page *make_page(void) {
    void *page =
        mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MPT_CHECK(page != MAP_FAILED);
    return page;
}

static mp__time in_ms(int64_t count) {
    return mp__now() + count * MP__SECOND / 1000;
}

static void test_wait_returns_when_the_word_differs(void **state) {
    (void)state;
    struct page *page = make_page();
    MPT_OK(mp__futex_wait(&page->words[0], 1, MP__NEVER));
    MPT_OK(mp__futex_wait(&page->words[0], 1, 0));
}

static void test_wait_times_out_at_its_deadline(void **state) {
    (void)state;
    struct page *page = make_page();
    mp__time deadline = in_ms(30);
    MPT_CODE(mp__futex_wait(&page->words[0], 0, deadline), MP_ETIMEDOUT);
    assert_true(mp__now() >= deadline);
    MPT_CODE(mp__futex_wait(&page->words[0], 0, 0), MP_ETIMEDOUT);
    MPT_CODE(mp__futex_wait(&page->words[0], 0, deadline), MP_ETIMEDOUT);
}

static void sleep_on_first(void *arg) {
    struct page *page = arg;
    page->ready++;
    while (page->words[0] == 0)
        MPT_OK(mp__futex_wait(&page->words[0], 0, in_ms(20000)));
    page->woken++;
}

static void test_wake_all_reaches_every_process(void **state) {
    (void)state;
    struct page *page = make_page();
    pid_t children[3];
    mpt_fork_all(children, 3, sleep_on_first, page);
    MPT_UNTIL(page->ready == 3);
    page->words[0] = 1;
    mp__futex_wake(&page->words[0], MP__WAKE_ALL);
    MPT_JOIN_ALL(children, 3);
    assert_int_equal(page->woken, 3);
}

static void count_signal(int number) {
    (void)number;
}

static void test_wait_is_not_cut_short_by_signals(void **state) {
    (void)state;
    struct page *page = make_page();
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = count_signal}, NULL);
    struct itimerval often = {{0, 2000}, {0, 2000}}, off = {{0}};
    setitimer(ITIMER_REAL, &often, NULL);
    mp__time deadline = in_ms(40);
    MPT_CODE(mp__futex_wait(&page->words[0], 0, deadline), MP_ETIMEDOUT);
    assert_true(mp__now() >= deadline);
    struct mp__wait_word list[] = {{&page->words[0], 0}, {&page->words[1], 0}};
    deadline = in_ms(40);
    MPT_CODE(mp__futex_wait_any(list, 2, deadline), MP_ETIMEDOUT);
    assert_true(mp__now() >= deadline);
    setitimer(ITIMER_REAL, &off, NULL);
}

static void sleep_on_all(void *arg) {
    struct page *page = arg;
    struct mp__wait_word list[MP__WAIT_ANY_MAX];
    for (size_t i = 0; i < MP__WAIT_ANY_MAX; i++)
        list[i] = (struct mp__wait_word){&page->words[i], 0};
    page->ready++;
    while (page->words[MP__WAIT_ANY_MAX - 1] == 0)
        MPT_OK(mp__futex_wait_any(list, MP__WAIT_ANY_MAX, in_ms(20000)));
    page->woken++;
}

static void test_wait_any_is_woken_by_its_last_word(void **state) {
    (void)state;
    struct page *page = make_page();
    pid_t child = mpt_fork(sleep_on_all, page);
    MPT_UNTIL(page->ready == 1);
    page->words[MP__WAIT_ANY_MAX - 1] = 1;
    mp__futex_wake(&page->words[MP__WAIT_ANY_MAX - 1], 1);
    assert_int_equal(mpt_join(child), 0);
    assert_int_equal(page->woken, 1);
}

static void test_wait_any_returns_when_a_word_differs(void **state) {
    (void)state;
    struct page *page = make_page();
    struct mp__wait_word list[] = {
        {&page->words[0], 0}, {&page->words[1], 1}, {&page->words[2], 0}};
    MPT_OK(mp__futex_wait_any(list, 3, MP__NEVER));
    MPT_OK(mp__futex_wait_any(list, 3, 0));
    MPT_CODE(mp__futex_wait_any(list, 1, in_ms(10)), MP_ETIMEDOUT);
    MPT_CODE(mp__futex_wait_any(list, 1, 0), MP_ETIMEDOUT);
}

static void test_wait_any_times_out_at_its_deadline(void **state) {
    (void)state;
    struct page *page = make_page();
    struct mp__wait_word list[] = {{&page->words[0], 0}, {&page->words[1], 0}};
    mp__time deadline = in_ms(30);
    MPT_CODE(mp__futex_wait_any(list, 2, deadline), MP_ETIMEDOUT);
    assert_true(mp__now() >= deadline);
    MPT_CODE(mp__futex_wait_any(list, 2, 0), MP_ETIMEDOUT);
}

static void poll_on_first(void *arg) {
    struct page *page = arg;
    struct mp__wait_word list[] = {{&page->words[1], 0}, {&page->words[0], 0}};
    page->ready++;
    MPT_OK(mp__futex_poll(list, 2, MP__NEVER));
}

static void test_polling_notices_a_change_without_a_wake(void **state) {
    (void)state;
    struct page *page = make_page();
    pid_t child = mpt_fork(poll_on_first, page);
    MPT_UNTIL(page->ready == 1);
    page->words[0] = 1;
    assert_int_equal(mpt_join(child), 0);
}

static void *hand_back(void *arg) {
    struct page *page = arg;
    for (uint32_t i = 0; i < 2000; i++) {
        while (page->words[0] == 2 * i)
            MPT_OK(mp__futex_wait(&page->words[0], 2 * i, in_ms(20000)));
        page->words[0]++;
        mp__futex_wake(&page->words[0], 1);
    }
    return NULL;
}

/* Between threads, so that ThreadSanitizer sees it. */
static void test_a_word_goes_to_and_fro_without_a_lost_wake(void **state) {
    (void)state;
    struct page *page = make_page();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, hand_back, page), 0);
    for (uint32_t i = 0; i < 2000; i++) {
        page->words[0]++;
        mp__futex_wake(&page->words[0], 1);
        while (page->words[0] == 2 * i + 1)
            MPT_OK(mp__futex_wait(&page->words[0], 2 * i + 1, in_ms(20000)));
    }
    pthread_join(thread, NULL);
    assert_int_equal(page->words[0], 4000);
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_wait_returns_when_the_word_differs),
         MPT_CASE(test_wait_times_out_at_its_deadline),
         MPT_CASE(test_wake_all_reaches_every_process),
         MPT_CASE(test_wait_is_not_cut_short_by_signals),
         MPT_CASE(test_wait_any_is_woken_by_its_last_word),
         MPT_CASE(test_wait_any_returns_when_a_word_differs),
         MPT_CASE(test_wait_any_times_out_at_its_deadline),
         MPT_CASE(test_polling_notices_a_change_without_a_wake),
         MPT_CASE(test_a_word_goes_to_and_fro_without_a_lost_wake))
