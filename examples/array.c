/* array.c: a child changes a number and an array that the parent sees too.
 * SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/process.h>
#include <mp/shared.h>
#include <stdio.h>

struct shared {
    mp_value *number; /* a double */
    mp_array *array;  /* of int */
};

static int change(void *arg, size_t arg_size) {
    (void)arg_size;
    struct shared *shared = arg;
    MP_VALUE(double, shared->number) = 3.1415927;
    for (size_t i = 0; i < mp_array_length(shared->array); i++)
        MP_ARRAY(int, shared->array)[i] *= -1;
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    int initial[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    struct shared shared;
    mp_process *process;
    if (mp_value_new(&shared.number, NULL, 'd', NULL, MP_NEW_LOCK) < 0 ||
        mp_array_new(&shared.array, NULL, 'i', 10, initial, MP_NEW_LOCK) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    mp_process_options options = {.target = change, .arg = &shared, .arg_size = sizeof shared};
    if (mp_process_new(&process, NULL, &options) < 0 || mp_process_start(process) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    mp_process_join(process, MP_FOREVER);
    mp_process_close(process);

    printf("%.7f\n", MP_VALUE(double, shared.number));
    for (size_t i = 0; i < mp_array_length(shared.array); i++)
        printf("%d%c", MP_ARRAY(int, shared.array)[i], i < 9 ? ' ' : '\n');
    int last;
    if (mp_array_get(shared.array, -1, &last) == 0)
        printf("the last one is %d\n", last);
    int code = mp_array_get(shared.array, 10, &last);
    printf("there is no item 10: %s\n", mp_error_name(code));
    mp_array_free(shared.array);
    mp_value_free(shared.number);
    return 0;
}
