/* Linux notes who connects a Unix socket.
 * SPDX-License-Identifier: MIT */
#include "os/peer.h"

#include <sys/socket.h>

pid_t mp__peer_pid(int socket) {
    struct ucred peer = {0};
    socklen_t size = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0 ? peer.pid
                                                                                          : 0;
}
