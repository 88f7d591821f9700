/* Log lines of one process: who gets them, what they look like.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

/* Standard error goes into a pipe while one of these is open. */
struct captured {
    int kept;        /* the real one */
    int read_end;    /* what is printed */
    char text[9000]; /* up to now */
};

static void begin_capture(struct captured *captured) {
    int ends[2];
    MPT_CHECK(pipe(ends) == 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    captured->kept = dup(STDERR_FILENO);
    captured->read_end = ends[0];
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
}

static const char *end_capture(struct captured *captured) {
    ssize_t size = read(captured->read_end, captured->text, sizeof captured->text - 1);
    captured->text[size > 0 ? size : 0] = 0;
    dup2(captured->kept, STDERR_FILENO);
    close(captured->kept);
    close(captured->read_end);
    return captured->text;
}

static void test_nothing_is_printed_unless_asked_for(void **state) {
    (void)state;
    struct captured captured;
    begin_capture(&captured);
    mp_log(MP_LOG_CRITICAL, "nobody asked");
    mp__log(MP_LOG_CRITICAL, "nobody asked");
    assert_string_equal(end_capture(&captured), "");
    assert_int_equal(mp_log_get_level(), MP_LOG_WARNING);
}

static void test_lines_are_python_s(void **state) {
    (void)state;
    struct captured captured;
    begin_capture(&captured);
    MPT_OK(mp_log_to_stderr(MP_LOG_SUBDEBUG));
    mp_log(MP_LOG_INFO, "%d jobs", 12);
    mp_log(MP_LOG_SUBDEBUG, "five");
    mp_log(MP_LOG_SUBWARNING, "twenty-five");
    mp_log(MP_LOG_ERROR, "%s", "");
    assert_string_equal(end_capture(&captured), "[INFO/MainProcess] 12 jobs\n"
                                                "[Level 5/MainProcess] five\n"
                                                "[Level 25/MainProcess] twenty-five\n"
                                                "[ERROR/MainProcess] \n");
}

static void test_lines_below_the_level_are_dropped(void **state) {
    (void)state;
    struct captured captured;
    begin_capture(&captured);
    MPT_OK(mp_log_to_stderr(MP_LOG_NOTSET));
    mp_log(MP_LOG_INFO, "not at WARNING");
    mp_log(MP_LOG_WARNING, "at WARNING");
    MPT_OK(mp_log_set_level(MP_LOG_DEBUG));
    mp_log(MP_LOG_DEBUG, "at DEBUG");
    mp_log(MP_LOG_NOTSET, "no level");
    mp_log(-7, "no level");
    assert_int_equal(mp_log_get_level(), MP_LOG_DEBUG);
    MPT_OK(mp_log_set_level(MP_LOG_NOTSET));
    mp_log(MP_LOG_DEBUG, "not any more");
    assert_string_equal(end_capture(&captured),
                        "[WARNING/MainProcess] at WARNING\n[DEBUG/MainProcess] at DEBUG\n");
}

static void test_a_level_has_limits(void **state) {
    (void)state;
    MPT_CODE(mp_log_to_stderr(-1), MP_EINVAL);
    MPT_CODE(mp_log_to_stderr(1001), MP_EINVAL);
    MPT_CODE(mp_log_set_level(-1), MP_EINVAL);
    MPT_CODE(mp_log_set_level(1 << 16), MP_EINVAL);
    mp_log(MP_LOG_ERROR, NULL);
    assert_int_equal(mp_log_get_level(), MP_LOG_WARNING);
}

static void test_long_lines_and_names_are_cut(void **state) {
    (void)state;
    struct captured captured;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    begin_capture(&captured);
    MPT_OK(mp_log_to_stderr(MP_LOG_INFO));
    mp__log_set_name(text);
    mp_log(MP_LOG_INFO, "%s", text);
    const char *line = end_capture(&captured);
    assert_int_equal(strlen(line), 1999);
    assert_int_equal(strchr(line, ']') - strchr(line, '/'), 64);
    assert_ptr_equal(strchr(line, '\n'), line + 1998);
}

struct heard {
    int level;      /* of the last line */
    char text[200]; /* it, with the process's name before it */
    unsigned count; /* of lines */
};

static void hear(int level, const char *process_name, const char *text, void *user) {
    struct heard *heard = user;
    heard->level = level;
    heard->count++;
    snprintf(heard->text, sizeof heard->text, "%s: %s", process_name, text);
    mp_log(MP_LOG_CRITICAL, "a handler's own lines would go round for ever");
    errno = E2BIG;
}

static void test_a_handler_gets_the_parts(void **state) {
    (void)state;
    struct heard heard = {0}, other = {0};
    MPT_OK(mp_log_set_handler(hear, &heard));
    errno = EDOM;
    mp_log(MP_LOG_INFO, "below");
    mp_log(MP_LOG_ERROR, "it is %s", "so");
    assert_int_equal(errno, EDOM);
    assert_int_equal(heard.level, MP_LOG_ERROR);
    assert_string_equal(heard.text, "MainProcess: it is so");
    MPT_OK(mp_log_set_handler(hear, &other));
    mp_log(MP_LOG_ERROR, "to the other one");
    MPT_OK(mp_log_set_handler(NULL, NULL));
    mp_log(MP_LOG_ERROR, "to nobody");
    assert_int_equal(heard.count, 1);
    assert_int_equal(other.count, 1);
}

struct collected {
    char text[2000]; /* lines */
};

static void collect(int level, const char *process_name, const char *text, void *user) {
    struct collected *collected = user;
    (void)level, (void)process_name;
    strncat(collected->text, text, sizeof collected->text - strlen(collected->text) - 2);
    strcat(collected->text, "\n");
}

static void test_a_handler_gets_a_line_from_under_a_lock_later(void **state) {
    (void)state;
    struct collected collected = {""};
    struct captured captured;
    begin_capture(&captured);
    MPT_OK(mp_log_set_handler(collect, &collected));
    MPT_OK(mp_log_to_stderr(MP_LOG_DEBUG));
    mp__log_held(MP_LOG_DEBUG, "first");
    mp__log_held(MP_LOG_SUBDEBUG, "below");
    assert_string_equal(end_capture(&captured), "[DEBUG/MainProcess] first\n");
    assert_string_equal(collected.text, "");
    mp_log(MP_LOG_DEBUG, "second");
    mp__log_held(MP_LOG_DEBUG, "third");
    assert_string_equal(collected.text, "first\nsecond\n");
    mp__log_catch_up();
    mp__log_catch_up();
    assert_string_equal(collected.text, "first\nsecond\nthird\n");
}

static void expect_no_kept(void *collected) {
    mp__log_catch_up();
    MPT_CHECK(((struct collected *)collected)->text[0] == 0);
    for (int i = 0; i < 16; i++)
        mp__log_held(MP_LOG_DEBUG, "mine");
    mp__log_catch_up();
    MPT_CHECK(strlen(((struct collected *)collected)->text) == 16 * 5);
}

static void test_a_forked_child_leaves_its_parent_s_lines(void **state) {
    (void)state;
    struct collected collected = {""};
    MPT_OK(mp_log_set_level(MP_LOG_DEBUG));
    MPT_OK(mp_log_set_handler(collect, &collected));
    mp__log_held(MP_LOG_DEBUG, "the parent's");
    assert_int_equal(mpt_join(mpt_fork(expect_no_kept, &collected)), 0);
    mp__log_catch_up();
    assert_string_equal(collected.text, "the parent's\n");
}

static void test_the_first_lines_are_kept(void **state) {
    (void)state;
    struct collected collected = {""};
    MPT_OK(mp_log_set_level(MP_LOG_DEBUG));
    MPT_OK(mp_log_set_handler(collect, &collected));
    for (int i = 0; i < 20; i++)
        mp__log_held(MP_LOG_DEBUG, "%c", 'a' + i);
    mp__log_catch_up();
    assert_int_equal(strlen(collected.text), 2 * 16);
}

static void count_line(int level, const char *process_name, const char *text, void *user) {
    (void)level, (void)process_name;
    MPT_CHECK(strcmp(text, "0123456789") == 0);
    atomic_fetch_add((_Atomic unsigned *)user, 1);
}

static void *hold_many(void *arg) {
    (void)arg;
    for (int i = 0; i < 200; i++) {
        mp__log_held(MP_LOG_DEBUG, "0123456789");
        mp__log_catch_up();
    }
    return NULL;
}

/* Each thread has room for its line: no more than four are kept at a time. */
static void test_lines_that_threads_keep_are_all_given(void **state) {
    (void)state;
    _Atomic unsigned count = 0;
    pthread_t threads[4];
    MPT_OK(mp_log_set_level(MP_LOG_DEBUG));
    MPT_OK(mp_log_set_handler(count_line, &count));
    for (int i = 0; i < 4; i++)
        MPT_CHECK(pthread_create(&threads[i], NULL, hold_many, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    mp__log_catch_up();
    assert_int_equal(atomic_load(&count), 800);
}

static void test_an_heir_has_level_and_stderr_but_no_handler(void **state) {
    (void)state;
    struct captured captured;
    struct heard heard = {0};
    begin_capture(&captured);
    MPT_OK(mp_log_set_handler(hear, &heard));
    MPT_OK(mp_log_to_stderr(MP_LOG_DEBUG));
    mp__log_inherit(mp__log_legacy());
    mp_log(MP_LOG_DEBUG, "heard");
    assert_string_equal(end_capture(&captured), "[DEBUG/MainProcess] heard\n");
    assert_int_equal(heard.count, 0);
}

static void *log_many(void *arg) {
    (void)arg;
    for (int i = 0; i < 20; i++)
        mp_log(MP_LOG_INFO, "0123456789012345678901234567890123456789");
    return NULL;
}

static void test_lines_of_threads_do_not_mix(void **state) {
    (void)state;
    static const char whole[] = "[INFO/MainProcess] 0123456789012345678901234567890123456789\n";
    struct captured captured;
    pthread_t threads[4];
    unsigned count = 0;
    begin_capture(&captured);
    MPT_OK(mp_log_to_stderr(MP_LOG_INFO));
    for (int i = 0; i < 4; i++)
        MPT_CHECK(pthread_create(&threads[i], NULL, log_many, NULL) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (const char *line = end_capture(&captured); *line; line += sizeof whole - 1, count++)
        assert_memory_equal(line, whole, sizeof whole - 1);
    assert_int_equal(count, 80);
}

MPT_MAIN(MPT_CASE(test_nothing_is_printed_unless_asked_for), MPT_CASE(test_lines_are_python_s),
         MPT_CASE(test_lines_below_the_level_are_dropped), MPT_CASE(test_a_level_has_limits),
         MPT_CASE(test_long_lines_and_names_are_cut), MPT_CASE(test_a_handler_gets_the_parts),
         MPT_CASE(test_a_handler_gets_a_line_from_under_a_lock_later),
         MPT_CASE(test_a_forked_child_leaves_its_parent_s_lines),
         MPT_CASE(test_the_first_lines_are_kept),
         MPT_CASE(test_lines_that_threads_keep_are_all_given),
         MPT_CASE(test_an_heir_has_level_and_stderr_but_no_handler),
         MPT_CASE(test_lines_of_threads_do_not_mix))
