/* Which loaded object a function lies in.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "os/image.h"

static void some_function(void) {
}

static void test_own_function_lies_in_the_program(void **state) {
    (void)state;
    struct mp__image image, found;
    MPT_OK(mp__image_of((const void *)(uintptr_t)some_function, &image));
    assert_string_equal(image.path, "");
    assert_in_range(image.build_id_size, 1, MP__BUILD_ID_MAX);
    MPT_OK(mp__image_find("", &found));
    assert_memory_equal(&found, &image, sizeof image);
}

static void test_function_of_a_library_lies_in_its_file(void **state) {
    (void)state;
    struct mp__image image, found;
    void *function = dlsym(RTLD_DEFAULT, "cm_print_error"); /* cmocka's */
    if (!function)
        skip();
    MPT_OK(mp__image_of(function, &image));
    assert_int_equal(image.path[0], '/');
    MPT_OK(mp__image_find(image.path, &found));
    assert_memory_equal(&found, &image, sizeof image);
    assert_true((uintptr_t)function > image.base);
}

static void test_addresses_outside_are_refused(void **state) {
    (void)state;
    struct mp__image image = {.base = 7};
    char *block = calloc(100, 1);
    int local = 0;
    MPT_CODE(mp__image_of(block, &image), MP_EINVAL);
    MPT_CODE(mp__image_of(&local, &image), MP_EINVAL);
    MPT_CODE(mp__image_of(NULL, &image), MP_EINVAL);
    MPT_CODE(mp__image_of((const void *)getauxval(AT_SYSINFO_EHDR), &image), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "no loaded object"));
    assert_int_equal(image.base, 7);
    free(block);
}

static void test_library_is_found_once_loaded(void **state) {
    (void)state;
    struct mp__image image;
    const char *const names[] = {"/lib/x86_64-linux-gnu/libanl.so.1", "/lib64/libanl.so.1",
                                 "/lib/aarch64-linux-gnu/libanl.so.1"};
    const char *path = NULL;
    for (int i = 0; i < 3 && !path; i++)
        path = access(names[i], R_OK) == 0 ? names[i] : NULL;
    if (!path)
        skip();
    MPT_CODE(mp__image_find(path, &image), -ENOENT);
    MPT_OK(mp__image_load(path));
    MPT_OK(mp__image_find(path, &image));
    assert_true(image.base != 0);
}

static void test_loading_what_is_not_there_is_an_error(void **state) {
    (void)state;
    struct mp__image image;
    MPT_CODE(mp__image_load("/nowhere/libx.so"), MP_EINVAL);
    assert_non_null(strstr(mp_error_detail(), "/nowhere/libx.so"));
    MPT_CODE(mp__image_find("/nowhere/libx.so", &image), -ENOENT);
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_own_function_lies_in_the_program),
         MPT_CASE(test_function_of_a_library_lies_in_its_file),
         MPT_CASE(test_addresses_outside_are_refused),
         MPT_CASE(test_library_is_found_once_loaded),
         MPT_CASE(test_loading_what_is_not_there_is_an_error))
