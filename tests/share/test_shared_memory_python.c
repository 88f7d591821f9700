/* Named memory and lists, made by each Python and used here, and the other way round.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/collection.h"
#include "mp/object.h"
#include "mp/shared_memory.h"
#include "python.h"

/* A Python whose output and errors come on one pipe, and who waits for a line on another. */
static int line_end;

static FILE *start_peer(const char *python, const char *mode, const char *name) {
    int ends[2];
    MPT_CHECK(pipe(ends) == 0);
    line_end = ends[1];
    FILE *peer = mpt_python_start(python, "share/peer_shared_memory.py", "%s %s 2>&1 <&%d %d>&-",
                                  mode, name, ends[0], ends[1]);
    close(ends[0]);
    return peer;
}

static void read_name(FILE *peer, char name[64]) {
    MPT_CHECK(fgets(name, 64, peer));
    name[strcspn(name, "\n")] = 0;
}

/* It prints nothing more, on standard error neither. */
static void end_peer(FILE *peer) {
    char more[500];
    MPT_CHECK(write(line_end, "\n", 1) == 1);
    while (fgets(more, sizeof more, peer)) {
        fputs(more, stderr);
        MPT_CHECK(!"silent");
    }
    MPT_CHECK(mpt_python_end(peer) == 0);
    close(line_end);
}

static mp_object *values(void) {
    return mp_object_build("[id?sy#nsL]", 1, -2.5, 1, "hi", "by", (size_t)2, "xxxxxxxxxxxxxxxxxxxx",
                           (long long)INT64_MIN);
}

static mp_object *changed(void) {
    return mp_object_build("[in?sidsL]", 2, 0, "ho", 7, 1.5, "yyyyyyyyyyyyyyyyyyyyyyyy",
                           (long long)INT64_MAX);
}

static void expect_items(const mp_shareable_list *list, mp_object *expected) {
    MPT_CHECK(mp_shareable_list_length(list) == mp_object_length(expected));
    for (size_t i = 0; i < mp_shareable_list_length(list); i++) {
        mp_object *item;
        MPT_OK(mp_shareable_list_get(list, (ptrdiff_t)i, &item));
        MPT_CHECK(mp_object_equal(item, mp_list_get(expected, (ptrdiff_t)i)) == 1);
        mp_object_free(item);
    }
    mp_object_free(expected);
}

static void check_its_memory(const char *python) {
    char name[64];
    mp_shared_memory *memory;
    FILE *peer = start_peer(python, "create", "");
    read_name(peer, name);
    MPT_OK(mp_shared_memory_open(&memory, name, 0, 0));
    MPT_CHECK(mp_shared_memory_size(memory) == 3000);
    MPT_CHECK(memcmp(mp_shared_memory_buf(memory), "hello", 6) == 0);
    memcpy(mp_shared_memory_buf(memory), "world!", 6);
    end_peer(peer);
    MPT_OK(mp_shared_memory_unlink(memory));
    mp_shared_memory_free(memory);
}

static void check_our_memory(const char *python) {
    mp_shared_memory *memory;
    MPT_OK(mp_shared_memory_open(&memory, NULL, 5000, MP_CREATE));
    memcpy(mp_shared_memory_buf(memory), "hello", 5);
    end_peer(start_peer(python, "attach", mp_shared_memory_name(memory)));
    MPT_CHECK(memcmp(mp_shared_memory_buf(memory), "world!", 7) == 0);
    mp_shared_memory_free(memory);
}

static void check_its_list(const char *python) {
    char name[64];
    mp_shareable_list *list;
    FILE *peer = start_peer(python, "create_list", "");
    read_name(peer, name);
    MPT_OK(mp_shareable_list_attach(&list, name));
    expect_items(list, values());
    mp_object *now = changed();
    for (size_t i = 0; i < mp_object_length(now); i++)
        MPT_OK(mp_shareable_list_set(list, (ptrdiff_t)i, mp_list_get(now, (ptrdiff_t)i)));
    mp_object_free(now);
    end_peer(peer);
    MPT_OK(mp_shareable_list_unlink(list));
    mp_shareable_list_free(list);
}

static void check_our_list(const char *python) {
    mp_shareable_list *list;
    mp_object *items = values();
    MPT_OK(mp_shareable_list_new(&list, NULL, items));
    mp_object_free(items);
    end_peer(start_peer(python, "attach_list", mp_shared_memory_name(mp_shareable_list_shm(list))));
    expect_items(list, changed());
    mp_shareable_list_free(list);
}

/* Python 3.8 has these lists in another layout. */
static void check_old_list(const char *python) {
    char name[64];
    mp_shareable_list *list;
    if (!strstr(python, "3.8"))
        return;
    FILE *peer = start_peer(python, "create_list", "");
    read_name(peer, name);
    MPT_CODE(mp_shareable_list_attach(&list, name), MP_EPROTO);
    close(line_end);
    mpt_python_end(peer);
    mp_shared_memory *memory;
    MPT_OK(mp_shared_memory_open(&memory, name, 0, 0));
    MPT_OK(mp_shared_memory_unlink(memory));
    mp_shared_memory_free(memory);
}

static void test_python_s_memory_is_attached(void **state) {
    (void)state;
    mpt_each_python(8, check_its_memory);
}

static void test_python_attaches_to_memory(void **state) {
    (void)state;
    mpt_each_python(8, check_our_memory);
}

static void test_python_s_list_is_attached(void **state) {
    (void)state;
    mpt_each_python(9, check_its_list);
}

static void test_python_attaches_to_a_list(void **state) {
    (void)state;
    mpt_each_python(9, check_our_list);
}

static void test_a_list_of_python_3_8_is_refused(void **state) {
    (void)state;
    mpt_each_python(8, check_old_list);
}

MPT_MAIN(MPT_CASE(test_python_s_memory_is_attached), MPT_CASE(test_python_attaches_to_memory),
         MPT_CASE(test_python_s_list_is_attached), MPT_CASE(test_python_attaches_to_a_list),
         MPT_CASE(test_a_list_of_python_3_8_is_refused))
