/* Log lines of processes: a child's are Python's, and it has its parent's level.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mp/log.h"
#include "mp/shared.h"
#include "process.h"

static int say_name(void *arg, size_t arg_size) {
    (void)arg, (void)arg_size;
    mp_log(MP_LOG_DEBUG, "level %d", mp_log_get_level());
    (void)mp_process_set_name(mp_current_process(), "Bob");
    mp_log(MP_LOG_DEBUG, "renamed");
    mp_log(MP_LOG_SUBDEBUG, "below");
    return 3;
}

/* Runs it with standard error in a pipe; what was printed. */
static void run_child(char *out, size_t capacity) {
    int ends[2], kept = dup(STDERR_FILENO);
    mp_process_options options = {.target = say_name, .name = "Alice"};
    MPT_CHECK(pipe(ends) == 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    int code = mpt_end(mpt_start_with(mpt_context(), &options));
    dup2(kept, STDERR_FILENO);
    close(kept);
    assert_int_equal(code, 3);
    mpt_stop_servers(); /* it has the pipe, too */
    size_t size = 0;
    ssize_t more;
    while ((more = read(ends[0], out + size, capacity - 1 - size)) > 0)
        size += (size_t)more;
    out[size] = 0;
    close(ends[0]);
}

static void test_a_child_logs_what_python_s_does(void **state) {
    (void)state;
    char text[2000];
    mp_shared_free(mp_shared_alloc(1)); /* which allocates all shared memory */
    MPT_OK(mp_log_to_stderr(MP_LOG_DEBUG));
    run_child(text, sizeof text);
    assert_string_equal(text, "[INFO/Alice] child process calling self.run()\n"
                              "[DEBUG/Alice] level 10\n"
                              "[DEBUG/Bob] renamed\n"
                              "[INFO/Bob] process exiting with exitcode 3\n"
                              "[INFO/Bob] process shutting down\n");
}

static void test_a_child_is_silent_when_its_parent_is(void **state) {
    (void)state;
    char text[2000];
    run_child(text, sizeof text);
    assert_string_equal(text, "");
}

MPT_PROCESS_MAIN(MPT_EACH_METHOD(test_a_child_logs_what_python_s_does),
                 MPT_EACH_METHOD(test_a_child_is_silent_when_its_parent_is))
