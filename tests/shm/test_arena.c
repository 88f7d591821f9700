/* The arena: opened once, divided, inherited, attached at its address, shrunk when refused.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/memory.h"
#include "shm/arena.h"

#define MIB (UINT64_C(1) << 20)

static void *open_it(void *arg) {
    (void)arg;
    MPT_OK(mp__arena_open());
    return mp__arena;
}

static void test_open_gives_one_arena_when_threads_race(void **state) {
    (void)state;
    pthread_t threads[8];
    void *seen[8];
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_it, NULL), 0);
    for (int i = 0; i < 8; i++)
        pthread_join(threads[i], &seen[i]);
    for (int i = 0; i < 8; i++)
        assert_ptr_equal(seen[i], mp__arena);
    assert_true(mp__arena->size >= 64 * MIB && mp__arena->address == mp__arena);
}

static void test_sections_are_apart_and_zero(void **state) {
    (void)state;
    MPT_OK(mp__arena_open());
    for (int i = 0; i < MP__SECTION_COUNT; i++) {
        uint64_t offset = mp__arena->section_offset[i], end = offset + mp__arena->section_size[i];
        assert_true(offset >= sizeof *mp__arena && end <= mp__arena->heap_offset);
        for (int k = 0; k < i; k++)
            assert_true(end <= mp__arena->section_offset[k] ||
                        offset >= mp__arena->section_offset[k] + mp__arena->section_size[k]);
    }
    const char *registry = mp__arena_section(MP__SECTION_REGISTRY);
    for (uint64_t i = 0; i < mp__arena->section_size[MP__SECTION_REGISTRY]; i += 512)
        assert_int_equal(registry[i], 0);
}

static void test_contains_knows_the_bounds(void **state) {
    (void)state;
    assert_false(mp__arena_contains(&state, 1));
    assert_false(mp__arena_contains(NULL, 0));
    MPT_OK(mp__arena_open());
    char *start = (char *)mp__arena, *end = start + mp__arena->size;
    assert_true(mp__arena_contains(start, mp__arena->size));
    assert_false(mp__arena_contains(start, mp__arena->size + 1));
    assert_true(mp__arena_contains(end - 1, 1));
    assert_false(mp__arena_contains(end - 1, 2));
    assert_false(mp__arena_contains(end - 1, SIZE_MAX));
    assert_false(mp__arena_contains(end, 0));
    assert_false(mp__arena_contains(start - 1, 2));
    assert_false(mp__arena_contains(&state, 1));
}

static void test_environment_sets_the_size(void **state) {
    (void)state;
    setenv("LIBMP_ARENA_BYTES", "33554432", 1);
    MPT_OK(mp__arena_open());
    assert_int_equal(mp__arena->size, 32 * MIB);
}

static void test_open_fails_when_the_environment_is_nonsense(void **state) {
    (void)state;
    static const char *const texts[] = {"x",
                                        "16777215",
                                        "-16777216",
                                        " 16777216",
                                        "16777216k",
                                        "99999999999999999999",
                                        "1099511627777"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        setenv("LIBMP_ARENA_BYTES", texts[i], 1);
        MPT_CODE(mp__arena_open(), MP_EINVAL);
        assert_non_null(strstr(mp_error_detail(), texts[i]));
        assert_null(mp__arena);
    }
}

/* As `ulimit -v` does, counted from what is mapped now (sanitizers map terabytes). */
static void test_arena_is_smaller_when_address_space_is_refused(void **state) {
    (void)state;
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%lu", &pages) != 1)
        skip();
    fclose(file);
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + 1000 * MIB;
    assert_int_equal(setrlimit(RLIMIT_AS, &limit), 0);
    MPT_OK(mp__arena_open());
    assert_int_equal(mp__arena->size, 512 * MIB);
}

static void test_arena_is_smaller_when_file_size_is_limited(void **state) {
    (void)state;
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = 100 * MIB;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    MPT_OK(mp__arena_open());
    assert_int_equal(mp__arena->size, 64 * MIB);
}

static void test_open_fails_when_there_is_no_descriptor(void **state) {
    (void)state;
    struct rlimit limit, before;
    getrlimit(RLIMIT_NOFILE, &before);
    limit = before;
    limit.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    MPT_CODE(mp__arena_open(), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    MPT_OK(mp__arena_open());
}

static void answer(void *arg) {
    _Atomic int *word = arg;
    MPT_OK(mp__arena_open());
    MPT_CHECK((void *)word == mp__arena_section(MP__SECTION_PROCESSES) && *word == 42);
    *word = 43;
}

static void test_forked_child_has_the_same_arena(void **state) {
    (void)state;
    MPT_OK(mp__arena_open());
    _Atomic int *word = mp__arena_section(MP__SECTION_PROCESSES);
    *word = 42;
    assert_int_equal(mpt_join(mpt_fork(answer, (void *)word)), 0);
    assert_int_equal(*word, 43);
}

/* How a child that has no arena gets to know of the parent's. */
struct offer {
    void *address;
    uint64_t size;
};

static int receive_offer(int socket, struct offer *out) {
    int descriptor = -1;
    size_t count = 1;
    ssize_t size = mp__descriptor_receive(socket, out, sizeof *out, &descriptor, &count);
    MPT_CHECK(size == (ssize_t)sizeof *out && count == 1);
    return descriptor;
}

static void attach_and_answer(void *arg) {
    struct offer offer;
    int descriptor = receive_offer(*(int *)arg, &offer);
    MPT_OK(mp__arena_attach(descriptor, offer.address, offer.size));
    MPT_CHECK(mp__arena == offer.address && mp__arena_descriptor() == descriptor);
    MPT_CODE(mp__arena_attach(descriptor, offer.address, offer.size), MP_ESTATE);
    answer(mp__arena_section(MP__SECTION_PROCESSES));
}

static void fail_to_attach(void *arg) {
    struct offer offer;
    int descriptor = receive_offer(*(int *)arg, &offer);
    char *there = (char *)offer.address + 4096;
    void *got = mmap(there, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MPT_CHECK(got == there);
    MPT_CODE(mp__arena_attach(descriptor, offer.address, offer.size), -EEXIST);
    MPT_CHECK(strstr(mp_error_detail(), "is taken in the child") && !mp__arena);
    munmap(there, 4096);
    MPT_CODE(mp__arena_attach(descriptor, offer.address, offer.size / 2), MP_EPROTO);
    MPT_OK(mp__arena_attach(descriptor, offer.address, offer.size));
}

/* The child is forked before there is an arena, so that it has none; then it is told. */
static void offer_to(void (*child)(void *arg)) {
    int pair[2];
    MPT_OK(mp__descriptor_socketpair(pair, SOCK_SEQPACKET));
    pid_t pid = mpt_fork(child, &pair[1]);
    MPT_OK(mp__arena_open());
    *(_Atomic int *)mp__arena_section(MP__SECTION_PROCESSES) = 42;
    struct offer offer = {mp__arena, mp__arena->size};
    int descriptor = mp__arena_descriptor();
    ssize_t sent = mp__descriptor_send(pair[0], &offer, sizeof offer, &descriptor, 1);
    assert_int_equal(sent, sizeof offer);
    assert_int_equal(mpt_join(pid), 0);
    close(pair[0]);
    close(pair[1]);
}

static void test_attached_child_has_the_same_arena(void **state) {
    (void)state;
    offer_to(attach_and_answer);
    assert_int_equal(*(_Atomic int *)mp__arena_section(MP__SECTION_PROCESSES), 43);
}

static void test_attach_fails_when_the_address_is_taken(void **state) {
    (void)state;
    offer_to(fail_to_attach);
}

static void test_attach_fails_when_it_is_no_arena(void **state) {
    (void)state;
    uint64_t limit;
    void *address = mp__memory_candidate(0, &limit);
    int descriptor = mp__memory_create(16 * MIB);
    assert_true(descriptor >= 0);
    MPT_CODE(mp__arena_attach(descriptor, address, 16 * MIB), MP_EPROTO);
    assert_null(mp__arena);
    MPT_CODE(mp__arena_attach(-1, address, 16 * MIB), -EBADF);
    close(descriptor);
}

MPT_MAIN(MPT_CASE(test_open_gives_one_arena_when_threads_race),
         MPT_CASE(test_sections_are_apart_and_zero), MPT_CASE(test_contains_knows_the_bounds),
         MPT_CASE(test_environment_sets_the_size),
         MPT_CASE(test_open_fails_when_the_environment_is_nonsense),
         MPT_CASE(test_arena_is_smaller_when_address_space_is_refused),
         MPT_CASE(test_arena_is_smaller_when_file_size_is_limited),
         MPT_CASE(test_open_fails_when_there_is_no_descriptor),
         MPT_CASE(test_forked_child_has_the_same_arena),
         MPT_CASE(test_attached_child_has_the_same_arena),
         MPT_CASE(test_attach_fails_when_the_address_is_taken),
         MPT_CASE(test_attach_fails_when_it_is_no_arena))
