/* Pickles of thousands of random objects that this machine's python3 writes by every protocol:
 * read, printed and written as it does.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mp/pickle.h"
#include "os/sanitizer.h"
#include "python.h"

#define SKIPPED 77

struct part {
    uint8_t *data; /* from malloc */
    uint32_t size; /* bytes */
};

static struct part read_part(FILE *stream) {
    struct part part;
    uint8_t head[4];
    MPT_CHECK(fread(head, 1, 4, stream) == 4);
    part.size =
        head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
    part.data = malloc(part.size + 1);
    MPT_CHECK(part.data && fread(part.data, 1, part.size, stream) == part.size);
    return part;
}

static void check_repr(const mp_object *object, struct part expected) {
    char *text;
    size_t size;
    MPT_OK(mp_object_repr(object, &text, &size));
    if (expected.size > 0 && (size != expected.size || memcmp(text, expected.data, size) != 0)) {
        fprintf(stderr, "repr: %.*s\nours: %s\n", (int)expected.size, expected.data, text);
        MPT_CHECK(!"the same repr");
    }
    free(text);
}

static unsigned check_dumps(const mp_object *object, int protocol, struct part expected) {
    void *data;
    size_t size;
    mp_object *again;
    MPT_OK(mp_object_dumps(object, protocol, &data, &size));
    if (expected.size > 0)
        MPT_CHECK(size == expected.size && memcmp(data, expected.data, size) == 0);
    MPT_OK(mp_object_loads(&again, data, size));
    mp_object_free(again);
    free(data);
    return expected.size > 0;
}

/* How many pickles of ours were held against Python's. */
static unsigned check_record(struct part pickle, FILE *stream) {
    mp_object *object;
    unsigned compared = 0;
    MPT_OK(mp_object_loads(&object, pickle.data, pickle.size));
    struct part text = read_part(stream);
    check_repr(object, text);
    for (int protocol = 2; protocol <= 5; protocol++) {
        struct part expected = read_part(stream);
        compared += check_dumps(object, protocol, expected);
        free(expected.data);
    }
    mp_object *copy = mp_object_copy(object);
    MPT_CHECK(copy != NULL);
    mp_object_free(copy);
    mp_object_free(object);
    free(text.data);
    free(pickle.data);
    return compared;
}

/* One thread, for minutes: nothing that ThreadSanitizer could see. */
static void skip_under_tsan(void) {
#ifdef MP__UNDER_TSAN
    exit(SKIPPED);
#endif
}

static void check_random_objects(const char *seed, unsigned least) {
    skip_under_tsan();
    if (system("python3 -c 'import pickle' >/dev/null 2>&1") != 0) {
        fprintf(stderr, "there is no python3 to compare with\n");
        exit(SKIPPED);
    }
    setenv("PYTHONHASHSEED", seed, 1); /* the order of sets */
    FILE *stream = mpt_python_start("python3", "codec/peer_pickle.py", "%s 200", seed);
    unsigned compared = 0;
    for (struct part pickle = read_part(stream);; pickle = read_part(stream)) {
        if (pickle.size == 0) {
            free(pickle.data);
            break;
        }
        compared += check_record(pickle, stream);
    }
    MPT_CHECK(mpt_python_end(stream) == 0);
    MPT_CHECK(compared >= least);
}

static void test_random_objects_are_as_python_has_them(void **state) {
    (void)state;
    check_random_objects("1", 1000);
}

static void test_other_random_objects_are_as_python_has_them(void **state) {
    (void)state;
    check_random_objects("2", 1000);
}

static void test_more_random_objects_are_as_python_has_them(void **state) {
    (void)state;
    check_random_objects("3", 1000);
}

static void test_still_more_random_objects_are_as_python_has_them(void **state) {
    (void)state;
    check_random_objects("4", 1000);
}

MPT_MAIN(MPT_CASE(test_random_objects_are_as_python_has_them),
         MPT_CASE(test_other_random_objects_are_as_python_has_them),
         MPT_CASE(test_more_random_objects_are_as_python_has_them),
         MPT_CASE(test_still_more_random_objects_are_as_python_has_them))
