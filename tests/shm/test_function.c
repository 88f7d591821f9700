/* Functions as object and offset: packed here, found there.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "os/image.h"
#include "shm/arena.h"
#include "shm/function.h"

static int called;

static void call_me(void) {
    called++;
}

static void call_me_too(void) {
    called += 2;
}

/* Where a child leaves what it has packed. */
static struct mp__function *shared_place(void) {
    MPT_OK(mp__arena_open());
    return mp__arena_section(MP__SECTION_PROCESSES);
}

static void test_function_is_found_where_it_was_packed(void **state) {
    (void)state;
    mp__any_fn functions[] = {call_me, call_me_too, (mp__any_fn)malloc, (mp__any_fn)mp__arena_open};
    struct mp__function packed;
    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
            mp__any_fn found = NULL;
            MPT_OK(mp__function_pack(functions[i], &packed));
            assert_true(packed.image > 0);
            MPT_OK(mp__function_find(&packed, &found));
            assert_true(found == functions[i]);
        }
}

static void test_no_function_is_packed_too(void **state) {
    (void)state;
    struct mp__function packed = {7, 7};
    mp__any_fn found = call_me;
    MPT_OK(mp__function_pack(NULL, &packed));
    assert_int_equal(packed.image, 0);
    MPT_OK(mp__function_find(&packed, &found));
    assert_true(found == NULL);
}

static void test_pack_fails_when_it_is_no_function(void **state) {
    (void)state;
    int local;
    struct mp__function packed = {7, 7};
    MPT_CODE(mp__function_pack((mp__any_fn)(uintptr_t)&local, &packed), MP_EINVAL);
    assert_int_equal(packed.image, 7);
}

static void test_find_fails_when_the_object_is_unknown(void **state) {
    (void)state;
    mp__any_fn found = call_me;
    struct mp__function packed = {200, 16};
    MPT_CODE(mp__function_find(&packed, &found), MP_EINVAL);
    MPT_OK(mp__arena_open());
    MPT_CODE(mp__function_find(&packed, &found), MP_EINVAL);
    packed.image = UINT32_MAX;
    MPT_CODE(mp__function_find(&packed, &found), MP_EINVAL);
    assert_true(found == call_me);
}

static void pack_own(void *arg) {
    MPT_OK(mp__function_pack(call_me_too, arg));
}

static void test_function_is_found_when_another_process_packed_it(void **state) {
    (void)state;
    struct mp__function *packed = shared_place();
    assert_int_equal(mpt_join(mpt_fork(pack_own, packed)), 0);
    mp__any_fn found;
    MPT_OK(mp__function_find(packed, &found));
    found();
    assert_int_equal(called, 2);
}

static void pack_of_library(void *arg) {
    void *library = dlopen("libresolv.so.2", RTLD_NOW);
    MPT_CHECK(library);
    mp__any_fn function = (mp__any_fn)(uintptr_t)dlsym(library, "ns_sprintrr");
    MPT_CHECK(function);
    MPT_OK(mp__function_pack(function, arg));
}

static void test_library_is_loaded_when_its_function_is_needed(void **state) {
    (void)state;
    struct mp__function *packed = shared_place();
    assert_int_equal(mpt_join(mpt_fork(pack_of_library, packed)), 0);
    mp__any_fn found;
    MPT_OK(mp__function_find(packed, &found));
    Dl_info info;
    assert_true(dladdr((void *)(uintptr_t)found, &info));
    assert_string_equal(info.dli_sname, "ns_sprintrr");
}

/* Make the arena's table speak of another build, or of another path. */
static void change_row(const void *from, size_t size) {
    char *start = mp__arena_section(MP__SECTION_FUNCTIONS);
    char *place = memmem(start, mp__arena->section_size[MP__SECTION_FUNCTIONS], from, size);
    assert_non_null(place);
    place[size - 1] ^= 1;
}

static void test_find_fails_when_it_is_another_build(void **state) {
    (void)state;
    struct mp__function *packed = shared_place();
    struct mp__image image;
    assert_int_equal(mpt_join(mpt_fork(pack_own, packed)), 0);
    MPT_OK(mp__image_of((void *)(uintptr_t)call_me, &image));
    change_row(image.build_id, image.build_id_size);
    mp__any_fn found = NULL;
    MPT_CODE(mp__function_find(packed, &found), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "is another build here"));
    assert_true(found == NULL);
}

static void test_find_fails_when_the_library_is_gone(void **state) {
    (void)state;
    struct mp__function *packed = shared_place();
    assert_int_equal(mpt_join(mpt_fork(pack_of_library, packed)), 0);
    change_row("libresolv", 9);
    mp__any_fn found = NULL;
    MPT_CODE(mp__function_find(packed, &found), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "libresolw"));
}

static void die_packing(void *arg) {
    mpt_die_at(arg, 1);
    struct mp__function packed;
    mp__function_pack(call_me, &packed);
}

static void test_others_pack_when_one_died_packing(void **state) {
    (void)state;
    struct mp__function *packed = shared_place();
    assert_int_equal(mpt_join(mpt_fork(die_packing, "function.row.claimed")), -SIGKILL);
    assert_int_equal(mpt_join(mpt_fork(die_packing, "function.row.filled")), -SIGKILL);
    MPT_OK(mp__function_pack(call_me, packed));
    assert_int_equal(packed->image, 3);
    mp__any_fn found;
    MPT_OK(mp__function_find(packed, &found));
    assert_true(found == call_me);
}

static void test_one_row_is_enough_when_many_processes_pack(void **state) {
    (void)state;
    struct mp__function *packed = shared_place();
    for (int i = 0; i < 20; i++)
        assert_int_equal(mpt_join(mpt_fork(pack_own, packed)), 0);
    assert_int_equal(packed->image, 1);
}

MPT_MAIN(MPT_CASE(test_function_is_found_where_it_was_packed),
         MPT_CASE(test_no_function_is_packed_too), MPT_CASE(test_pack_fails_when_it_is_no_function),
         MPT_CASE(test_find_fails_when_the_object_is_unknown),
         MPT_CASE(test_function_is_found_when_another_process_packed_it),
         MPT_CASE(test_library_is_loaded_when_its_function_is_needed),
         MPT_CASE(test_find_fails_when_it_is_another_build),
         MPT_CASE(test_find_fails_when_the_library_is_gone),
         MPT_CASE(test_others_pack_when_one_died_packing),
         MPT_CASE(test_one_row_is_enough_when_many_processes_pack))
