/* mp_async_result: asking what became of a job.
 * SPDX-License-Identifier: MIT */
#include "pool/local.h"

#include <string.h>

#include "base/fail.h"

int mp__result_check(const mp_async_result *result, const char *function) {
    int code = mp__kind_check(result, MP__KIND_ASYNC_RESULT, function, "result");
    if (code == 0 && !mp__pool_is_ours(mp__result_job(result)->owner))
        code = mp__fail(MP_EFOREIGN, "%s: the result belongs to another process's pool", function);
    return code;
}

static bool has_ended(const struct job_shared *job) {
    return atomic_load(&job->state) != MP__JOB_PENDING;
}

static int wait_for_end(struct job_shared *job, mp__time deadline) {
    while (!has_ended(job)) {
        uint32_t ticket = mp__gate_prepare(&job->gate);
        if (has_ended(job))
            break;
        if (mp__gate_wait(&job->gate, ticket, deadline) < 0 && !has_ended(job))
            return MP_ETIMEDOUT;
    }
    mp__job_settle(job);
    return 0;
}

static int take_reply(const struct job_shared *job, void *buffer, size_t capacity, size_t *size) {
    const struct task_shared *task = job->shape == MP__JOB_TASKS ? job->tasks : NULL;
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
    int code = mp__result_check(result, "mp_async_result_get");
    if (code == 0 && !buffer && capacity > 0)
        code = mp__fail(MP_EINVAL, "mp_async_result_get: the buffer is NULL, but not its capacity");
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    struct job_shared *job = mp__result_job(result);
    if (wait_for_end(job, deadline) < 0)
        return mp__fail(MP_ETIMEDOUT, "mp_async_result_get: not done within %g seconds", timeout);
    code = mp__job_code(job);
    if (code < 0)
        return mp__fail(code, "%s", mp__job_detail(job));
    return take_reply(job, buffer, capacity, size);
}

int mp_async_result_wait(mp_async_result *result, double timeout) {
    mp__time deadline;
    int code = mp__result_check(result, "mp_async_result_wait");
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    if (wait_for_end(mp__result_job(result), deadline) < 0)
        return mp__fail(MP_ETIMEDOUT, "mp_async_result_wait: not done within %g seconds", timeout);
    return 0;
}

bool mp_async_result_ready(const mp_async_result *result) {
    if (mp__result_check(result, "mp_async_result_ready") < 0 || !has_ended(mp__result_job(result)))
        return false;
    mp__job_settle(mp__result_job(result));
    return true;
}

int mp_async_result_successful(const mp_async_result *result) {
    int code = mp__result_check(result, "mp_async_result_successful");
    if (code < 0)
        return code;
    if (!mp_async_result_ready(result))
        return mp__fail(MP_EINVAL, "mp_async_result_successful: it is not ready yet");
    return mp__job_code(mp__result_job(result)) == 0;
}

const char *mp_async_result_detail(const mp_async_result *result) {
    return mp_async_result_ready(result) ? mp__job_detail(mp__result_job(result)) : "";
}

void mp_async_result_free(mp_async_result *result) {
    if (!result || mp__result_check(result, "mp_async_result_free") < 0)
        return;
    struct job_shared *job = mp__result_job(result);
    mp__job_forget_arrays(job);
    if (job->pool)
        mp__job_unrefer(job);
    else
        mp__job_erase(job);
}
