/* Managers: calls of proxies and the making of them, by one client and by a crowd; libmp against
 * the python3 that is here, and a C client of its server.
 * SPDX-License-Identifier: MIT */
#include "bench.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/context.h"
#include "mp/proxy_types.h"

enum { PROCESSES = 4, THREADS = 50 }; /* of a crowd */

struct subject {
    const char *mode; /* as peer_manager_speed.py calls it */
    unsigned count;   /* of calls, by each */
};

static unsigned scaled(const struct subject *subject) {
    return bench_is_smoke() ? subject->count / 20 + 1 : subject->count;
}

static double rate(int64_t start, double count) {
    return count / ((double)(bench_now() - start) / 1e9);
}

static double call(mp_manager *manager, unsigned count) {
    mp_proxy *dict;
    BENCH_CHECK(mp_manager_dict(manager, &dict, NULL) == 0);
    BENCH_CHECK(mp_proxy_dict_set(dict, mp_integer_new(0), mp_integer_new(0)) == 0);
    int64_t start = bench_now();
    for (unsigned i = 0; i < count; i++)
        BENCH_CHECK(mp_proxy_dict_set(dict, mp_integer_new(0), mp_integer_new(i)) == 0);
    double result = rate(start, count);
    mp_proxy_free(dict);
    return result;
}

static double make(mp_manager *manager, unsigned count) {
    mp_proxy *list;
    BENCH_CHECK(mp_manager_list(manager, &list, NULL) == 0);
    int64_t start = bench_now();
    for (unsigned i = 0; i < count; i++) {
        mp_proxy *one;
        BENCH_CHECK(mp_manager_list(manager, &one, NULL) == 0);
        mp_proxy_free(one);
    }
    double result = rate(start, count);
    mp_proxy_free(list);
    return result;
}

struct crowd {
    mp_proxy *dict;
    unsigned count;
};

static void *call_often(void *arg) {
    const struct crowd *crowd = arg;
    for (unsigned i = 0; i < crowd->count; i++)
        BENCH_CHECK(mp_proxy_dict_set(crowd->dict, mp_integer_new(0), mp_integer_new(i)) == 0);
    return NULL;
}

static void be_many(void *arg) {
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++)
        BENCH_CHECK(pthread_create(&threads[i], NULL, call_often, arg) == 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static double crowd(mp_manager *manager, unsigned count) {
    struct crowd shared = {.count = count};
    pid_t pids[PROCESSES];
    BENCH_CHECK(mp_manager_dict(manager, &shared.dict, NULL) == 0);
    int64_t start = bench_now();
    for (unsigned i = 0; i < PROCESSES; i++)
        pids[i] = bench_fork(be_many, &shared);
    for (unsigned i = 0; i < PROCESSES; i++)
        bench_reap(pids[i]);
    double result = rate(start, (double)PROCESSES * THREADS * count);
    mp_proxy_free(shared.dict);
    return result;
}

static double measure_at(mp_manager *manager, const struct subject *subject) {
    unsigned count = scaled(subject);
    return subject->mode[0] == 'm'              ? make(manager, count)
           : strcmp(subject->mode, "call") == 0 ? call(manager, count)
                                                : crowd(manager, count);
}

static double measure_ours(const void *subject) {
    mp_manager *manager;
    BENCH_CHECK(mp_manager_new(&manager, NULL, NULL) == 0 && mp_manager_start(manager) == 0);
    double result = measure_at(manager, subject);
    mp_manager_free(manager);
    return result;
}

static double measure_ours_at_python(const void *subject) {
    char address[64], command[256];
    mp_manager *manager;
    if (!bench_has_python())
        return NAN;
    snprintf(address, sizeof address, "unix:/tmp/bench-manager-%d", (int)getpid());
    snprintf(command, sizeof command, "exec python3 '" BENCH_DIR "/peer_manager_speed.py' serve %s",
             address + 5);
    FILE *server = popen(command, "w");
    BENCH_CHECK(server != NULL);
    mp_manager_options options = {.address = address, .authkey = "bench", .authkey_size = 5};
    BENCH_CHECK(mp_manager_new(&manager, NULL, &options) == 0);
    for (unsigned i = 0; mp_manager_connect(manager) < 0; i++) {
        BENCH_CHECK(i < 2000);
        usleep(10000);
    }
    double result = measure_at(manager, subject);
    mp_manager_free(manager);
    pclose(server);
    unlink(address + 5);
    return result;
}

static double measure_python(const void *argument) {
    const struct subject *subject = argument;
    char command[256];
    double result;
    if (!bench_has_python())
        return NAN;
    snprintf(command, sizeof command, "python3 '" BENCH_DIR "/peer_manager_speed.py' %s %u",
             subject->mode, scaled(subject));
    FILE *stream = popen(command, "r");
    BENCH_CHECK(stream && fscanf(stream, "%lf", &result) == 1);
    pclose(stream);
    return result;
}

static void compare(const char *metric, const char *unit, const struct subject *subject) {
    const struct bench_contender contenders[] = {
        {"libmp", measure_ours, subject},
        {"libmp client of CPython", measure_ours_at_python, subject},
        {"CPython", measure_python, subject}};
    bench_run(metric, unit, contenders, BENCH_COUNT(contenders), 1);
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    bench_options(argc, argv);
    compare("manager, calls", "calls/s", &(struct subject){"call", 10000});
    compare("manager, new proxies", "proxies/s", &(struct subject){"make", 300});
    compare("manager, 200 clients", "calls/s", &(struct subject){"crowd", 50});
    return 0;
}
