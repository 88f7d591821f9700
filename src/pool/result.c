/* mp_async_result: asking what became of a job, or of a ticket in a tray.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <string.h>

#include "base/fail.h"

/* NULL: it is a job. */
static struct ticket_shared *ticket_of(const mp_async_result *result) {
    if (!mp__kind_is(result, MP__KIND_TICKET))
        return NULL;
    return (struct ticket_shared *)(uintptr_t)(const void *)result;
}

static struct job_shared *job_of(const mp_async_result *result) {
    return (struct job_shared *)(uintptr_t)(const void *)result;
}

static int check_result(const mp_async_result *result, const char *function) {
    const struct ticket_shared *ticket = ticket_of(result);
    int code = 0;
    if (!ticket)
        code = mp__kind_check(result, MP__KIND_ASYNC_RESULT, function, "result");
    if (code == 0 && !mp__pool_is_ours(ticket ? ticket->tray->owner : job_of(result)->owner))
        code = mp__fail(MP_EFOREIGN, "%s: the result belongs to another process's pool", function);
    return code;
}

static bool has_ended(const mp_async_result *result) {
    const struct ticket_shared *ticket = ticket_of(result);
    return ticket ? mp__ticket_has_ended(ticket) : !mp__job_is_pending(job_of(result));
}

/* Of an ended one. */
static int code_of(const mp_async_result *result) {
    const struct ticket_shared *ticket = ticket_of(result);
    return ticket ? mp__ticket_code(ticket) : mp__job_code(job_of(result));
}

static const char *detail_of(const mp_async_result *result) {
    const struct ticket_shared *ticket = ticket_of(result);
    return ticket ? mp__ticket_detail(ticket) : mp__job_detail(job_of(result));
}

static int wait_for_end(const mp_async_result *result, mp__time deadline) {
    struct ticket_shared *ticket = ticket_of(result);
    if (ticket)
        return mp__ticket_wait(ticket, deadline);
    int code = mp__job_wait(job_of(result), deadline);
    if (code == 0)
        mp__job_settle(job_of(result));
    return code;
}

/* NULL: a map has none. */
static const struct task_shared *task_of(const mp_async_result *result) {
    const struct ticket_shared *ticket = ticket_of(result);
    if (ticket)
        return &ticket->task;
    return job_of(result)->shape == MP__JOB_TASKS ? job_of(result)->tasks : NULL;
}

static int take_reply(const struct task_shared *task, void *buffer, size_t capacity, size_t *size) {
    size_t got = task ? task->reply_size : 0;
    if (size)
        *size = got;
    if (!buffer && capacity == 0 && !size)
        return 0;
    if (got > capacity)
        return mp__fail(MP_ETOOSHORT, "the answer has %zu bytes, the buffer room for %zu", got,
                        capacity);
    if (got > 0)
        memcpy(buffer, mp__task_answer(task), got);
    return 0;
}

int mp_async_result_get(mp_async_result *result, void *buffer, size_t capacity, size_t *size,
                        double timeout) {
    mp__time deadline;
    int code = check_result(result, "mp_async_result_get");
    if (code == 0 && !buffer && capacity > 0)
        code = mp__fail(MP_EINVAL, "mp_async_result_get: the buffer is NULL, but not its capacity");
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    if (wait_for_end(result, deadline) < 0)
        return mp__fail(MP_ETIMEDOUT, "mp_async_result_get: not done within %g seconds", timeout);
    code = code_of(result);
    if (code < 0)
        return mp__fail(code, "%s", detail_of(result));
    return take_reply(task_of(result), buffer, capacity, size);
}

int mp_async_result_wait(mp_async_result *result, double timeout) {
    mp__time deadline;
    int code = check_result(result, "mp_async_result_wait");
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    if (wait_for_end(result, deadline) < 0)
        return mp__fail(MP_ETIMEDOUT, "mp_async_result_wait: not done within %g seconds", timeout);
    return 0;
}

bool mp_async_result_ready(const mp_async_result *result) {
    if (check_result(result, "mp_async_result_ready") < 0 || !has_ended(result))
        return false;
    if (!ticket_of(result))
        mp__job_settle(job_of(result));
    return true;
}

int mp_async_result_successful(const mp_async_result *result) {
    int code = check_result(result, "mp_async_result_successful");
    if (code < 0)
        return code;
    if (!mp_async_result_ready(result))
        return mp__fail(MP_EINVAL, "mp_async_result_successful: it is not ready yet");
    return code_of(result) == 0;
}

const char *mp_async_result_detail(const mp_async_result *result) {
    return mp_async_result_ready(result) ? detail_of(result) : "";
}

int mp_async_result_cancel(mp_async_result *result) {
    int code = check_result(result, "mp_async_result_cancel");
    if (code < 0)
        return code;
    struct ticket_shared *ticket = ticket_of(result);
    struct job_shared *job = ticket ? ticket->tray : job_of(result);
    if (job->pool && mp__seat_is_mine(job->pool->local))
        return mp__fail(MP_ESTATE,
                        "mp_async_result_cancel: called in a task of the pool's threads");
    code = ticket ? mp__ticket_cancel(ticket) : mp__job_cancel(job);
    if (code == MP_ESTATE)
        return mp__fail(MP_ESTATE, "mp_async_result_cancel: it has ended already");
    return code;
}

void mp_async_result_free(mp_async_result *result) {
    if (!result || check_result(result, "mp_async_result_free") < 0)
        return;
    struct ticket_shared *ticket = ticket_of(result);
    struct job_shared *job = job_of(result);
    if (ticket) {
        mp__ticket_free(ticket);
        return;
    }
    mp__job_forget_arrays(job);
    if (job->pool)
        mp__job_unrefer(job);
    else
        mp__job_erase(job);
}
