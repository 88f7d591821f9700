/* Nameless memory at one address.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/descriptor.h"
#include "os/memory.h"

#define MIB ((size_t)1 << 20)

struct piece {
    int descriptor; /* of the memory */
    char *address;  /* where it is mapped */
    uint64_t size;  /* bytes */
};

static struct piece map_piece(unsigned attempt, uint64_t most) {
    struct piece piece;
    piece.address = mp__memory_candidate(attempt, &piece.size);
    piece.size = piece.size < most ? piece.size : most;
    piece.descriptor = mp__memory_create(piece.size);
    MPT_CHECK(piece.descriptor >= 0);
    MPT_OK(mp__memory_map(piece.descriptor, piece.address, piece.size));
    MPT_OK(mp__memory_commit(piece.descriptor, 0, 2 * MIB));
    return piece;
}

static void unmap_piece(struct piece piece) {
    mp__memory_unmap(piece.address, piece.size);
    mp__descriptor_close(piece.descriptor);
}

static void test_whole_candidate_is_mapped_and_both_ends_hold_bytes(void **state) {
    (void)state;
    struct piece piece = map_piece(0, UINT64_MAX);
    MPT_OK(mp__memory_commit(piece.descriptor, piece.size - 1, 1));
    piece.address[0] = 1;
    piece.address[piece.size - 1] = 2;
    assert_int_equal(piece.address[0] + piece.address[piece.size - 1], 3);
    assert_true(fcntl(piece.descriptor, F_GETFD) & FD_CLOEXEC);
    unmap_piece(piece);
}

static void map_again_and_write(void *arg) {
    struct piece *piece = arg;
    mp__memory_unmap(piece->address, piece->size);
    MPT_OK(mp__memory_map(piece->descriptor, piece->address, piece->size));
    MPT_CHECK(strcmp(piece->address, "from the parent") == 0);
    strcpy(piece->address, "from the child");
}

static void test_two_processes_see_one_memory(void **state) {
    (void)state;
    struct piece piece = map_piece(0, 64 * MIB);
    strcpy(piece.address, "from the parent");
    assert_int_equal(mpt_join(mpt_fork(map_again_and_write, &piece)), 0);
    assert_string_equal(piece.address, "from the child");
    unmap_piece(piece);
}

static void expect_what_the_parent_wrote(void *arg) {
    struct piece *piece = arg;
    mp__memory_expect_write(piece->address + 16, MIB - 16);
    for (size_t i = 0; i < MIB; i++)
        MPT_CHECK(piece->address[i] == 7);
    memset(piece->address + 16, 8, MIB - 16);
}

static void test_memory_expected_to_be_written_keeps_its_bytes_until_then(void **state) {
    (void)state;
    struct piece piece = map_piece(0, 64 * MIB);
    memset(piece.address, 7, MIB);
    assert_int_equal(mpt_join(mpt_fork(expect_what_the_parent_wrote, &piece)), 0);
    assert_int_equal(piece.address[15], 7);
    assert_int_equal(piece.address[16], 8);
    assert_int_equal(piece.address[MIB - 1], 8);
    assert_int_equal(piece.address[MIB], 0);
    unmap_piece(piece);
}

static void test_populated_memory_keeps_its_bytes(void **state) {
    (void)state;
    struct piece piece = map_piece(0, 64 * MIB);
    piece.address[MIB / 2] = 9;
    mp__memory_populate(piece.address + 100, MIB - 100);
    assert_int_equal(piece.address[MIB / 2], 9);
    assert_int_equal(piece.address[0] + piece.address[100] + piece.address[MIB - 1], 0);
    unmap_piece(piece);
}

static void test_map_fails_where_something_is(void **state) {
    (void)state;
    struct piece piece = map_piece(0, 64 * MIB);
    piece.address[0] = 5;
    MPT_CODE(mp__memory_map(piece.descriptor, piece.address + MIB, MIB), -EEXIST);
    MPT_CODE(mp__memory_map(piece.descriptor, piece.address, piece.size), -EEXIST);
    assert_int_equal(piece.address[0], 5);
    unmap_piece(piece);
}

static void test_map_fails_without_address_space(void **state) {
    (void)state;
    uint64_t size;
    void *address = mp__memory_candidate(0, &size);
    int descriptor = mp__memory_create(size);
    struct rlimit before;
    getrlimit(RLIMIT_AS, &before);
    setrlimit(RLIMIT_AS, &(struct rlimit){64 * MIB, before.rlim_max});
    int code = mp__memory_map(descriptor, address, size);
    setrlimit(RLIMIT_AS, &before);
    MPT_CODE(code, -ENOMEM);
    mp__descriptor_close(descriptor);
}

static void test_released_pages_read_as_zeros(void **state) {
    (void)state;
    struct piece piece = map_piece(1, 64 * MIB);
    memset(piece.address, 1, 2 * MIB);
    mp__memory_release(piece.address + MIB / 2, MIB);
    assert_int_equal(piece.address[MIB / 2 - 1], 1);
    assert_int_equal(piece.address[MIB / 2], 0);
    assert_int_equal(piece.address[3 * MIB / 2 - 1], 0);
    assert_int_equal(piece.address[3 * MIB / 2], 1);
    unmap_piece(piece);
}

static void test_released_pages_go_back_to_the_system(void **state) {
    (void)state;
#ifdef MP__PORTABLE
    skip();
#endif
    struct piece piece = map_piece(0, 64 * MIB);
    struct stat before, after;
    memset(piece.address, 1, 2 * MIB);
    assert_int_equal(fstat(piece.descriptor, &before), 0);
    mp__memory_release(piece.address, MIB);
    assert_int_equal(fstat(piece.descriptor, &after), 0);
    assert_int_equal(before.st_blocks - after.st_blocks, MIB / 512);
    unmap_piece(piece);
}

static void test_create_fails_beyond_the_limit_of_files(void **state) {
    (void)state;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){MIB, MIB}), 0);
    MPT_CODE(mp__memory_create(2 * MIB), -EFBIG); /* and no SIGXFSZ, which would end us here */
    int descriptor = mp__memory_create(MIB);
    assert_true(descriptor >= 0);
    mp__descriptor_close(descriptor);
}

static void test_create_fails_without_descriptors(void **state) {
    (void)state;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){0, 20000}), 0);
    MPT_CODE(mp__memory_create(MIB), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){20000, 20000}), 0);
}

static void test_candidates_come_to_an_end_and_do_not_overlap(void **state) {
    (void)state;
    uint64_t size, last_end = 0;
    unsigned count = 0;
    for (char *address; (address = mp__memory_candidate(count, &size)); count++) {
        if ((uintptr_t)address < last_end)
            last_end = 0; /* the next range */
        assert_true((uintptr_t)address >= last_end && size >= 64 * MIB);
        assert_true(((uintptr_t)address + size) >> 56 == 0);
        last_end = (uintptr_t)address + size;
    }
    assert_in_range(count, 4, 1000);
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_whole_candidate_is_mapped_and_both_ends_hold_bytes),
         MPT_CASE(test_two_processes_see_one_memory),
         MPT_CASE(test_memory_expected_to_be_written_keeps_its_bytes_until_then),
         MPT_CASE(test_populated_memory_keeps_its_bytes),
         MPT_CASE(test_map_fails_where_something_is),
         MPT_CASE(test_map_fails_without_address_space),
         MPT_CASE(test_released_pages_read_as_zeros),
         MPT_CASE(test_released_pages_go_back_to_the_system),
         MPT_CASE(test_create_fails_beyond_the_limit_of_files),
         MPT_CASE(test_create_fails_without_descriptors),
         MPT_CASE(test_candidates_come_to_an_end_and_do_not_overlap))
