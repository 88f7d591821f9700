/* Looking at the files of Unix sockets, and removing them.
 * SPDX-License-Identifier: MIT */
#include "net/socket_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/descriptor.h"

/* A datagram socket finds out whether somebody has the other, but cannot be accepted there. */
bool mp__socket_file_is_stale(const struct mp__address *address) {
    const char *path = mp__address_path(address);
    struct stat status;
    if (!path || lstat(path, &status) < 0 || !S_ISSOCK(status.st_mode))
        return false;
    int socket = mp__descriptor_socket(AF_UNIX, SOCK_DGRAM);
    if (socket < 0)
        return false;
    int code = connect(socket, (const struct sockaddr *)&address->storage, address->size);
    bool is_stale = code < 0 && errno == ECONNREFUSED;
    mp__descriptor_close(socket);
    return is_stale;
}

/* The process may change its directory before it removes the file. */
static char *make_absolute(const char *path) {
    char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);
    if (!directory)
        return strdup(path);
    size_t size = strlen(directory) + strlen(path) + 2;
    char *absolute = malloc(size);
    if (absolute)
        snprintf(absolute, size, "%s/%s", directory, path);
    free(directory);
    return absolute;
}

int mp__socket_file_note(struct mp__socket_file *out, const struct mp__address *address) {
    struct stat status;
    const char *path = mp__address_path(address);
    if (!path || lstat(path, &status) < 0)
        return 0;
    struct mp__socket_file file = {make_absolute(path), status.st_dev, status.st_ino};
    if (!file.path)
        return -ENOMEM;
    *out = file;
    return 0;
}

void mp__socket_file_remove(struct mp__socket_file *file) {
    struct stat status;
    if (file->path && lstat(file->path, &status) == 0 && status.st_dev == file->device &&
        status.st_ino == file->inode)
        (void)unlink(file->path);
    free(file->path);
    file->path = NULL;
}

/* A directory whose socket is not yet bound has no file and is left alone. */
static void sweep_one(const char *base, const char *name) {
    struct mp__address address = {0};
    struct sockaddr_un *local = (struct sockaddr_un *)&address.storage;
    size_t room = sizeof local->sun_path;
    local->sun_family = AF_UNIX;
    address.size = sizeof *local;
    int length = snprintf(local->sun_path, room, "%s/%s/" MP__SOCKET_NAME, base, name);
    if (length < 0 || (size_t)length >= room || !mp__socket_file_is_stale(&address) ||
        unlink(local->sun_path) < 0)
        return;
    *strrchr(local->sun_path, '/') = '\0';
    (void)rmdir(local->sun_path);
}

void mp__socket_file_sweep(const char *base) {
    DIR *stream = opendir(base);
    for (struct dirent *entry; stream && (entry = readdir(stream)) != NULL;)
        if (strncmp(entry->d_name, MP__SOCKET_DIRECTORY, strlen(MP__SOCKET_DIRECTORY)) == 0)
            sweep_one(base, entry->d_name);
    if (stream)
        closedir(stream);
}
