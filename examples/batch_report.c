/* batch_report.c: a batch in which jobs fail, crash and hang: each costs itself, all others are
 * done, and a report says what became of whom. SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/pool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
    "january", "february", "march", "april",   "may",      "june",
    "july",    "august",   "sept",  "october", "november", "december",
};
enum { JOBS = sizeof names / sizeof names[0] };

/* What an unlucky day brings. */
static int make_statement(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)state;
    const char *name = arg;
    if (strcmp(name, "march") == 0)
        return mp_reply_fail(reply, MP_EKEY, "no data for '%s'", name);
    if (strcmp(name, "may") == 0)
        raise(SIGSEGV);
    if (strcmp(name, "july") == 0)
        for (;;)
            pause();
    if (strcmp(name, "sept") == 0)
        _exit(3);
    char *answer = mp_reply_alloc(reply, arg_size + 10);
    if (!answer)
        return -1;
    snprintf(answer, arg_size + 10, "%zu letters", strlen(name));
    return 0;
}

/* A worker's number means nothing to a reader of the report. */
static const char *skip_worker(const char *detail) {
    const char *number = strstr(detail, "worker ");
    const char *rest = number ? strchr(number + 7, ' ') : NULL;
    return rest ? rest + 1 : detail;
}

static int report(const char *name, mp_async_result *result) {
    char answer[64];
    int code = mp_async_result_get(result, answer, sizeof answer, NULL, MP_FOREVER);
    if (code == 0)
        printf("%-9s done      %s\n", name, answer);
    else if (code == MP_EWORKER)
        printf("%-9s crashed   its worker %s\n", name, skip_worker(mp_async_result_detail(result)));
    else if (code == MP_ETIMEDOUT)
        printf("%-9s hung      its worker %s\n", name, skip_worker(mp_async_result_detail(result)));
    else
        printf("%-9s failed    %s (%s)\n", name, mp_async_result_detail(result),
               mp_error_name(code));
    return code;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    mp_async_result *results[JOBS];
    mp_pool *pool;
    /* A crash may be bad luck: its job gets a second chance. A second is enough for any. */
    mp_pool_options options = {.processes = 3, .task_timeout = 1, .retries = 1};
    if (mp_pool_new(&pool, NULL, &options) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int i = 0; i < JOBS; i++)
        if (mp_pool_apply_async(&results[i], pool, make_statement, names[i], strlen(names[i]) + 1,
                                NULL) < 0)
            return fprintf(stderr, "%s\n", mp_error_detail()), 1;

    int done = 0;
    for (int i = 0; i < JOBS; i++) {
        done += report(names[i], results[i]) == 0;
        mp_async_result_free(results[i]);
    }
    printf("%d of %d jobs done\n", done, JOBS);
    mp_pool_free(pool);
    return 0;
}
