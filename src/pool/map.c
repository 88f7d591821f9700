/* mp_pool_map, mp_pool_starmap and mp_pool_apply, waiting and not.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <math.h>

#include "base/fail.h"
#include "shm/arena.h"

static bool is_product_too_large(size_t count, size_t size) {
    size_t product;
    return __builtin_mul_overflow(count, size, &product) || product > SIZE_MAX / 2;
}

static const char *find_fault_of_items(size_t count, const void *items, size_t size) {
    if (count > 0 && !items)
        return "the items are NULL";
    if (count > 0 && size == 0)
        return "the size of an item is 0";
    return is_product_too_large(count, size) ? "the items are larger than memory" : NULL;
}

static const char *find_fault_of_columns(const struct mp__submission *order) {
    const char *fault = NULL;
    if (!order->columns || order->column_count == 0)
        return "there are no columns";
    if (order->column_count > MP__POOL_COLUMNS_MAX)
        return "there are more than 64 columns";
    for (size_t i = 0; i < order->column_count && !fault; i++)
        fault =
            find_fault_of_items(order->count, order->columns[i].items, order->columns[i].item_size);
    return fault;
}

static const char *find_fault_of_results(const struct mp__submission *order) {
    if (!order->results && order->result_size > 0)
        return "the results are NULL, but not their size (no results: NULL and 0)";
    if (order->results && order->result_size == 0)
        return "the size of a result is 0 (no results: NULL and 0)";
    if (is_product_too_large(order->count, order->result_size))
        return "the results are larger than memory";
    return NULL;
}

static const char *find_fault_of_arrays(const struct mp__submission *order) {
    if (order->count >= MP__POOL_ITEMS_MAX)
        return "there are more than 2^38 items";
    const char *fault = order->shape == MP__JOB_STARMAP
                            ? find_fault_of_columns(order)
                            : find_fault_of_items(order->count, order->items, order->item_size);
    return fault ? fault : find_fault_of_results(order);
}

/* Results that nobody asks for are copied out before the callback, or never. */
static bool is_lost(const struct mp__submission *order, const void *array, size_t size) {
    bool is_asked_for = order->is_wanted || (order->map && order->map->callback);
    return !is_asked_for && array && size > 0 && !mp__arena_contains(array, size);
}

static const char *find_fault(const struct mp__submission *order) {
    const char *fault = find_fault_of_arrays(order);
    if (!order->function)
        return "the function is NULL";
    if (fault)
        return fault;
    if (is_lost(order, order->results, order->count * order->result_size) ||
        is_lost(order, order->map ? order->map->codes : NULL, order->count * sizeof(int)))
        return "without a result or a callback, results and codes must lie in the arena";
    return NULL;
}

static int submit_map(struct job_shared **out, mp_pool *pool, const struct mp__submission *order) {
    int code = mp__pool_check(pool, order->name);
    if (code < 0)
        return code;
    const char *fault = find_fault(order);
    if (fault)
        return mp__fail(MP_EINVAL, "%s: %s", order->name, fault);
    return mp__job_submit(out, pool, order);
}

static mp_async_result *result_of(struct job_shared *job) {
    return (mp_async_result *)(void *)job;
}

static int map_and_wait(mp_pool *pool, const struct mp__submission *order) {
    struct job_shared *job;
    int code = submit_map(&job, pool, order);
    if (code < 0)
        return code;
    code = mp_async_result_get(result_of(job), NULL, 0, NULL, MP_FOREVER);
    mp_async_result_free(result_of(job));
    return code;
}

static int map_async(mp_async_result **out, mp_pool *pool, const struct mp__submission *order) {
    struct job_shared *job;
    int code = submit_map(&job, pool, order);
    if (code == 0 && out)
        *out = result_of(job);
    return code;
}

int mp_pool_map(mp_pool *pool, mp_map_fn fn, const void *items, size_t n, size_t item_size,
                void *results, size_t result_size, const mp_map_options *options) {
    struct mp__submission order = {
        "mp_pool_map",          (mp__any_fn)fn,     .shape = MP__JOB_MAP,
        .is_wanted = true,      .items = items,     .count = n,
        .item_size = item_size, .results = results, .result_size = result_size,
        .map = options};
    return map_and_wait(pool, &order);
}

int mp_pool_map_async(mp_async_result **out, mp_pool *pool, mp_map_fn fn, const void *items,
                      size_t n, size_t item_size, void *results, size_t result_size,
                      const mp_map_options *options) {
    struct mp__submission order = {"mp_pool_map_async",
                                   (mp__any_fn)fn,
                                   .shape = MP__JOB_MAP,
                                   .is_wanted = out != NULL,
                                   .items = items,
                                   .count = n,
                                   .item_size = item_size,
                                   .results = results,
                                   .result_size = result_size,
                                   .map = options};
    return map_async(out, pool, &order);
}

int mp_pool_starmap(mp_pool *pool, mp_starmap_fn fn, const mp_column *columns, size_t n_columns,
                    size_t n, void *results, size_t result_size, const mp_map_options *options) {
    struct mp__submission order = {
        "mp_pool_starmap", (mp__any_fn)fn,     .shape = MP__JOB_STARMAP,
        .is_wanted = true, .columns = columns, .column_count = n_columns,
        .count = n,        .results = results, .result_size = result_size,
        .map = options};
    return map_and_wait(pool, &order);
}

int mp_pool_starmap_async(mp_async_result **out, mp_pool *pool, mp_starmap_fn fn,
                          const mp_column *columns, size_t n_columns, size_t n, void *results,
                          size_t result_size, const mp_map_options *options) {
    struct mp__submission order = {"mp_pool_starmap_async",
                                   (mp__any_fn)fn,
                                   .shape = MP__JOB_STARMAP,
                                   .is_wanted = out != NULL,
                                   .columns = columns,
                                   .column_count = n_columns,
                                   .count = n,
                                   .results = results,
                                   .result_size = result_size,
                                   .map = options};
    return map_async(out, pool, &order);
}

static int check_apply(mp_pool *pool, const struct mp__submission *order) {
    int code = mp__pool_check(pool, order->name);
    if (code < 0)
        return code;
    if (!order->function)
        return mp__fail(MP_EINVAL, "%s: the function is NULL", order->name);
    if (!order->items && order->item_size > 0)
        return mp__fail(MP_EINVAL, "%s: the argument is NULL, but not its size", order->name);
    if (order->apply && isnan(order->apply->timeout))
        return mp__fail(MP_EINVAL, "%s: the timeout is not a number", order->name);
    return 0;
}

/* Nobody looks at the clock for it, or is called back. */
static bool is_plain(mp_pool *pool, const mp_apply_options *options) {
    if (mp__pool_of(pool)->local->time_limit > 0)
        return false;
    return !options || (!options->callback && !options->error_callback && !(options->timeout > 0));
}

static int submit_apply(mp_async_result **out, mp_pool *pool, const struct mp__submission *order) {
    struct ticket_shared *ticket;
    struct job_shared *job;
    int code = check_apply(pool, order);
    if (code < 0)
        return code;
    bool is_ticket = is_plain(pool, order->apply);
    code = is_ticket ? mp__tray_submit(&ticket, pool, order) : mp__job_submit(&job, pool, order);
    if (code == 0 && out)
        *out = is_ticket ? (mp_async_result *)(void *)ticket : result_of(job);
    return code;
}

int mp_pool_apply(mp_pool *pool, mp_apply_fn fn, const void *arg, size_t arg_size, void *buffer,
                  size_t capacity, size_t *size) {
    struct mp__submission order = {"mp_pool_apply",      (mp__any_fn)fn, .shape = MP__JOB_TASKS,
                                   .is_wanted = true,    .items = arg,   .count = 1,
                                   .item_size = arg_size};
    if (!buffer && capacity > 0)
        return mp__fail(MP_EINVAL, "mp_pool_apply: the buffer is NULL, but not its capacity");
    mp_async_result *result = NULL;
    int code = submit_apply(&result, pool, &order);
    if (code < 0)
        return code;
    code = mp_async_result_get(result, buffer, capacity, size, MP_FOREVER);
    mp_async_result_free(result);
    return code;
}

int mp_pool_apply_async(mp_async_result **out, mp_pool *pool, mp_apply_fn fn, const void *arg,
                        size_t arg_size, const mp_apply_options *options) {
    struct mp__submission order = {
        "mp_pool_apply_async", (mp__any_fn)fn, .shape = MP__JOB_TASKS, .is_wanted = out != NULL,
        .items = arg,          .count = 1,     .item_size = arg_size,  .apply = options};
    return submit_apply(out, pool, &order);
}
