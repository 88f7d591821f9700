/* Reading and writing addresses.
 * SPDX-License-Identifier: MIT */
#include "net/address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"

enum { HOST_MAX = 256 };

static int read_unix(const char *name, bool is_abstract, struct mp__address *out,
                     const char *function) {
    struct sockaddr_un *address = (struct sockaddr_un *)&out->storage;
    size_t length = strlen(name);
    if (length == 0)
        return mp__fail(MP_EINVAL, "%s: a Unix socket has no empty name", function);
    if (length >= sizeof address->sun_path)
        return mp__fail(MP_EINVAL, "%s: the Unix socket's name has %zu bytes, %zu are possible",
                        function, length, sizeof address->sun_path - 1);
    memset(out, 0, sizeof *out);
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path + is_abstract, name, length);
    out->size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return 1;
}

/* host:port, [host]:port; the port may not be left out. */
static int split_host(const char *text, char *host, const char **port, const char *function) {
    const char *colon = strrchr(text, ':');
    const char *end = colon;
    bool has_brackets = text[0] == '[' && colon && colon > text && colon[-1] == ']';
    if (has_brackets) {
        text++;
        end--;
    }
    bool is_one = colon && end >= text && end - text < HOST_MAX &&
                  (has_brackets || !memchr(text, ':', (size_t)(end - text)));
    char *rest = NULL;
    long number = is_one && colon[1] >= '0' && colon[1] <= '9' ? strtol(colon + 1, &rest, 10) : -1;
    if (number < 0 || number > 65535 || *rest)
        return mp__fail(MP_EINVAL,
                        "%s: not tcp://host:port with a port from 0 to 65535; IPv6 addresses stand "
                        "in brackets",
                        function);
    memcpy(host, text, (size_t)(end - text));
    host[end - text] = '\0';
    *port = colon + 1;
    return 0;
}

static int fail_lookup(int error, const char *host, const char *function) {
    int code = error == EAI_SYSTEM   ? -errno
               : error == EAI_MEMORY ? -ENOMEM
               : error == EAI_AGAIN  ? -EAGAIN
                                     : -EADDRNOTAVAIL;
    return mp__fail(code, "%s: host '%s' is not known (%s)", function, host, gai_strerror(error));
}

static int copy_family(const struct addrinfo *list, int family, struct mp__address *out, int count,
                       int capacity) {
    for (; list && count < capacity; list = list->ai_next) {
        if (list->ai_family != family || list->ai_addrlen > sizeof out->storage)
            continue;
        memset(&out[count], 0, sizeof out[count]);
        memcpy(&out[count].storage, list->ai_addr, list->ai_addrlen);
        out[count++].size = list->ai_addrlen;
    }
    return count;
}

static int read_tcp(const char *text, bool is_listener, struct mp__address *out, int capacity,
                    const char *function) {
    char host[HOST_MAX];
    const char *port = NULL;
    int code = split_host(text, host, &port, function);
    if (code < 0)
        return code;
    if (!host[0] && !is_listener)
        return mp__fail(MP_EINVAL, "%s: tcp://host:port without a host", function);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = is_listener ? AI_PASSIVE : 0};
    struct addrinfo *list;
    int error = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
    if (error != 0)
        return fail_lookup(error, host, function);
    int count = copy_family(list, AF_INET, out, 0, capacity);
    count = copy_family(list, AF_INET6, out, count, capacity);
    freeaddrinfo(list);
    return count > 0 ? count : fail_lookup(EAI_NONAME, host, function);
}

int mp__address_read(const char *text, bool is_listener, struct mp__address *out, int capacity,
                     const char *function) {
    if (strncmp(text, "tcp://", 6) == 0)
        return read_tcp(text + 6, is_listener, out, capacity, function);
    if (strncmp(text, "unix:", 5) == 0)
        return read_unix(text + 5, false, out, function);
    if (strncmp(text, "abstract:", 9) != 0)
        return mp__fail(MP_EINVAL,
                        "%s: '%.80s' is no address: tcp://host:port, unix:path, abstract:name",
                        function, text);
    return read_unix(text + 9, true, out, function);
}

static void write_tcp(const struct mp__address *address, char *out, size_t capacity) {
    char host[128] = "?", port[16] = "0";
    (void)getnameinfo((const struct sockaddr *)&address->storage, address->size, host, sizeof host,
                      port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    bool is_v6 = address->storage.ss_family == AF_INET6;
    snprintf(out, capacity, is_v6 ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
}

/* An abstract name is what the size says, and may have any bytes. */
static void write_unix(const struct mp__address *address, char *out, size_t capacity) {
    const struct sockaddr_un *local = (const void *)&address->storage;
    size_t before = offsetof(struct sockaddr_un, sun_path);
    size_t length = address->size > before ? address->size - before : 0;
    if (length > 1 && local->sun_path[0] == '\0')
        snprintf(out, capacity, "abstract:%.*s", (int)(length - 1), local->sun_path + 1);
    else if (length > 0 && local->sun_path[0])
        snprintf(out, capacity, "unix:%.*s", (int)length, local->sun_path);
    else
        out[0] = '\0';
}

void mp__address_write(const struct mp__address *address, char *out, size_t capacity) {
    if (address->storage.ss_family == AF_UNIX)
        write_unix(address, out, capacity);
    else
        write_tcp(address, out, capacity);
}

const char *mp__address_path(const struct mp__address *address) {
    const struct sockaddr_un *local = (const void *)&address->storage;
    return local->sun_family == AF_UNIX && local->sun_path[0] ? local->sun_path : NULL;
}
