/* Memory of processes as /proc tells it.
 * SPDX-License-Identifier: MIT */
#include "os/usage.h"

#include <stdio.h>
#include <unistd.h>

uint64_t mp__usage_peak_of(pid_t process) {
    char name[64], line[128];
    unsigned long long kibibytes = 0;
    snprintf(name, sizeof name, "/proc/%d/status", (int)process);
    FILE *file = fopen(name, "re");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %llu", &kibibytes) == 1)
            break;
    if (file)
        fclose(file);
    return kibibytes * 1024;
}

/* Pages that are resident, less those that are a file's or shared, as the arena's are. */
uint64_t mp__usage_private(void) {
    unsigned long long resident, shared;
    FILE *file = fopen("/proc/thread-self/statm", "re");
    int got = file ? fscanf(file, "%*u %llu %llu", &resident, &shared) : 0;
    if (file)
        fclose(file);
    if (got != 2 || shared > resident)
        return mp__usage_own_peak();
    return (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
}
