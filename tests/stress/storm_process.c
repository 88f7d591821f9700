/* The storm's operations that start processes: helpers and pools.
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "os/child.h"
#include "storm.h"

enum { POOL_ITEMS = 60, HELPER_OPERATIONS = 300, THREAD_OPERATIONS = 3000 };

/* Its seat's last occupant may be a daemon whose parent was killed just now. */
static void await_empty_seat(struct storm *storm, unsigned seat) {
    int pid = atomic_load(&storm->seats[seat].pid);
    while (pid != 0 && mp__child_exists(pid, mp__boot_time()))
        usleep(200);
    if (pid != 0)
        storm_bury(storm, seat);
}

int storm_worker(void *argument, size_t size) {
    struct storm_order order;
    struct storm_self *self = calloc(1, sizeof *self);
    STORM_CHECK(self && size == sizeof order);
    memcpy(&order, argument, sizeof order);
    if (!storm_take_seat(self, order.storm, order.seat))
        return 7;
    self->is_helper = order.is_helper;
    unsigned left = order.is_helper                    ? HELPER_OPERATIONS
                    : order.storm->method == MP_THREAD ? THREAD_OPERATIONS
                                                       : UINT32_MAX;
    while (!atomic_load(&order.storm->stop) && left-- > 0)
        storm_work(self);
    storm_leave_seat(self);
    free(self->buffer);
    free(self);
    return 7;
}

static void start_helper(struct storm_self *self, mp_process **out) {
    mp_connection *both[] = {self->storm->ends[0], self->storm->ends[1], NULL};
    struct storm_order order = {self->storm, self->number + self->storm->workers, true};
    mp_process_options options = {.target = storm_worker,
                                  .arg = &order,
                                  .arg_size = sizeof order,
                                  .connections = both,
                                  .daemon = storm_random(self, 2) ? MP_DAEMON : MP_NOT_DAEMON};
    await_empty_seat(self->storm, order.seat);
    STORM_CHECK(mp_process_new(out, mp_get_context(self->storm->method), &options) == 0);
    int code = mp_process_start(*out);
    STORM_CHECK(code == 0 || code == MP_EWORKER); /* its fork server may be killed meanwhile */
    if (code < 0) {
        mp_process_close(*out);
        *out = NULL;
    }
}

void storm_work_process(struct storm_self *self) {
    mp_process *helper;
    int code;
    storm_begin(self, OP_PROCESS);
    start_helper(self, &helper);
    storm_end(self);
    if (!helper)
        return;
    self->has_helper = true;
    for (uint64_t i = storm_random(self, 100); i > 0 && !atomic_load(&self->storm->stop); i--)
        storm_work(self);
    self->has_helper = false;
    bool is_killed = storm_random(self, 3) == 0;
    storm_begin(self, OP_PROCESS);
    if (is_killed)
        STORM_CHECK(mp_process_kill(helper) == 0);
    STORM_CHECK(mp_process_join(helper, MP_FOREVER) == 0);
    STORM_CHECK(mp_process_exitcode(helper, &code) == 0);
    STORM_CHECK(code == 7 || code == -SIGKILL || code == 255);
    STORM_CHECK(mp_process_close(helper) == 0);
    atomic_fetch_add(&self->storm->helpers_ended, 1);
    storm_end(self);
}

/* Every 17th item kills its worker, unless that is a thread; the storm kills some more. */
static int cube(const void *item, void *result, void *state) {
    uint64_t number = *(const uint64_t *)item;
    (void)state;
    if (number % 17 == 16)
        kill(getpid(), SIGKILL);
    *(uint64_t *)result = number * number * number;
    return 0;
}

static void check_items(struct storm_self *self, uint64_t *items, uint64_t *results, int *codes) {
    for (unsigned i = 0; i < POOL_ITEMS; i++) {
        STORM_CHECK(codes[i] == MP_EWORKER || (codes[i] == 0 && items[i] % 17 != 16));
        STORM_CHECK(codes[i] < 0 || results[i] == items[i] * items[i] * items[i]);
        atomic_fetch_add(codes[i] ? &self->storm->pool_losses : &self->storm->pool_items, 1);
    }
}

void storm_work_pool(struct storm_self *self) {
    mp_pool *pool;
    uint64_t items[POOL_ITEMS], results[POOL_ITEMS];
    int codes[POOL_ITEMS];
    for (unsigned i = 0; i < POOL_ITEMS; i++) {
        items[i] = storm_random(self, 1000);
        items[i] -= self->storm->method == MP_THREAD && items[i] % 17 == 16;
    }
    storm_begin(self, OP_POOL);
    mp_pool_options options = {.processes = 2};
    int code = mp_pool_new(&pool, mp_get_context(self->storm->method), &options);
    STORM_CHECK(code == 0 || code == MP_EWORKER); /* a worker was killed before it was one */
    if (code < 0) {
        storm_end(self);
        return;
    }
    mp_map_options how = {.codes = codes};
    code = mp_pool_map(pool, cube, items, POOL_ITEMS, sizeof items[0], results, sizeof results[0],
                       &how);
    STORM_CHECK(code == 0 || code == MP_EWORKER);
    check_items(self, items, results, codes);
    if (storm_random(self, 2)) {
        STORM_CHECK(mp_pool_close(pool) == 0);
        STORM_CHECK(mp_pool_join(pool, MP_FOREVER) == 0);
    }
    mp_pool_free(pool);
    atomic_fetch_add(&self->storm->pools_done, 1);
    storm_end(self);
}
