/* pipe.c: two processes talk over a pipe; when one end is gone, the other is at the end of file.
 * SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/connection.h>
#include <mp/process.h>
#include <stdio.h>
#include <string.h>

/* Answers each word with its length, until the other end is closed. */
static int count_letters(void *arg, size_t arg_size) {
    (void)arg_size;
    mp_connection *parent = *(mp_connection **)arg;
    char word[64];
    size_t size;
    while (mp_connection_recv_bytes_into(parent, word, sizeof word, &size, MP_FOREVER) == 0) {
        if (size == 0)
            return 0;
        int length = (int)size;
        if (mp_connection_send_bytes(parent, &length, sizeof length, MP_FOREVER) < 0)
            return 1;
    }
    return 1;
}

static int ask(mp_connection *child, const char *word) {
    int length = -1;
    size_t size;
    if (mp_connection_send_bytes(child, word, strlen(word), MP_FOREVER) < 0 ||
        mp_connection_recv_bytes_into(child, &length, sizeof length, &size, 10) < 0)
        return -1;
    printf("'%s' has %d letters\n", word, length);
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    mp_connection *ours, *its;
    mp_process *process;
    if (mp_pipe_new(&ours, &its, NULL, true) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    mp_connection *given[] = {its, NULL}; /* so that it also works under spawn */
    mp_process_options options = {
        .target = count_letters, .arg = &its, .arg_size = sizeof its, .connections = given};
    if (mp_process_new(&process, NULL, &options) < 0 || mp_process_start(process) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;

    if (ask(ours, "pipe") < 0 || ask(ours, "multiprocessing") < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    mp_connection_send_bytes(ours, "", 0, MP_FOREVER); /* an empty message: the end, between us */

    int code = -1;
    mp_process_join(process, MP_FOREVER);
    mp_process_exitcode(process, &code);
    printf("the child ended with exit code %d\n", code);
    mp_process_close(process);
    mp_connection_close(its); /* the last other end */
    code = mp_connection_recv_bytes_into(ours, &code, sizeof code, NULL, 10);
    printf("then receiving gives %s\n", mp_error_name(code));
    mp_connection_close(ours);
    mp_connection_free(ours);
    mp_connection_free(its);
    return 0;
}
