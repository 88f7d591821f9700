/* Streams around a start and at a child's end: nothing is lost, nothing comes twice, and nobody
 * waits for a thread that sits in a read.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/threads.h"
#include "process.h"

struct reader {
    int ends[2];
    FILE *stream; /* of the first */
    pthread_t thread;
};

static void *read_line(void *stream) {
    char line[8];
    return fgets(line, sizeof line, stream);
}

/* A thread that has its stream locked until something comes. */
static struct reader begin_reading(void) {
    struct reader reader;
    MPT_CHECK(pipe(reader.ends) == 0);
    reader.stream = fdopen(reader.ends[0], "r");
    MPT_CHECK(pthread_create(&reader.thread, NULL, read_line, reader.stream) == 0);
    MPT_UNTIL(ftrylockfile(reader.stream) != 0 || (funlockfile(reader.stream), false));
    return reader;
}

static void end_reading(struct reader reader) {
    close(reader.ends[1]);
    pthread_join(reader.thread, NULL);
    fclose(reader.stream);
}

static int print_word(void *arg, size_t size) {
    (void)arg;
    (void)size;
    printf("child");
    return 0;
}

static int print_word_while_a_thread_reads(void *arg, size_t size) {
    (void)begin_reading();
    return print_word(arg, size);
}

/* What `target` leaves in stdout, behind what lies there before. */
static void expect_printed(mp_target_fn target) {
    char text[40] = {0};
    FILE *file = tmpfile();
    fflush(stdout);
    int saved = dup(1);
    dup2(fileno(file), 1);
    printf("parent ");
    assert_int_equal(mpt_end(mpt_start(target, NULL, 0)), 0);
    fflush(stdout);
    dup2(saved, 1);
    close(saved);
    rewind(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    assert_string_equal(text, "parent child");
}

static void test_stdout_is_flushed_once(void **state) {
    (void)state;
    expect_printed(print_word);
}

static void test_child_ends_while_a_thread_of_it_reads(void **state) {
    (void)state;
    expect_printed(print_word_while_a_thread_reads);
}

static void test_child_starts_while_a_thread_of_the_parent_reads(void **state) {
    (void)state;
    struct reader reader = begin_reading();
    expect_printed(print_word);
    end_reading(reader);
}

struct locker {
    pthread_mutex_t mutex; /* held for as long as it shall keep stdout */
    pthread_t thread;
};

static void *keep_stdout(void *arg) {
    struct locker *locker = arg;
    flockfile(stdout);
    pthread_mutex_lock(&locker->mutex);
    pthread_mutex_unlock(&locker->mutex);
    funlockfile(stdout);
    return NULL;
}

/* As one has that writes to a pipe which nobody reads. */
static void test_child_starts_while_a_thread_keeps_stdout(void **state) {
    (void)state;
    struct locker locker = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    pthread_mutex_lock(&locker.mutex);
    assert_int_equal(pthread_create(&locker.thread, NULL, keep_stdout, &locker), 0);
    MPT_UNTIL(ftrylockfile(stdout) != 0 || (funlockfile(stdout), false));
    assert_int_equal(mpt_end(mpt_start(mpt_do_nothing, NULL, 0)), 0);
    pthread_mutex_unlock(&locker.mutex);
    pthread_join(locker.thread, NULL);
}

static int write_and_leave_open(void *arg, size_t size) {
    (void)size;
    FILE *file = fopen(arg, "a");
    MPT_CHECK(file != NULL);
    fputs("child", file);
    return 0;
}

static void expect_file(const char *path, const char *text) {
    char line[40] = {0};
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, text);
    fclose(file);
}

static void test_what_a_child_leaves_in_a_file_is_written_once(void **state) {
    (void)state;
    if (!mp__thread_is_only()) /* a sanitizer's are there from the beginning */
        skip();
    char path[] = "/tmp/mpt_stream_XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    FILE *file = fdopen(descriptor, "a");
    fputs("parent ", file);
    fflush(mpt_method() == MP_FORK ? stdout : file); /* only a forked child has it, too */
    assert_int_equal(mpt_end(mpt_start(write_and_leave_open, path, sizeof path)), 0);
    fclose(file);
    expect_file(path, "parent child");
    unlink(path);
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_stdout_is_flushed_once),
                 MPT_EACH_METHOD(test_child_ends_while_a_thread_of_it_reads),
                 MPT_EACH_METHOD(test_child_starts_while_a_thread_of_the_parent_reads),
                 MPT_EACH_METHOD(test_child_starts_while_a_thread_keeps_stdout),
                 MPT_EACH_METHOD(test_what_a_child_leaves_in_a_file_is_written_once))
