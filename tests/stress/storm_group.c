/* Who is left of a process group.
 * SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storm.h"

static pid_t group_of(const char *pid) {
    char path[300], text[512];
    int group = 0;
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    char *end = text;
    for (char *at = text; *at; at++)
        if (*at == ')')
            end = at;
    char state = 'Z';
    sscanf(end, ") %c %*d %d", &state, &group);
    return state == 'Z' ? 0 : group;
}

unsigned storm_list_group(pid_t group, pid_t *out, unsigned capacity) {
    unsigned count = 0;
    DIR *directory = opendir("/proc");
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (!isdigit((unsigned char)entry->d_name[0]) || atoi(entry->d_name) == getpid())
            continue;
        if (group_of(entry->d_name) == group && count < capacity)
            out[count++] = atoi(entry->d_name);
    }
    if (directory)
        closedir(directory);
    return count;
}
