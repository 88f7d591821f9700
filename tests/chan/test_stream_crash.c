/* Connections over sockets whose user is killed: what the others see, and that nothing is left.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chan/stream.h"
#include "reg/recover.h"
#include "shm/heap.h"
#include "stream.h"

static struct scene {
    mp_connection *connection;
    int raw; /* its other end */
    const char *point;
} scene;

static void open_scene(void) {
    scene.connection = mpt_open_raw(&scene.raw);
}

/* mpt sees whether blocks are left. */
static void close_scene(void) {
    mp__recover_all();
    MPT_OK(mp__heap_check());
    mp_connection_free(scene.connection);
    close(scene.raw);
}

static void put(const char *bytes, size_t size) {
    mpt_put_raw(scene.raw, bytes, size);
}

static int receive(double timeout) {
    char text[64];
    return mp_connection_recv_bytes_into(scene.connection, text, sizeof text, NULL, timeout);
}

static void receive_and_die(void *arg) {
    (void)arg;
    mpt_die_at(scene.point, 1);
    (void)receive(MP_NOWAIT);
}

static void send_and_die(void *arg) {
    (void)arg;
    mpt_die_at(scene.point, 1);
    (void)mp_connection_send_bytes(scene.connection, "hello", 5, 20);
}

static void receive_handle_and_die(void *arg) {
    int fd;
    (void)arg;
    mpt_die_at(scene.point, 1);
    (void)mp_connection_recv_handle(scene.connection, &fd, 20);
}

static void free_scene(void *arg) {
    (void)arg;
    mp_connection_free(scene.connection);
}

static void lose(void (*body)(void *arg), const char *point) {
    scene.point = point;
    MPT_CODE(mpt_join(mpt_fork(body, NULL)), -SIGKILL);
}

static void expect_sending_goes_on(void) {
    char got[5];
    MPT_OK(mp_connection_send_bytes(scene.connection, "x", 1, 20));
    MPT_CHECK(recv(scene.raw, got, 5, MSG_WAITALL) == 5);
}

static void test_a_death_with_a_part_in_hand_ends_receiving(void **state) {
    (void)state;
    static const char *const points[] = {"stream.receive.begun", "stream.receive.whole",
                                         "stream.forget.taken", "stream.forget.unlinked",
                                         "stream.receive.done"};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        open_scene();
        put("\0\0\0\x05the", 7);
        MPT_CODE(receive(MP_NOWAIT), MP_ETIMEDOUT); /* kept in the arena */
        put("re\0\0\0\x01y", 7);
        lose(receive_and_die, points[i]);
        MPT_CODE(receive(20), MP_EPROTO);
        MPT_CODE(receive(20), MP_EPROTO);
        expect_sending_goes_on();
        close_scene();
    }
}

static void test_a_death_while_a_part_is_kept_ends_receiving(void **state) {
    (void)state;
    open_scene();
    put("\0\0\0\x05the", 7);
    lose(receive_and_die, "stream.keep.linked");
    MPT_CODE(receive(20), MP_EPROTO);
    expect_sending_goes_on();
    close_scene();
}

/* It was all there to be taken at once: nobody knows of it, as if it had never come. */
static void test_a_short_message_is_taken_whole_or_not_at_all(void **state) {
    (void)state;
    open_scene();
    put("\0\0\0\x01x", 5);
    lose(receive_and_die, "guard.acquire.taken");
    MPT_OK(receive(20));
    put("\0\0\0\x01x\0\0\0\x01y", 10);
    lose(receive_and_die, "guard.release.freed");
    MPT_OK(receive(20));
    MPT_CODE(receive(MP_NOWAIT), MP_ETIMEDOUT);
    close_scene();
}

static void test_a_death_in_a_send_ends_sending(void **state) {
    (void)state;
    static const char *const points[] = {"stream.send.begun", "stream.send.sent"};
    static const ssize_t sent[] = {0, 9};
    for (size_t i = 0; i < 2; i++) {
        char got[20];
        open_scene();
        lose(send_and_die, points[i]);
        MPT_CODE(mp_connection_send_bytes(scene.connection, "x", 1, 20), -EPIPE);
        MPT_CHECK(recv(scene.raw, got, sizeof got, MSG_WAITALL) == sent[i]);
        put("\0\0\0\x01y", 5);
        MPT_OK(receive(20));
        close_scene();
    }
}

static void test_a_death_at_what_is_no_handle_ends_receiving(void **state) {
    (void)state;
    int fd;
    open_scene();
    put("\0\0\0\x01x", 5);
    lose(receive_handle_and_die, "stream.handle.torn");
    MPT_CODE(receive(20), MP_EPROTO);
    MPT_CODE(mp_connection_recv_handle(scene.connection, &fd, MP_NOWAIT), MP_EPROTO);
    expect_sending_goes_on();
    close_scene();
}

static void take_and_pause(void *kept) {
    MPT_CHECK(mp__self());
    mp__heap_take(kept); /* as in the middle of a receive */
    kill(getpid(), SIGSTOP);
}

/* What a receiver has in hand is not for a sender's recovery to give away. */
static void test_a_dead_sender_leaves_what_is_kept_alone(void **state) {
    (void)state;
    int status;
    open_scene();
    put("\0\0\0\x05the", 7);
    MPT_CODE(receive(MP_NOWAIT), MP_ETIMEDOUT);
    struct stream_shared *stream = (struct stream_shared *)scene.connection;
    uint8_t *kept = atomic_load(&stream->kept);
    pid_t receiver = mpt_fork(take_and_pause, kept);
    MPT_CHECK(waitpid(receiver, &status, WUNTRACED) == receiver && WIFSTOPPED(status));
    lose(send_and_die, "stream.send.begun");
    mp__recover_all();
    kill(receiver, SIGKILL);
    MPT_CODE(mpt_join(receiver), -SIGKILL);
    mp__recover_all();
    MPT_CHECK(!mp__heap_is_block(kept)); /* it was the receiver's until its end */
    atomic_store(&stream->kept, NULL);
    close_scene();
}

static void make_and_die(void *point) {
    mpt_die_at(point, 1);
    open_scene();
    (void)mpt_join(mpt_fork(free_scene, NULL)); /* a fork shares it */
}

/* Nobody else can have it. */
static void test_what_a_killed_process_had_for_itself_is_freed(void **state) {
    (void)state;
    MPT_CHECK(mp__self());
    MPT_CODE(mpt_join(mpt_fork(make_and_die, (void *)(uintptr_t) "stream.new.made")), -SIGKILL);
    MPT_CODE(mpt_join(mpt_fork(make_and_die, (void *)(uintptr_t) "stream.share.marked")), -SIGKILL);
    mp__recover_all();
    MPT_OK(mp__heap_check());
}

struct pipes {
    int life[2]; /* ends when the maker has */
    int word[2]; /* of the child that all went well */
};

/* The maker dies while its child, who has a copy, still needs it. */
static void use_when_orphaned(void *arg) {
    struct pipes *pipes = arg;
    char byte;
    close(pipes->life[1]);
    MPT_CHECK(read(pipes->life[0], &byte, 1) == 0);
    mp__recover_all();
    put("\0\0\0\x01x", 5);
    MPT_OK(receive(20));
    mp_connection_free(scene.connection);
    MPT_OK(mp__heap_check());
    MPT_CHECK(write(pipes->word[1], "x", 1) == 1);
}

static void make_fork_and_die(void *pipes) {
    open_scene();
    (void)mpt_fork(use_when_orphaned, pipes);
    kill(getpid(), SIGKILL);
}

static void test_a_forked_child_keeps_what_its_dead_parent_made(void **state) {
    (void)state;
    struct pipes pipes;
    char byte;
    MPT_CHECK(mp__self() && pipe(pipes.life) == 0 && pipe(pipes.word) == 0);
    pid_t maker = mpt_fork(make_fork_and_die, &pipes);
    close(pipes.life[0]);
    close(pipes.life[1]);
    close(pipes.word[1]);
    MPT_CODE(mpt_join(maker), -SIGKILL);
    MPT_CHECK(read(pipes.word[0], &byte, 1) == 1);
    MPT_CHECK(read(pipes.word[0], &byte, 1) == 0); /* it has ended, too */
    close(pipes.word[0]);
    mp__recover_all();
}

MPT_MAIN(MPT_CASE(test_a_death_with_a_part_in_hand_ends_receiving),
         MPT_CASE(test_a_death_while_a_part_is_kept_ends_receiving),
         MPT_CASE(test_a_short_message_is_taken_whole_or_not_at_all),
         MPT_CASE(test_a_death_in_a_send_ends_sending),
         MPT_CASE(test_a_death_at_what_is_no_handle_ends_receiving),
         MPT_CASE(test_a_dead_sender_leaves_what_is_kept_alone),
         MPT_CASE(test_what_a_killed_process_had_for_itself_is_freed),
         MPT_CASE(test_a_forked_child_keeps_what_its_dead_parent_made))
