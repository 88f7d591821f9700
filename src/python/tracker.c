/* The resource tracker in Python's lines: "REGISTER:/mp-a8x4:semaphore".
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

/* A name has no colon in it, and is not longer than Python allows. */
static bool obey(const char *line) {
    char command[16], name[513], type_name[32];
    if (sscanf(line, "%15[^:]:%512[^:]:%31[^:]", command, name, type_name) != 3)
        return false;
    struct type *type = find_type(type_name);
    if (!type)
        return false;
    if (strcmp(command, "REGISTER") == 0)
        return add_name(type, name);
    if (strcmp(command, "UNREGISTER") == 0)
        return remove_name(type, name);
    return strcmp(command, "PROBE") == 0;
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
