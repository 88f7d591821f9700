/* A program that is killed before it comes to mp_freeze_support().
 * SPDX-License-Identifier: MIT */
#include <signal.h>
#include <unistd.h>

int main(void) {
    kill(getpid(), SIGKILL);
    return 0;
}
