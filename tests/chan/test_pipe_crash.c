/* Pipes while the process at one end is killed, at every kill point.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chan/connection.h"
#include "chan/pipe.h"
#include "mp/connection.h"
#include "os/clock.h"
#include "reg/recover.h"
#include "shm/heap.h"

struct scene {
    mp_connection *mine, *theirs;
    size_t size;           /* of each message */
    uint64_t count;        /* that the victim sends or receives unless it dies before */
    _Atomic uint64_t done; /* that it knows to have sent or received */
    bool has_handles;      /* a handle goes with each message */
    bool is_watched;       /* somebody looks at the descriptor */
    const char *point;     /* where it dies */
    unsigned turn;         /* at which time there */
};

static struct scene *new_scene(size_t size, uint64_t count) {
    mp_connection *mine, *theirs;
    MPT_OK(mp_pipe_new(&mine, &theirs, NULL, true));
    struct scene *scene = mp__heap_zalloc(sizeof *scene);
    mp__heap_publish(scene);
    *scene = (struct scene){.mine = mine, .theirs = theirs, .size = size, .count = count};
    return scene;
}

static void end_scene(struct scene *scene) {
    mp__recover_all();
    MPT_OK(mp__channel_check(((struct connection_shared *)scene->mine)->in));
    MPT_OK(mp__channel_check(((struct connection_shared *)scene->mine)->out));
    mp_connection_free(scene->mine);
    mp_connection_free(scene->theirs);
    mp__heap_free(scene);
    MPT_OK(mp__heap_check());
    struct mp__heap_figures figures;
    mp__heap_figures(&figures);
    MPT_CHECK(figures.blocks == 0);
}

static int send_one(mp_connection *connection, struct scene *scene, uint64_t number) {
    unsigned char *bytes = malloc(scene->size);
    memset(bytes, (int)(number % 253), scene->size);
    memcpy(bytes, &number, sizeof number);
    int code = mp_connection_send_bytes(connection, bytes, scene->size, 20);
    free(bytes);
    if (code == 0 && scene->has_handles)
        code = mp_connection_send_handle(connection, 0, 20);
    return code;
}

/* The message must be `expected` or a later one. */
static int receive_one(mp_connection *connection, struct scene *scene, uint64_t *expected,
                       double timeout) {
    void *data;
    size_t size;
    int code = mp_connection_recv_bytes(connection, &data, &size, 0, timeout);
    int fd;
    if (code == MP_ETYPE && scene->has_handles) { /* its message, or itself, went with who died */
        if (mp_connection_recv_handle(connection, &fd, timeout) == 0)
            close(fd);
        code = mp_connection_recv_bytes(connection, &data, &size, 0, timeout);
    }
    if (code < 0)
        return code;
    const unsigned char *bytes = data;
    uint64_t number;
    memcpy(&number, bytes, sizeof number);
    MPT_CHECK(size == scene->size && bytes[size - 1] == number % 253 && number >= *expected);
    free(data);
    *expected = number + 1;
    if (scene->has_handles && mp_connection_recv_handle(connection, &fd, 0) == 0)
        close(fd);
    return 0;
}

static void send_until_killed(void *arg) {
    struct scene *scene = arg;
    MPT_OK(mp_connection_close(scene->mine));
    mpt_die_at(scene->point, scene->turn);
    for (; atomic_load(&scene->done) < scene->count; atomic_fetch_add(&scene->done, 1))
        MPT_OK(send_one(scene->theirs, scene, atomic_load(&scene->done)));
}

static void receive_until_killed(void *arg) {
    struct scene *scene = arg;
    MPT_OK(mp_connection_close(scene->mine));
    mpt_die_at(scene->point, scene->turn);
    while (atomic_load(&scene->done) < scene->count) {
        uint64_t expected = atomic_load(&scene->done);
        MPT_OK(receive_one(scene->theirs, scene, &expected, 20));
        MPT_CHECK(expected == atomic_load(&scene->done) + 1);
        atomic_store(&scene->done, expected);
    }
}

static bool is_readable(int descriptor) {
    struct pollfd poller = {.fd = descriptor, .events = POLLIN};
    return poll(&poller, 1, 0) == 1;
}

/* All that was sent arrives in order, then end of file, at once. */
static bool kill_sender(struct scene *scene) {
    pid_t pid = mpt_fork(send_until_killed, scene);
    MPT_OK(mp_connection_close(scene->theirs));
    uint64_t expected = 0, before = 0;
    int code;
    while ((code = receive_one(scene->mine, scene, &expected, 20)) == 0)
        MPT_CHECK(expected == ++before);
    MPT_CODE(code, MP_EEOF);
    MPT_CHECK(expected >= atomic_load(&scene->done) && expected <= atomic_load(&scene->done) + 1);
    code = mpt_join(pid);
    MPT_CHECK(code == 0 || code == -SIGKILL);
    return code == -SIGKILL;
}

/* Another process has the same end: it goes on sending, and the descriptor tells what is there. */
static bool kill_sender_of_two(struct scene *scene) {
    int fd = mp__connection_descriptor(scene->mine);
    if (scene->is_watched)
        fd = mp_connection_fileno(scene->mine);
    pid_t pid = mpt_fork(send_until_killed, scene);
    int code = mpt_join(pid);
    MPT_CHECK(code == 0 || code == -SIGKILL);
    uint64_t expected = 0;
    while (mp_connection_poll(scene->mine, scene->is_watched ? 0 : 0.005) == 1) {
        MPT_CHECK(is_readable(fd) || !scene->is_watched);
        MPT_OK(receive_one(scene->mine, scene, &expected, MP_NOWAIT));
    }
    MPT_CHECK(!is_readable(fd) || !scene->is_watched);
    mp__time start = mp__now();
    MPT_OK(send_one(scene->theirs, scene, scene->count));
    MPT_CHECK(is_readable(fd));
    MPT_OK(receive_one(scene->mine, scene, &expected, 2));
    MPT_CHECK(mp__now() - start < MP__SECOND);
    return code == -SIGKILL;
}

static bool kill_sender_of_two_watched(struct scene *scene) {
    scene->is_watched = true;
    return kill_sender_of_two(scene);
}

/* No token lies in the receiver's socket, or nobody will take it any more. */
static bool has_settled(const struct scene *scene, pid_t pid) {
    siginfo_t info = {.si_pid = 0};
    MPT_CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0);
    return info.si_pid == pid ||
           atomic_load(&((struct connection_shared *)scene->theirs)->has_token) == 0;
}

/* The sender learns that nobody receives any more, also when it waits for room. */
static bool kill_receiver(struct scene *scene) {
    pid_t pid = mpt_fork(receive_until_killed, scene);
    MPT_OK(mp_connection_close(scene->theirs));
    int code = 0;
    for (uint64_t i = 0; i < scene->count && code == 0; i++) {
        if (i < 12)
            MPT_UNTIL(has_settled(scene, pid));
        code = send_one(scene->mine, scene, i);
    }
    MPT_CHECK(code == 0 || code == -EPIPE);
    int exit_code = mpt_join(pid);
    MPT_CHECK(exit_code == 0 || exit_code == -SIGKILL);
    MPT_CODE(send_one(scene->mine, scene, 1), -EPIPE);
    return exit_code == -SIGKILL;
}

/* Another process has the same end: it gets what is left, one at most is missing. */
static bool kill_receiver_of_two(struct scene *scene) {
    for (uint64_t i = 0; i < scene->count; i++)
        MPT_OK(send_one(scene->mine, scene, i));
    int code = mpt_join(mpt_fork(receive_until_killed, scene));
    MPT_CHECK(code == 0 || code == -SIGKILL);
    uint64_t expected = atomic_load(&scene->done), got = expected;
    while (receive_one(scene->theirs, scene, &expected, MP_NOWAIT) == 0)
        got++;
    MPT_CHECK(got + 1 >= scene->count);
    MPT_OK(send_one(scene->mine, scene, scene->count));
    MPT_OK(receive_one(scene->theirs, scene, &expected, 2));
    return code == -SIGKILL;
}

/* Every point at its 1st, 2nd and 9th time, with messages of three sizes and with handles. */
static void run_points(bool (*play)(struct scene *scene), const char *const *points) {
    static const size_t sizes[] = {32, 4000, 200000, 40};
    static const unsigned turns[] = {1, 2, 9};
    for (; *points; points++) {
        bool is_met = false;
        for (int i = 0; i < 12; i++) {
            struct scene *scene = new_scene(sizes[i / 3], i / 3 == 2 ? 4 : i / 3 == 1 ? 100 : 60);
            scene->has_handles = i / 3 == 3;
            scene->point = *points;
            scene->turn = turns[i % 3];
            is_met |= play(scene);
            end_scene(scene);
        }
        if (!is_met)
            fprintf(stderr, "never met: %s\n", *points);
        MPT_CHECK(is_met);
    }
}

static const char *const send_points[] = {"guard.acquire.held",
                                          "guard.acquire.taken",
                                          "channel.put.copied",
                                          "pipe.token.sent",
                                          "pipe.token.noted",
                                          "pipe.handle.counted",
                                          "pipe.handle.sent",
                                          "channel.put.written",
                                          "channel.put.load_intended",
                                          "channel.put.intended",
                                          "channel.publish.block",
                                          "channel.put.counted",
                                          "channel.put.published",
                                          "guard.release.freed",
                                          "channel.extend.allocated",
                                          "channel.extend.linked",
                                          "channel.extend.moved",
                                          "message.new.allocated",
                                          NULL};
static const char *const receive_points[] = {
    "guard.acquire.held",        "guard.acquire.taken",      "channel.get.copied",
    "channel.get.intended",      "channel.get.block_taken",  "channel.get.position_intended",
    "channel.get.load_intended", "channel.get.passed",       "channel.get.counted",
    "guard.release.freed",       "channel.get.block_copied", "pipe.handle.received",
    "channel.leave.taken",       "channel.leave.moved",      NULL};
static const char *const settle_points[] = {"pipe.settle.noted", "pipe.settle.drained", NULL};

static void test_receiver_gets_all_of_a_dead_sender_then_end_of_file(void **state) {
    (void)state;
    run_points(kill_sender, send_points);
}

static void test_other_sender_goes_on(void **state) {
    (void)state;
    run_points(kill_sender_of_two, send_points);
    run_points(kill_sender_of_two_watched, send_points);
}

static void test_sender_learns_of_a_dead_receiver(void **state) {
    (void)state;
    run_points(kill_receiver, receive_points);
    run_points(kill_receiver, settle_points);
}

static void test_other_receiver_goes_on(void **state) {
    (void)state;
    run_points(kill_receiver_of_two, receive_points);
}

static void wait_for_ever(void *arg) {
    struct scene *scene = arg;
    MPT_OK(mp_connection_close(scene->mine));
    atomic_store(&scene->done, 1);
    while (pause() < 0)
        ;
}

static void test_sender_that_waits_for_room_learns_of_a_death(void **state) {
    (void)state;
    struct scene *scene = new_scene(1 << 20, 1);
    pid_t pid = mpt_fork(wait_for_ever, scene);
    MPT_OK(mp_connection_close(scene->theirs));
    MPT_UNTIL(atomic_load(&scene->done) == 1);
    MPT_OK(send_one(scene->mine, scene, 0));
    MPT_CODE(mp_connection_send_bytes(scene->mine, "x", 1, 0.05), MP_ETIMEDOUT);
    kill(pid, SIGKILL);
    MPT_CODE(mp_connection_send_bytes(scene->mine, "x", 1, 20), -EPIPE);
    assert_int_equal(mpt_join(pid), -SIGKILL);
    end_scene(scene);
}

static void test_receiver_that_waits_learns_of_a_death(void **state) {
    (void)state;
    struct scene *scene = new_scene(32, 1);
    pid_t pid = mpt_fork(wait_for_ever, scene);
    MPT_OK(mp_connection_close(scene->theirs));
    MPT_UNTIL(atomic_load(&scene->done) == 1);
    kill(pid, SIGKILL);
    mp__time start = mp__now();
    MPT_CODE(mp_connection_recv_bytes_into(scene->mine, NULL, 0, NULL, 20), MP_EEOF);
    assert_true(mp__now() - start < MP__SECOND);
    assert_int_equal(mpt_join(pid), -SIGKILL);
    end_scene(scene);
}

static void receive_in_turn(struct scene *scene, uint64_t turn) {
    uint64_t expected = turn;
    MPT_OK(mp_connection_close(scene->mine));
    MPT_UNTIL(atomic_load(&scene->done) == turn);
    MPT_OK(receive_one(scene->theirs, scene, &expected, 20));
}

static void receive_first_and_close(void *arg) {
    struct scene *scene = arg;
    receive_in_turn(scene, 0);
    MPT_OK(mp_connection_close(scene->theirs));
    atomic_store(&scene->done, 1);
    for (;;)
        pause();
}

static void receive_second_and_keep(void *arg) {
    struct scene *scene = arg;
    receive_in_turn(scene, 1);
    atomic_store(&scene->done, 2);
    for (;;)
        pause();
}

/* Who received first is alive, but has closed its end. */
static void test_sender_learns_that_the_next_receiver_died_too(void **state) {
    (void)state;
    struct scene *scene = new_scene(32, 3);
    pid_t first = mpt_fork(receive_first_and_close, scene);
    pid_t second = mpt_fork(receive_second_and_keep, scene);
    MPT_OK(mp_connection_close(scene->theirs));
    MPT_OK(send_one(scene->mine, scene, 0));
    MPT_UNTIL(atomic_load(&scene->done) == 1);
    MPT_OK(send_one(scene->mine, scene, 1));
    MPT_UNTIL(atomic_load(&scene->done) == 2);
    MPT_OK(send_one(scene->mine, scene, 2));
    kill(second, SIGKILL);
    assert_int_equal(mpt_join(second), -SIGKILL);
    MPT_CODE(send_one(scene->mine, scene, 3), -EPIPE);
    kill(first, SIGKILL);
    assert_int_equal(mpt_join(first), -SIGKILL);
    end_scene(scene);
}

/* clang-format off */
MPT_MAIN(MPT_CASE(test_receiver_gets_all_of_a_dead_sender_then_end_of_file),
         MPT_CASE(test_other_sender_goes_on),
         MPT_CASE(test_sender_learns_of_a_dead_receiver),
         MPT_CASE(test_other_receiver_goes_on),
         MPT_CASE(test_sender_learns_that_the_next_receiver_died_too),
         MPT_CASE(test_sender_that_waits_for_room_learns_of_a_death),
         MPT_CASE(test_receiver_that_waits_learns_of_a_death))
