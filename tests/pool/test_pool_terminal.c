/* Pools of programs that run on a terminal: progress bars, and Ctrl-C. The terminal is a pseudo
 * one, whose other side the test holds.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "mp/imap.h"
#include "mp/pool.h"
#include "mp/shared.h"
#include "pool.h"

#define SCREEN_COLUMNS 240

struct terminal {
    int master;         /* our side */
    char name[64];      /* of the program's side */
    unsigned columns;   /* as the program is told */
    void (*body)(void); /* the program */
    pid_t pid;          /* of it */
    char output[65536]; /* what it wrote so far, as the terminal shows it */
    size_t used;        /* bytes of it */
};

static void run_on_terminal(void *arg) {
    const struct terminal *terminal = arg;
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)terminal->columns};
    close(terminal->master);
    MPT_CHECK(setsid() >= 0);
    int slave = open(terminal->name, O_RDWR);
    MPT_CHECK(slave >= 0 && ioctl(slave, TIOCSCTTY, 0) == 0);
    MPT_CHECK(ioctl(slave, TIOCSWINSZ, &size) == 0);
    for (int fd = 0; fd < 3; fd++)
        MPT_CHECK(dup2(slave, fd) == fd);
    close(slave);
    setenv("TERM", "xterm", 1);
    terminal->body();
}

static void start(struct terminal *terminal, unsigned columns, void (*body)(void)) {
    terminal->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    MPT_CHECK(terminal->master >= 0);
    MPT_CHECK(grantpt(terminal->master) == 0 && unlockpt(terminal->master) == 0);
    MPT_CHECK(ptsname_r(terminal->master, terminal->name, sizeof terminal->name) == 0);
    terminal->columns = columns;
    terminal->body = body;
    terminal->used = 0;
    terminal->pid = mpt_fork(run_on_terminal, terminal);
}

/* false: nobody has the other side any more. */
static bool read_more(struct terminal *terminal) {
    size_t room = sizeof terminal->output - 1 - terminal->used;
    ssize_t got = read(terminal->master, terminal->output + terminal->used, room);
    MPT_CHECK(room > 0);
    if (got <= 0)
        return false;
    terminal->used += (size_t)got;
    terminal->output[terminal->used] = 0;
    return true;
}

static void await_text(struct terminal *terminal, const char *text) {
    while (!strstr(terminal->output, text))
        MPT_CHECK(read_more(terminal));
}

/* Everything that it wrote; its exit code or -signal. When it has ended, so have its workers. */
static int finish(struct terminal *terminal) {
    while (read_more(terminal))
        ;
    close(terminal->master);
    return mpt_join(terminal->pid);
}

/* What stands on the screen in the end; lines as wide as the terminal would be broken by it. */
static void show(const struct terminal *terminal, char *screen, size_t capacity) {
    char line[SCREEN_COLUMNS + 1] = "";
    size_t column = 0, length = 0;
    screen[0] = 0;
    for (const char *at = terminal->output; *at; at++) {
        if (*at == '\r')
            column = 0;
        else if (*at == '\n') {
            size_t end = strlen(line);
            while (end > 0 && line[end - 1] == ' ')
                line[--end] = 0;
            length += (size_t)snprintf(screen + length, capacity - length, "%s|", line);
            memset(line, 0, sizeof line);
        } else {
            MPT_CHECK(column + 1 < terminal->columns || terminal->columns == 1);
            line[column++] = *at;
        }
    }
    MPT_CHECK(length < capacity);
}

static int take_a_moment(const void *item, void *result, void *state) {
    (void)result, (void)state;
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do
        clock_gettime(CLOCK_MONOTONIC, &now);
    while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 4);
    return *(const char *)item == 7 ? -1 : 0;
}

static void map_with_bar(void) {
    char items[100];
    mp_pool *pool = mpt_pool(2);
    for (int i = 0; i < 100; i++)
        items[i] = (char)(i % 50);
    MPT_CHECK(mp_pool_map(pool, take_a_moment, items, 100, 1, NULL, 0,
                          &(mp_map_options){.progress_bar = true}) == MP_ETASK);
    MPT_CHECK(write(STDOUT_FILENO, "after\n", 6) == 6);
    mp_pool_free(pool);
}

static void test_bar_stands_in_one_line_and_ends_before_map_returns(void **state) {
    (void)state;
    static struct terminal terminal;
    static char screen[4096];
    start(&terminal, 70, map_with_bar);
    assert_int_equal(finish(&terminal), 0);
    show(&terminal, screen, sizeof screen);
    assert_memory_equal(screen, "100%  [#######", 14);
    assert_non_null(strstr(screen, "]  100/100  "));
    assert_non_null(strstr(screen, "  2 failed|after|"));
    assert_int_equal(strchr(screen, '|') + strlen("|after|") - screen, strlen(screen));
}

static void test_bar_fits_every_width(void **state) {
    (void)state;
    static struct terminal terminal;
    static char screen[4096];
    static const unsigned widths[] = {1, 2, 4, 5, 6, 9, 15, 23, 33, 230};
    for (unsigned i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        start(&terminal, widths[i], map_with_bar);
        assert_int_equal(finish(&terminal), 0);
        terminal.columns = widths[i] > 7 ? widths[i] : 7; /* "after" is not ours */
        show(&terminal, screen, sizeof screen);
        assert_non_null(strstr(screen, "after|"));
        assert_true((strstr(screen, "100%") != NULL) == (widths[i] > 4));
    }
}

static void map_with_columns_of_environment(void) {
    setenv("COLUMNS", "12", 1);
    map_with_bar();
}

static void test_bar_heeds_columns_of_the_environment(void **state) {
    (void)state;
    static struct terminal terminal;
    static char screen[4096];
    start(&terminal, 100, map_with_columns_of_environment);
    assert_int_equal(finish(&terminal), 0);
    terminal.columns = 12;
    show(&terminal, screen, sizeof screen);
    assert_memory_equal(screen, "100%", 4);
}

static void map_on_dumb_terminal(void) {
    setenv("TERM", "dumb", 1);
    map_with_bar();
}

static void test_bar_is_not_for_dumb_terminals(void **state) {
    (void)state;
    static struct terminal terminal;
    start(&terminal, 100, map_on_dumb_terminal);
    assert_int_equal(finish(&terminal), 0);
    assert_string_equal(terminal.output, "after\r\n");
}

static void map_in_closed_pool(void) {
    mp_pool *pool = mpt_pool(1);
    MPT_CHECK(mp_pool_close(pool) == 0);
    MPT_CHECK(mp_pool_map(pool, take_a_moment, "x", 1, 1, NULL, 0,
                          &(mp_map_options){.progress_bar = true}) == MP_EINVAL);
    MPT_CHECK(write(STDOUT_FILENO, "after\n", 6) == 6);
    mp_pool_free(pool);
}

static void test_refused_map_has_no_bar(void **state) {
    (void)state;
    static struct terminal terminal;
    start(&terminal, 100, map_in_closed_pool);
    assert_int_equal(finish(&terminal), 0);
    assert_string_equal(terminal.output, "after\r\n");
}

static void map_with_stderr_in_a_file(void) {
    FILE *file = tmpfile();
    MPT_CHECK(file && dup2(fileno(file), STDERR_FILENO) == STDERR_FILENO);
    map_with_bar();
    MPT_CHECK(lseek(fileno(file), 0, SEEK_END) == 0); /* it is empty */
    fclose(file);
}

static void test_bar_is_not_for_files(void **state) {
    (void)state;
    static struct terminal terminal;
    start(&terminal, 100, map_with_stderr_in_a_file);
    assert_int_equal(finish(&terminal), 0);
    assert_string_equal(terminal.output, "after\r\n");
}

static int take_a_moment_too(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)reply;
    return take_a_moment(arg, NULL, state);
}

static int give_hundred(void *user, const void **data, size_t *size) {
    static char item;
    int *count = user;
    item = (char)(*count % 50);
    *data = &item;
    *size = 1;
    return ++*count <= 100;
}

static void imap_with_bar(void) {
    int count = 0, code;
    mp_imap *imap;
    mp_pool *pool = mpt_pool(2);
    MPT_CHECK(mp_pool_imap(&imap, pool, take_a_moment_too, give_hundred,
                           &(mp_imap_options){.user = &count, .progress_bar = true}) == 0);
    do
        code = mp_imap_next(imap, NULL, NULL, MP_FOREVER);
    while (code == 0 || code == MP_ETASK);
    MPT_CHECK(code == MP_EEND && write(STDOUT_FILENO, "after\n", 6) == 6);
    mp_imap_free(imap);
    mp_pool_free(pool);
}

static void test_bar_of_an_imap_counts_what_was_read(void **state) {
    (void)state;
    static struct terminal terminal;
    static char screen[4096];
    start(&terminal, 70, imap_with_bar);
    assert_int_equal(finish(&terminal), 0);
    assert_non_null(strstr(terminal.output, " done  "));
    show(&terminal, screen, sizeof screen);
    assert_memory_equal(screen, "100%  [#######", 14);
    assert_non_null(strstr(screen, "  2 failed|after|"));
}

static _Atomic int *begun;         /* tasks, in the arena */
static _Atomic int is_interrupted; /* in this process; ends tasks of threads */

static int run_on(const void *item, void *result, void *state) {
    (void)result, (void)state;
    ++**(_Atomic int *const *)item;
    while (!is_interrupted)
        sched_yield();
    return 0;
}

static void note_interrupt(int signal) {
    (void)signal;
    is_interrupted = 1;
}

static mp_async_result *begin_work(mp_pool *pool, bool has_bar) {
    _Atomic int *items[20];
    mp_async_result *result;
    begun = mp_shared_calloc(1, sizeof *begun);
    for (int i = 0; i < 20; i++)
        items[i] = begun;
    MPT_CHECK(mp_pool_map_async(&result, pool, run_on, items, 20, sizeof items[0], NULL, 0,
                                &(mp_map_options){.progress_bar = has_bar}) == 0);
    MPT_UNTIL(*begun == 2);
    MPT_CHECK(write(STDOUT_FILENO, "ready\n", 6) == 6);
    return result;
}

/* What Python does by `except KeyboardInterrupt: pool.terminate()`. */
static void terminate_when_interrupted(void) {
    sigset_t interrupt, before;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    signal(SIGINT, note_interrupt);
    mp_pool *pool = mpt_pool(2);
    mp_async_result *result = begin_work(pool, false);
    while (!is_interrupted)
        sigsuspend(&before);
    MPT_CHECK(mp_pool_terminate(pool) == 0);
    int code = mp_async_result_get(result, NULL, 0, NULL, MP_NOWAIT);
    MPT_CHECK(code == MP_ECANCELED || (code == 0 && mpt_method() == MP_THREAD));
    mp_async_result_free(result);
    mp_pool_free(pool);
    mp_shared_free((void *)begun);
    MPT_CHECK(write(STDOUT_FILENO, "ended\n", 6) == 6);
}

static void test_program_that_handles_ctrl_c_ends_cleanly(void **state) {
    (void)state;
    static struct terminal terminal;
    start(&terminal, 80, terminate_when_interrupted);
    await_text(&terminal, "ready\r\n");
    assert_int_equal(write(terminal.master, "\003", 1), 1);
    assert_int_equal(finish(&terminal), 0);
    assert_string_equal(terminal.output, "ready\r\n^Cended\r\n");
}

static void cancel_with_bar(void) {
    mp_pool *pool = mpt_pool(2);
    mp_async_result *result = begin_work(pool, true);
    MPT_CHECK(mp_async_result_cancel(result) == 0);
    MPT_CHECK(write(STDOUT_FILENO, "after\n", 6) == 6);
    mp_async_result_free(result);
    mp_pool_free(pool);
    mp_shared_free((void *)begun);
}

static void test_bar_of_a_cancelled_map_ends_before_cancel_returns(void **state) {
    (void)state;
    static struct terminal terminal;
    static char screen[4096];
    start(&terminal, 80, cancel_with_bar);
    assert_int_equal(finish(&terminal), 0);
    show(&terminal, screen, sizeof screen);
    assert_non_null(strstr(screen, "ready|  "));
    assert_non_null(strstr(screen, "/20  "));
    assert_non_null(strstr(screen, "|after|"));
}

static void *terminate_at_signal(void *arg) {
    sigset_t interrupt;
    int signal;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    MPT_CHECK(sigwait(&interrupt, &signal) == 0);
    MPT_CHECK(mp_pool_terminate(arg) == 0);
    return NULL;
}

static void wait_in_get_while_a_thread_heeds_signals(void) {
    sigset_t interrupt;
    pthread_t thread;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, NULL);
    mp_pool *pool = mpt_pool(2);
    MPT_CHECK(pthread_create(&thread, NULL, terminate_at_signal, pool) == 0);
    mp_async_result *result = begin_work(pool, true);
    MPT_CHECK(mp_async_result_get(result, NULL, 0, NULL, MP_FOREVER) == MP_ECANCELED);
    is_interrupted = 1; /* only now: all could have been done before terminate came */
    MPT_CHECK(write(STDOUT_FILENO, "ended\n", 6) == 6);
    pthread_join(thread, NULL);
    mp_async_result_free(result);
    mp_pool_free(pool);
    mp_shared_free((void *)begun);
}

static void test_waiting_call_ends_when_another_thread_heeds_ctrl_c(void **state) {
    (void)state;
    static struct terminal terminal;
    static char screen[4096];
    start(&terminal, 80, wait_in_get_while_a_thread_heeds_signals);
    await_text(&terminal, "ready\r\n");
    assert_int_equal(write(terminal.master, "\003", 1), 1);
    assert_int_equal(finish(&terminal), 0);
    show(&terminal, screen, sizeof screen);
    assert_non_null(strstr(screen, "/20  "));
    assert_non_null(strstr(screen, "|ended|"));
}

static void do_not_care(void) {
    begin_work(mpt_pool(2), false);
    for (;;)
        pause();
}

static void test_program_that_does_not_care_dies_with_its_workers(void **state) {
    (void)state;
    static struct terminal terminal;
    start(&terminal, 80, do_not_care);
    await_text(&terminal, "ready\r\n");
    assert_int_equal(write(terminal.master, "\003", 1), 1);
    assert_int_equal(finish(&terminal), -SIGINT);
    assert_string_equal(terminal.output, "ready\r\n^C");
}

/* clang-format off: one case a line */
MPT_PROCESS_MAIN(MPT_EACH_WORKER(test_bar_stands_in_one_line_and_ends_before_map_returns),
                 MPT_CASE(test_bar_fits_every_width),
                 MPT_CASE(test_bar_heeds_columns_of_the_environment),
                 MPT_CASE(test_bar_is_not_for_dumb_terminals), MPT_CASE(test_bar_is_not_for_files),
                 MPT_CASE(test_refused_map_has_no_bar),
                 MPT_EACH_METHOD(test_bar_of_a_cancelled_map_ends_before_cancel_returns),
                 MPT_EACH_WORKER(test_bar_of_an_imap_counts_what_was_read),
                 MPT_EACH_WORKER(test_program_that_handles_ctrl_c_ends_cleanly),
                 MPT_EACH_WORKER(test_waiting_call_ends_when_another_thread_heeds_ctrl_c),
                 MPT_EACH_WORKER(test_program_that_does_not_care_dies_with_its_workers))
