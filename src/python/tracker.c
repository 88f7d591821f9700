/* The resource tracker in Python's lines: "REGISTER:/mp-a8x4:semaphore", or the same in JSON.
 * SPDX-License-Identifier: MIT */
#include "python/tracker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mp/base.h"
#include "os/named_memory.h"
#include "os/named_semaphore.h"

enum { EXIT_CLEAN, EXIT_LEAKED, EXIT_STUCK, EXIT_MALFORMED };

struct name {
    struct name *next; /* in its type's list */
    char text[];       /* "/mp-a8x4" */
};

struct type {
    const char *name;                 /* as lines have it */
    int (*unlink_name)(const char *); /* NULL: there is nothing to do */
    struct name *first;               /* what is registered, each once */
};

static struct type types[] = {{"semaphore", mp__named_semaphore_unlink, NULL},
                              {"shared_memory", mp__named_memory_unlink, NULL},
                              {"noop", NULL, NULL},
                              {"dummy", NULL, NULL}};
enum { TYPE_COUNT = sizeof types / sizeof types[0] };

/* Where it is linked from, or the list's end. */
static struct name **find_name(struct type *type, const char *text) {
    struct name **link = &type->first;
    while (*link && strcmp((*link)->text, text) != 0)
        link = &(*link)->next;
    return link;
}

static bool add_name(struct type *type, const char *text) {
    struct name **link = find_name(type, text);
    if (*link)
        return true;
    size_t size = strlen(text) + 1;
    *link = calloc(1, sizeof **link + size);
    if (!*link)
        return false;
    memcpy((*link)->text, text, size);
    return true;
}

static bool remove_name(struct type *type, const char *text) {
    struct name **link = find_name(type, text), *name = *link;
    if (!name)
        return false;
    *link = name->next;
    free(name);
    return true;
}

static struct type *find_type(const char *name) {
    for (int i = 0; i < TYPE_COUNT; i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

struct line {
    char command[16];
    char name[513]; /* Python allows no longer ones */
    char type[32];
};

/* "key":"text" out of a line of JSON, as Python writes it. */
static bool find_text(const char *line, const char *key, char *out, size_t room) {
    char quoted[24];
    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    const char *found = strstr(line, quoted);
    found = found ? strchr(found + strlen(quoted), '"') : NULL;
    size_t size = found ? strcspn(found + 1, "\"") : 0;
    if (!found || size >= room)
        return false;
    memcpy(out, found + 1, size);
    out[size] = 0;
    return true;
}

/* Base64 with - and _, in place; false: it is none. */
static bool decode_name(char *name) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned bits = 0, count = 0;
    char *to = name;
    for (const char *at = name; *at && *at != '='; at++) {
        const char *digit = strchr(digits, *at);
        if (!digit)
            return false;
        bits = bits << 6 | (unsigned)(digit - digits);
        count += 6;
        if (count >= 8)
            *to++ = (char)(bits >> (count -= 8));
    }
    *to = 0;
    return true;
}

/* The newest Pythons write JSON, with the name in base64; in the older form it has no colon. */
static bool split(const char *text, struct line *out) {
    if (text[0] != '{')
        return sscanf(text, "%15[^:]:%512[^:]:%31[^:]", out->command, out->name, out->type) == 3;
    out->name[0] = 0;
    bool has_name = find_text(text, "base64_name", out->name, sizeof out->name);
    return find_text(text, "cmd", out->command, sizeof out->command) &&
           find_text(text, "rtype", out->type, sizeof out->type) &&
           (!has_name || decode_name(out->name));
}

static bool obey(const char *text) {
    struct line line;
    struct type *type = split(text, &line) ? find_type(line.type) : NULL;
    if (!type)
        return false;
    if (strcmp(line.command, "REGISTER") == 0)
        return add_name(type, line.name);
    if (strcmp(line.command, "UNREGISTER") == 0)
        return remove_name(type, line.name);
    return strcmp(line.command, "PROBE") == 0;
}

static int read_lines(FILE *stream) {
    int code = EXIT_CLEAN;
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stream) > 0) {
        line[strcspn(line, "\n")] = 0;
        if (!obey(line)) {
            fprintf(stderr, "resource_tracker: not understood: %s\n", line);
            code = EXIT_MALFORMED;
        }
    }
    free(line);
    return code;
}

static int clean_up(struct type *type, int code) {
    unsigned count = 0;
    for (struct name *name = type->first; name; name = name->next)
        count++;
    if (count > 0 && type->unlink_name) {
        fprintf(stderr,
                "resource_tracker: There appear to be %u leaked %s objects to clean up at "
                "shutdown\n",
                count, type->name);
        code = EXIT_LEAKED;
    }
    for (struct name *name = type->first; name && type->unlink_name; name = name->next) {
        int result = type->unlink_name(name->text);
        if (result < 0) {
            fprintf(stderr, "resource_tracker: '%s': %s\n", name->text, mp_strerror(result));
            code = EXIT_STUCK;
        }
    }
    while (type->first)
        remove_name(type, type->first->text);
    return code;
}

/* Whoever ends the group of processes means the others: it ends after them. Their output is not
 * kept open. */
int mp__tracker_run(int descriptor) {
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    pthread_sigmask(SIG_UNBLOCK, &both, NULL);
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    FILE *stream = fdopen(descriptor, "r");
    if (!stream)
        return EXIT_MALFORMED;
    int code = read_lines(stream);
    fclose(stream);
    for (int i = 0; i < TYPE_COUNT; i++)
        code = clean_up(&types[i], code);
    return code;
}
