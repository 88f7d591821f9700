/* Pickling and unpickling: libmp against the C module of the python3 that is here.
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mp/collection.h"
#include "mp/pickle.h"

struct subject {
    const char *direction, *name; /* as peer_pickle_speed.py calls them */
    size_t size;                  /* items or bytes */
};

static mp_object *make_value(const struct subject *subject) {
    if (strcmp(subject->name, "bytes") == 0) {
        void *data = malloc(subject->size);
        BENCH_CHECK(data != NULL);
        memset(data, 'x', subject->size);
        mp_object *bytes = mp_bytes_new(data, subject->size);
        free(data);
        return bytes;
    }
    mp_object *list = mp_list_new();
    for (size_t i = 0; i < subject->size; i++)
        BENCH_CHECK(mp_list_append(list, mp_integer_new((int64_t)i * 7919 % 1000000007)) == 0);
    return list;
}

static size_t scaled(const struct subject *subject) {
    return bench_is_smoke() ? subject->size / 100 : subject->size;
}

static double dump_once(const mp_object *value) {
    void *data;
    size_t size;
    int64_t start = bench_now();
    BENCH_CHECK(mp_object_dumps(value, MP_PICKLE_DEFAULT, &data, &size) == 0);
    int64_t end = bench_now();
    free(data);
    return (double)(end - start) / 1e6;
}

static double load_once(const mp_object *value) {
    void *data;
    size_t size;
    mp_object *again;
    BENCH_CHECK(mp_object_dumps(value, MP_PICKLE_DEFAULT, &data, &size) == 0);
    int64_t start = bench_now();
    BENCH_CHECK(mp_object_loads(&again, data, size) == 0);
    int64_t end = bench_now();
    BENCH_CHECK(mp_object_equal(value, again) == 1);
    mp_object_free(again);
    free(data);
    return (double)(end - start) / 1e6;
}

static double measure_ours(const void *argument) {
    struct subject subject = *(const struct subject *)argument;
    subject.size = scaled(argument);
    mp_object *value = make_value(&subject);
    BENCH_CHECK(value != NULL);
    double best = 1e9;
    for (unsigned i = 0; i < 5; i++) {
        double one = subject.direction[0] == 'd' ? dump_once(value) : load_once(value);
        best = one < best ? one : best;
    }
    mp_object_free(value);
    return best;
}

static double measure_python(const void *argument) {
    const struct subject *subject = argument;
    char command[512];
    double best;
    snprintf(command, sizeof command, "python3 '" BENCH_DIR "/peer_pickle_speed.py' %s %s %zu",
             subject->direction, subject->name, scaled(subject));
    FILE *stream = popen(command, "r");
    BENCH_CHECK(stream && fscanf(stream, "%lf", &best) == 1);
    pclose(stream);
    return best;
}

static void compare(const char *metric, const struct subject *subject, bool has_python) {
    const struct bench_contender contenders[] = {{"libmp", measure_ours, subject},
                                                 {"CPython", measure_python, subject}};
    bench_run(metric, "ms", contenders, has_python ? 2 : 1, 1);
}

int main(int argc, char **argv) {
    bench_options(argc, argv);
    bool has_python = system("python3 -c 'import _pickle' >/dev/null 2>&1") == 0;
    compare("pickle dumps, 10^6 ints", &(struct subject){"dumps", "ints", 1000000}, has_python);
    compare("pickle loads, 10^6 ints", &(struct subject){"loads", "ints", 1000000}, has_python);
    compare("pickle dumps, 100 MB bytes", &(struct subject){"dumps", "bytes", 100000000},
            has_python);
    compare("pickle loads, 100 MB bytes", &(struct subject){"loads", "bytes", 100000000},
            has_python);
    return 0;
}
