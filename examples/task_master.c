/* task_master.c: tasks for workers on any machine, written in C or in Python; collects the answers.
 * SPDX-License-Identifier: MIT
 *
 *     usage: task_master [ADDRESS]          tcp://127.0.0.1:5000; tcp://:5000 for other machines
 *
 * task_master.py is the same program: each serves the workers of both. A task belongs to the worker
 * that got it until it says task_done. When a worker or its network goes away before, another one
 * gets the task; so an answer may come twice. */
#include <mp/context.h>
#include <mp/manager.h>
#include <mp/object.h>
#include <mp/proxy_types.h>
#include <stdio.h>

enum { TASKS = 10 };

static int fail(void) {
    fprintf(stderr, "task_master: %s\n", mp_error_detail());
    return 1;
}

static mp_manager *start_server(const char *address) {
    mp_manager *manager;
    mp_manager_options options = {.address = address, .authkey = "abc", .authkey_size = 3};
    mp_manager_type tasks = {.like = "Queue", .is_single = true, .redeliver = MP_REDELIVER_DONE};
    mp_manager_type results = {.like = "Queue", .is_single = true};
    if (mp_manager_new(&manager, NULL, &options) < 0)
        return NULL;
    if (mp_manager_register(manager, "get_task_queue", &tasks) == 0 &&
        mp_manager_register(manager, "get_result_queue", &results) == 0 &&
        mp_manager_start(manager) == 0)
        return manager;
    mp_manager_free(manager);
    return NULL;
}

/* The number of the next task that is answered for the first time; negative: a failure. */
static int next_answer(mp_proxy *results, bool answered[TASKS]) {
    for (;;) {
        mp_object *result;
        int task;
        const char *text;
        int code = mp_proxy_queue_get(results, &result, MP_FOREVER);
        if (code < 0)
            return code;
        code = mp_object_parse(result, "(is)", &task, &text);
        bool is_new = code == 0 && task >= 0 && task < TASKS && !answered[task];
        if (is_new)
            printf("Result: %s\n", text);
        mp_object_free(result);
        if (is_new || code < 0)
            return code < 0 ? code : task;
    }
}

static int hand_out(mp_manager *manager) {
    mp_proxy *tasks, *results;
    bool answered[TASKS] = {false};
    if (mp_manager_create(manager, &tasks, "get_task_queue", "") < 0 ||
        mp_manager_create(manager, &results, "get_result_queue", "") < 0)
        return fail();
    for (int i = 0; i < TASKS; i++) {
        printf("Put task %d...\n", i);
        if (mp_proxy_queue_put(tasks, mp_integer_new(i), MP_FOREVER) < 0)
            return fail();
    }
    printf("Try get results...\n");
    fflush(stdout);
    for (int count = 0; count < TASKS; count++) {
        int task = next_answer(results, answered);
        if (task < 0)
            return fail();
        answered[task] = true;
    }
    mp_proxy_free(tasks);
    mp_proxy_free(results);
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    mp_manager *manager = start_server(argc > 1 ? argv[1] : "tcp://127.0.0.1:5000");
    if (!manager)
        return fail();
    printf("Listening at %s\n", mp_manager_address(manager));
    fflush(stdout);
    int code = hand_out(manager);
    mp_manager_free(manager); /* the workers see that it is over */
    printf("master exit.\n");
    return code;
}
