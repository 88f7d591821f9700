/* A stranger who talks instead of proving that he knows the key: he is refused.
 * SPDX-License-Identifier: MIT
 *
 * The first byte of an input says who begins; then come messages, each as its length in one byte
 * and so many bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chan/stream.h"
#include "mp/listener.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 4096 };

static void check(bool is_right) {
    if (!is_right)
        abort();
}

/* In one piece, so that it fits into the socket. */
static void say_all(int stranger, const uint8_t *data, size_t size) {
    static uint8_t wire[5 * INPUT_MAX];
    size_t used = 0;
    while (size > 0) {
        size_t length = data[0] < size - 1 ? data[0] : size - 1;
        uint8_t head[4] = {0, 0, 0, (uint8_t)length};
        memcpy(wire + used, head, 4);
        memcpy(wire + used + 4, data + 1, length);
        used += 4 + length;
        data += 1 + length;
        size -= 1 + length;
    }
    check(write(stranger, wire, used) == (ssize_t)used);
}

/* Nobody guesses 40 random bytes; but a stranger may say that our own proof is welcome. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2];
    mp_connection *connection;
    if (size < 1 || size > INPUT_MAX)
        return 0;
    check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    check(mp__stream_new(&connection, ends[0]) == 0);
    say_all(ends[1], data + 1, size - 1);
    shutdown(ends[1], SHUT_WR);
    int code = data[0] & 1 ? 0 : mp_connection_answer_challenge(connection, "key", 3, 1);
    if (code == 0)
        check(mp_connection_deliver_challenge(connection, "key", 3, 1) < 0);
    mp_connection_free(connection);
    close(ends[1]);
    return 0;
}
