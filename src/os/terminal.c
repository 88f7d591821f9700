/* How wide a terminal is.
 * SPDX-License-Identifier: MIT */
#include "os/terminal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static unsigned columns_of_environment(void) {
    const char *text = getenv("COLUMNS");
    long columns = text ? strtol(text, NULL, 10) : 0;
    return columns > 0 && columns < 10000 ? (unsigned)columns : 0;
}

unsigned mp__terminal_columns(int descriptor) {
    struct winsize size = {0};
    const char *term = getenv("TERM");
    if (!isatty(descriptor) || (term && strcmp(term, "dumb") == 0))
        return 0;
    if (ioctl(descriptor, TIOCGWINSZ, &size) < 0)
        size.ws_col = 0;
    unsigned told = columns_of_environment();
    if (told > 0 && (size.ws_col == 0 || told < size.ws_col))
        return told;
    return size.ws_col > 0 ? size.ws_col : 80;
}

void mp__terminal_write(int descriptor, const char *bytes, size_t size) {
    ssize_t written;
    do
        written = write(descriptor, bytes, size);
    while (written < 0 && errno == EINTR);
}
