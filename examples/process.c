/* process.c: start a function in another process, wait for it, ask how it ended.
 * SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/process.h>
#include <stdio.h>
#include <unistd.h>

static int greet(void *arg, size_t arg_size) {
    (void)arg_size;
    printf("hello %s, I am %s, a child of %s\n", (const char *)arg,
           mp_process_name(mp_current_process()), mp_process_name(mp_parent_process()));
    return 7;
}

static int wait_for_ever(void *arg, size_t arg_size) {
    (void)arg, (void)arg_size;
    while (pause() < 0)
        ;
    return 0;
}

static mp_process *start(const mp_process_options *options) {
    mp_process *process;
    if (mp_process_new(&process, NULL, options) == 0 && mp_process_start(process) == 0)
        return process;
    fprintf(stderr, "%s\n", mp_error_detail());
    return NULL;
}

static void end(mp_process *process) {
    int code;
    if (mp_process_join(process, MP_FOREVER) == 0 && mp_process_exitcode(process, &code) == 0)
        printf("%s ended with exit code %d\n", mp_process_name(process), code);
    mp_process_close(process);
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    char name[] = "bob";
    mp_process *greeter =
        start(&(mp_process_options){.target = greet, .arg = name, .arg_size = sizeof name});
    if (!greeter)
        return 1;
    end(greeter);

    mp_process *waiter = start(&(mp_process_options){.target = wait_for_ever, .name = "waiter"});
    if (!waiter)
        return 1;
    printf("%s is %s\n", mp_process_name(waiter), mp_process_is_alive(waiter) ? "alive" : "dead");
    mp_process_terminate(waiter);
    end(waiter); /* -15: killed by signal 15, SIGTERM */
    return 0;
}
