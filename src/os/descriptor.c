/* File descriptors: copying, waiting, sending them to another process.
 * SPDX-License-Identifier: MIT */
#include "os/descriptor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MSG_CMSG_CLOEXEC /* then close-on-exec comes a moment later */
#define MSG_CMSG_CLOEXEC 0
#endif

/* Not again after EINTR: the descriptor may already be another thread's. */
void mp__descriptor_close(int descriptor) {
    if (descriptor < 0)
        return;
    int error = errno;
    close(descriptor);
    errno = error;
}

int mp__descriptor_duplicate(int descriptor) {
    int copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    return copy < 0 ? -errno : copy;
}

int mp__descriptor_set_blocking(int descriptor, int is_blocking) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0)
        return -errno;
    int wanted = is_blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return wanted == flags || fcntl(descriptor, F_SETFL, wanted) == 0 ? 0 : -errno;
}

/* For poll, rounded up so that it does not come back just before the deadline. */
static int milliseconds_until(mp__time deadline) {
    if (deadline == MP__NEVER)
        return -1;
    mp__time left = deadline <= 0 ? 0 : deadline - mp__now();
    if (left <= 0)
        return 0;
    return left / 1000000 >= INT_MAX ? INT_MAX : (int)((left + 999999) / 1000000);
}

int mp__descriptor_poll(int descriptor, short events, mp__time deadline) {
    struct pollfd polled = {.fd = descriptor, .events = events};
    for (;;) {
        int timeout = milliseconds_until(deadline);
        int ready = poll(&polled, 1, timeout);
        if (ready > 0)
            return polled.revents & POLLNVAL ? -EBADF : polled.revents;
        if (ready < 0 && errno != EINTR && errno != EAGAIN)
            return -errno;
        if (ready == 0 && timeout == 0)
            return 0;
    }
}

/* The signal comes to the thread that writes: held back, and taken away when it is ours. */
ssize_t mp__descriptor_write(int descriptor, const void *data, size_t size) {
    sigset_t pipe, before, pending;
    int number;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    bool was_pending = sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    ssize_t written = write(descriptor, data, size);
    int error = errno;
    if (written < 0 && error == EPIPE && !was_pending && sigpending(&pending) == 0 &&
        sigismember(&pending, SIGPIPE))
        sigwait(&pipe, &number);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return written < 0 ? -error : written;
}

union control {
    struct cmsghdr align;                               /* for its alignment only */
    char bytes[CMSG_SPACE(MP__PASS_MAX * sizeof(int))]; /* one SCM_RIGHTS message */
};

ssize_t mp__descriptor_send(int socket, const void *data, size_t size, const int *list,
                            size_t count) {
    assert(size > 0 && count <= MP__PASS_MAX);
    union control control = {0};
    struct iovec part = {(void *)data, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(header), list, count * sizeof(int));
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

static void close_all(const int *list, size_t count) {
    for (size_t i = 0; i < count; i++)
        mp__descriptor_close(list[i]);
}

static size_t take_descriptors(struct msghdr *message, int *list) {
    size_t count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
         header = CMSG_NXTHDR(message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t bytes = header->cmsg_len - CMSG_LEN(0);
        memcpy(list + count, CMSG_DATA(header), bytes);
        count += bytes / sizeof(int);
    }
    for (size_t i = 0; i < count && MSG_CMSG_CLOEXEC == 0; i++)
        fcntl(list[i], F_SETFD, FD_CLOEXEC);
    return count;
}

ssize_t mp__descriptor_receive(int socket, void *data, size_t capacity, int *list, size_t *count) {
    union control control;
    struct iovec part = {data, capacity};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t got;
    do
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return -errno;
    int came[MP__PASS_MAX + 1]; /* the control buffer is padded: one more than asked for may fit */
    size_t came_count = take_descriptors(&message, came);
    bool is_cut = (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) != 0;
    if (is_cut || came_count > *count) {
        close_all(came, came_count);
        return message.msg_flags & MSG_CTRUNC && came_count < *count ? -EMFILE : -EMSGSIZE;
    }
    if (came_count > 0)
        memcpy(list, came, came_count * sizeof(int));
    *count = came_count;
    return got;
}
