/* lock_value.c: four processes add to one number; the value's own lock keeps them apart.
 * SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/process.h>
#include <mp/shared.h>
#include <mp/sync.h>
#include <stdio.h>

enum { PROCESSES = 4, ROUNDS = 1000 };

static int add(void *arg, size_t arg_size) {
    (void)arg_size;
    mp_value *counter = *(mp_value **)arg;
    for (int i = 0; i < ROUNDS; i++)
        MP_WITH_LOCK(mp_value_get_lock(counter))
    MP_VALUE(int, counter) += 1;
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    mp_value *counter;
    mp_process *processes[PROCESSES];
    if (mp_value_new(&counter, NULL, 'i', NULL, MP_NEW_LOCK) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    mp_process_options options = {.target = add, .arg = &counter, .arg_size = sizeof counter};
    for (int i = 0; i < PROCESSES; i++)
        if (mp_process_new(&processes[i], NULL, &options) < 0 || mp_process_start(processes[i]) < 0)
            return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int i = 0; i < PROCESSES; i++) {
        mp_process_join(processes[i], MP_FOREVER);
        mp_process_close(processes[i]);
    }
    printf("%d processes x %d = %d\n", PROCESSES, ROUNDS, MP_VALUE(int, counter));
    mp_value_free(counter);
    return 0;
}
