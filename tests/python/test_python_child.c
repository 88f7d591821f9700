/* What a program of ours does with the command lines and pickles of Python, without any Python:
 * split, cut, spoiled; and as its resource tracker.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/collection.h"
#include "mp/pickle.h"
#include "mp/shared_memory.h"

#define SPAWN \
    "from multiprocessing.spawn import spawn_main; spawn_main(tracker_fd=%d, pipe_handle=%d)"
#define TRACKER "from multiprocessing.resource_tracker import main;main(%d)"

static const char program[] = MPT_PROGRAMS_DIR "/python_child";

struct started {
    pid_t pid;
    int input;  /* the pipe that it reads */
    int errors; /* its standard error */
};

/* The text has a %d where the number of the pipe goes. */
static struct started start(const char *text, bool is_frozen) {
    int input[2], errors[2];
    char command[200], handle[40];
    MPT_CHECK(pipe(input) == 0 && pipe2(errors, O_CLOEXEC) == 0);
    fcntl(input[1], F_SETFD, FD_CLOEXEC);
    snprintf(command, sizeof command, text, input[0], input[0]);
    snprintf(handle, sizeof handle, "pipe_handle=%d", input[0]);
    struct started started = {fork(), input[1], errors[0]};
    if (started.pid == 0) {
        dup2(errors[1], STDERR_FILENO);
        if (is_frozen)
            execl(program, program, "--multiprocessing-fork", "tracker_fd=99", handle, NULL);
        execl(program, program, "-E", "-c", command, "--multiprocessing-fork", NULL);
        _exit(97);
    }
    close(input[0]);
    close(errors[1]);
    return started;
}

/* Its exit code; what it printed goes out. */
static int end(struct started started, char *out, size_t room) {
    size_t size = 0;
    ssize_t more;
    close(started.input);
    while ((more = read(started.errors, out + size, room - 1 - size)) > 0)
        size += (size_t)more;
    out[size] = 0;
    close(started.errors);
    return mpt_join(started.pid);
}

static void send(struct started started, const void *data, size_t size) {
    MPT_CHECK(write(started.input, data, size) == (ssize_t)size);
}

static mp_object *make_process(mp_object *target, mp_object *args) {
    mp_object *process =
        mp_call_new(MP_CALL_NEWOBJ, mp_global_new("multiprocessing.context", "SpawnProcess"),
                    mp_tuple_new(NULL, 0), NULL);
    mp_object *state =
        mp_object_build("{s:(i),s:{},s:i,s:s,s:N,s:N,s:{},s:s}", "_identity", 1, "_config",
                        "_parent_pid", (int)getpid(), "_parent_name", "MainProcess", "_target",
                        target, "_args", args, "_kwargs", "_name", "Bob");
    MPT_CHECK(process && state && mp_call_add(process, MP_CALL_BUILD, NULL, state) == 0);
    return process;
}

/* Both pickles, from malloc, for a process that returns that number. */
static char *make_order(int number, size_t *size) {
    mp_object *preparation =
                  mp_object_build("{s:?,s:s,s:s}", "log_to_stderr", 0, "name", "Bob", "dir", "/"),
              *process = make_process(mp_global_new("__main__", "give_back"),
                                      mp_object_build("(i)", number));
    void *first, *second;
    size_t first_size, second_size;
    MPT_OK(mp_object_dumps(preparation, 4, &first, &first_size));
    MPT_OK(mp_object_dumps(process, 4, &second, &second_size));
    char *order = realloc(first, first_size + second_size);
    MPT_CHECK(order);
    memcpy(order + first_size, second, second_size);
    free(second);
    mp_object_free(preparation);
    mp_object_free(process);
    *size = first_size + second_size;
    return order;
}

static int run(const char *data, size_t size, bool is_frozen, char *errors, size_t room) {
    struct started started = start(SPAWN, is_frozen);
    send(started, data, size);
    return end(started, errors, room);
}

static void test_both_command_lines_are_understood(void **state) {
    (void)state;
    char errors[500];
    size_t size;
    char *order = make_order(37, &size);
    assert_int_equal(run(order, size, false, errors, sizeof errors), 37);
    assert_int_equal(run(order, size, true, errors, sizeof errors), 37);
    assert_string_equal(errors, "");
    free(order);
}

static void test_pickles_may_come_in_pieces(void **state) {
    (void)state;
    char errors[500];
    size_t size;
    char *order = make_order(256 + 5, &size);
    struct started started = start(SPAWN, false);
    for (size_t i = 0; i < size; i++)
        send(started, order + i, 1);
    assert_int_equal(end(started, errors, sizeof errors), 5);
    free(order);
}

static void test_a_parent_that_ends_too_early_is_said(void **state) {
    (void)state;
    char errors[500];
    size_t size;
    char *order = make_order(3, &size);
    assert_int_equal(run(order, size - 1, false, errors, sizeof errors), 1);
    assert_string_equal(errors,
                        "Process ?:\nlibmp: the Python process ended while it started this\n");
    assert_int_equal(run(order, 0, false, errors, sizeof errors), 1);
    free(order);
}

/* Whatever comes: an end, with a code, and no crash. */
static void test_spoiled_pickles_end_with_a_code(void **state) {
    (void)state;
    char errors[4000];
    size_t size;
    char *order = make_order(3, &size);
    for (size_t i = 0; i < size; i += 3) {
        char kept = order[i];
        order[i] ^= 0x55;
        int code = run(order, size, false, errors, sizeof errors);
        MPT_CHECK(code >= 0);
        order[i] = kept;
    }
    assert_int_equal(run("N.N.", 4, false, errors, sizeof errors), 1);
    assert_int_equal(run("}.}.", 4, false, errors, sizeof errors), 1);
    free(order);
}

static void test_it_is_no_fork_server(void **state) {
    (void)state;
    char errors[1000];
    struct started started = start("from multiprocessing.forkserver import main; main(3)", false);
    assert_int_equal(end(started, errors, sizeof errors), 1);
    assert_memory_equal(errors, "libmp: a program of C cannot run this for Python: from", 54);
}

static void test_other_arguments_are_the_program_s(void **state) {
    (void)state;
    char errors[1000];
    assert_int_equal(end(start("print('hello')", false), errors, sizeof errors), 98);
    assert_string_equal(errors, "this is not for people\n");
}

static int track(const char *lines, char *errors, size_t room) {
    struct started started = start(TRACKER, false);
    send(started, lines, strlen(lines));
    return end(started, errors, room);
}

static void test_a_tracker_forgets_what_is_unregistered(void **state) {
    (void)state;
    char errors[1000];
    int code = track("PROBE:0:noop\nREGISTER:/mp-a:semaphore\nREGISTER:/mp-a:semaphore\n"
                     "REGISTER:/psm_1:shared_memory\nUNREGISTER:/mp-a:semaphore\n"
                     "UNREGISTER:/psm_1:shared_memory\nREGISTER:x:dummy\n",
                     errors, sizeof errors);
    assert_string_equal(errors, "");
    assert_int_equal(code, 0);
}

static void test_a_tracker_reads_json(void **state) {
    (void)state;
    char errors[1000];
    int code =
        track("{\"cmd\": \"PROBE\", \"rtype\": \"noop\"}\n"
              "{\"cmd\":\"REGISTER\",\"rtype\":\"semaphore\",\"base64_name\":\"L21wLWFi\"}\n"
              "UNREGISTER:/mp-ab:semaphore\n"
              "REGISTER:/mp-abc:semaphore\n"
              "{\"cmd\":\"UNREGISTER\",\"rtype\":\"semaphore\",\"base64_name\":\"L21wLWFiYw==\"}\n",
              errors, sizeof errors);
    assert_string_equal(errors, "");
    assert_int_equal(code, 0);
    assert_int_equal(track("{\"cmd\":\"REGISTER\",\"rtype\":\"semaphore\",\"base64_name\":\"!\"}\n",
                           errors, sizeof errors),
                     3);
}

static void test_a_tracker_unlinks_what_is_left(void **state) {
    (void)state;
    char errors[1000], lines[200], name[64];
    mp_shared_memory *memory, *again;
    snprintf(name, sizeof name, "/mpt-%d", (int)getpid());
    sem_t *semaphore = sem_open(name, O_CREAT | O_EXCL, 0600, 1);
    MPT_CHECK(semaphore != SEM_FAILED);
    MPT_OK(mp_shared_memory_open(&memory, NULL, 10, MP_CREATE));
    snprintf(lines, sizeof lines, "REGISTER:%s:semaphore\nREGISTER:/%s:shared_memory\n", name,
             mp_shared_memory_name(memory));
    assert_int_equal(track(lines, errors, sizeof errors), 1);
    assert_string_equal(errors, "resource_tracker: There appear to be 1 leaked semaphore objects "
                                "to clean up at shutdown\n"
                                "resource_tracker: There appear to be 1 leaked shared_memory "
                                "objects to clean up at shutdown\n");
    assert_ptr_equal(sem_open(name, 0), SEM_FAILED);
    MPT_CODE(mp_shared_memory_open(&again, mp_shared_memory_name(memory), 0, 0), -ENOENT);
    assert_int_equal(track(lines, errors, sizeof errors), 2);
    sem_close(semaphore);
    mp_shared_memory_free(memory);
}

static void test_a_tracker_says_what_it_does_not_understand(void **state) {
    (void)state;
    char errors[1000];
    assert_int_equal(
        track("REGISTER:x\nUNREGISTER:/mp-none:semaphore\nJUMP:x:dummy\nREGISTER:x:y\n", errors,
              sizeof errors),
        3);
    assert_string_equal(errors, "resource_tracker: not understood: REGISTER:x\n"
                                "resource_tracker: not understood: UNREGISTER:/mp-none:semaphore\n"
                                "resource_tracker: not understood: JUMP:x:dummy\n"
                                "resource_tracker: not understood: REGISTER:x:y\n");
}

static void test_a_tracker_outlives_who_is_interrupted(void **state) {
    (void)state;
    char errors[1000], byte = 0;
    struct started started = start(TRACKER, false);
    send(started, "JUMP\n", 5);
    MPT_CHECK(read(started.errors, &byte, 1) == 1); /* it has begun */
    kill(started.pid, SIGTERM);
    kill(started.pid, SIGINT);
    send(started, "PROBE:0:noop\n", 13);
    assert_int_equal(end(started, errors, sizeof errors), 3);
}

MPT_MAIN(MPT_CASE(test_both_command_lines_are_understood),
         MPT_CASE(test_pickles_may_come_in_pieces),
         MPT_CASE(test_a_parent_that_ends_too_early_is_said),
         MPT_CASE(test_spoiled_pickles_end_with_a_code), MPT_CASE(test_it_is_no_fork_server),
         MPT_CASE(test_other_arguments_are_the_program_s),
         MPT_CASE(test_a_tracker_forgets_what_is_unregistered), MPT_CASE(test_a_tracker_reads_json),
         MPT_CASE(test_a_tracker_unlinks_what_is_left),
         MPT_CASE(test_a_tracker_says_what_it_does_not_understand),
         MPT_CASE(test_a_tracker_outlives_who_is_interrupted))
