/* How many processors this process may use: affinity, and the quota of its cgroup and of those
 * above it. SPDX-License-Identifier: MIT */
#include "os/cpu.h"

#include <limits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define TABLE_SPAN ((size_t)1 << 21) /* bytes of addresses that one page table is for */

/* Those that the calling thread may use; to be freed by CPU_FREE. The kernel refuses sets smaller
 * than its own. */
static cpu_set_t *read_affinity(size_t *size) {
    for (size_t bits = 1024; bits <= 1024 * 1024; bits *= 4) {
        cpu_set_t *set = CPU_ALLOC(bits);
        *size = CPU_ALLOC_SIZE(bits);
        if (!set || sched_getaffinity(0, *size, set) == 0)
            return set;
        CPU_FREE(set);
    }
    return NULL;
}

static int affinity_count(void) {
    size_t size;
    cpu_set_t *set = read_affinity(&size);
    int count = set ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    return count > 0 ? count : mp__cpu_count();
}

/* One number of a file in a folder: -1 when there is no file, or "max", or -1 as in version 1. */
static long long read_number(const char *folder, const char *name, long long *second) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return -1;
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    long long first = -1;
    if (fscanf(file, "%lld", &first) != 1 || (second && fscanf(file, "%lld", second) != 1))
        first = -1;
    fclose(file);
    return first;
}

static int quota_of_folder(const char *folder, bool is_v2) {
    long long period = 0;
    long long quota = is_v2 ? read_number(folder, "cpu.max", &period)
                            : read_number(folder, "cpu.cfs_quota_us", NULL);
    if (!is_v2)
        period = read_number(folder, "cpu.cfs_period_us", NULL);
    if (quota <= 0 || period <= 0)
        return INT_MAX;
    long long count = (quota + period - 1) / period;
    return count < INT_MAX ? (int)count : INT_MAX;
}

/* The smallest quota from `folder` up to the mount point, whose path is the first `top` bytes. */
static int quota_up_to(char *folder, size_t top, bool is_v2) {
    int least = INT_MAX;
    for (;;) {
        int count = quota_of_folder(folder, is_v2);
        least = count < least ? count : least;
        char *slash = strrchr(folder, '/');
        if (!slash || strlen(folder) <= top)
            return least;
        *slash = 0;
    }
}

static bool has_word(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ',') && (at[length] == 0 || at[length] == ','))
            return true;
    return false;
}

/* Our group in the hierarchy: lines are "0::/path" (version 2) or "3:cpu,cpuacct:/path". */
static bool find_group(const char *groups, bool is_v2, char *out, size_t capacity) {
    FILE *file = fopen(groups, "re");
    char line[PATH_MAX + 64];
    bool is_found = false;
    while (file && !is_found && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        if (is_v2 ? controllers[1] == 0 : has_word(controllers + 1, "cpu"))
            is_found = snprintf(out, capacity, "%s", path) < (int)capacity;
    }
    if (file)
        fclose(file);
    return is_found;
}

struct mount {
    char root[PATH_MAX];  /* the group that the mount shows at its top */
    char point[PATH_MAX]; /* where */
};

/* Lines are "36 35 98:0 /root /point options [optional fields] - type source options". */
static bool parse_mount(const char *line, bool is_v2, struct mount *out) {
    char type[32], options[512];
    const char *tail = strstr(line, " - ");
    if (!tail || sscanf(tail, " - %31s %*s %511s", type, options) != 2)
        return false;
    if (is_v2 ? strcmp(type, "cgroup2") != 0
              : strcmp(type, "cgroup") != 0 || !has_word(options, "cpu"))
        return false;
    return sscanf(line, "%*s %*s %*s %4095s %4095s", out->root, out->point) == 2;
}

static bool find_mount(const char *mounts, bool is_v2, struct mount *out) {
    FILE *file = fopen(mounts, "re");
    char line[2 * PATH_MAX];
    bool is_found = false;
    while (file && !is_found && fgets(line, sizeof line, file))
        is_found = parse_mount(line, is_v2, out);
    if (file)
        fclose(file);
    return is_found;
}

/* The group's path below the mount. Inside a container the mount may show only a part of the
 * hierarchy. */
static const char *path_below(const char *group, const char *root) {
    size_t length = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(group, root, length) != 0 || strncmp(group, "/..", 3) == 0)
        return "";
    return strcmp(group + length, "/") == 0 ? "" : group + length;
}

static int quota_of(const char *groups, const char *mounts, bool is_v2) {
    struct mount mount;
    char group[PATH_MAX], folder[2 * PATH_MAX];
    if (!find_group(groups, is_v2, group, sizeof group) || !find_mount(mounts, is_v2, &mount))
        return INT_MAX;
    snprintf(folder, sizeof folder, "%s%s", mount.point, path_below(group, mount.root));
    return quota_up_to(folder, strlen(mount.point), is_v2);
}

int mp__cpu_quota(const char *groups, const char *mounts) {
    int old = quota_of(groups, mounts, false), new = quota_of(groups, mounts, true);
    return old < new ? old : new;
}

int mp__cpu_usable_count(void) {
    int allowed = affinity_count();
    int quota = mp__cpu_quota("/proc/thread-self/cgroup", "/proc/thread-self/mountinfo");
    int least = allowed < quota ? allowed : quota;
    return least < 1 ? 1 : least;
}

/* By affinity alone: a quota of one processor may be used on several at once. */
bool mp__cpu_is_alone(void) {
    static _Atomic int known; /* 0: not asked, else the count */
    int count = atomic_load_explicit(&known, memory_order_relaxed);
    if (count == 0) {
        count = affinity_count();
        atomic_store_explicit(&known, count, memory_order_relaxed);
    }
    return count == 1;
}

bool mp__cpu_can_pin(void) {
    return true;
}

static void keep_only(size_t wanted, cpu_set_t *set, size_t size) {
    for (size_t cpu = 0, seen = 0; cpu < size * 8; cpu++)
        if (CPU_ISSET_S(cpu, size, set) && seen++ != wanted)
            CPU_CLR_S(cpu, size, set);
}

/* Whoever is alone on its processor has others to spin for on the rest: ask that before. */
void mp__cpu_pin(unsigned number) {
    size_t size;
    (void)mp__cpu_is_alone();
    cpu_set_t *set = read_affinity(&size);
    if (!set)
        return;
    keep_only(number % (unsigned)CPU_COUNT_S(size, set), set, size);
    (void)sched_setaffinity(0, size, set);
    CPU_FREE(set);
}

/* ---- on which one right now ---- */

static struct {
    cpu_set_t *set; /* those that we may use; NULL: not known */
    size_t size;    /* of set */
} remembered;

int mp__cpu_here(void) {
    return sched_getcpu();
}

bool mp__cpu_bring(pid_t pid) {
    cpu_set_t set;
    int cpu = sched_getcpu();
    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return false;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(pid, sizeof set, &set) == 0;
}

/* Who may run anywhere may do so on processors that come later, too. */
void mp__cpu_remember(void) {
    CPU_FREE(remembered.set);
    remembered.set = read_affinity(&remembered.size);
    if (remembered.set && CPU_COUNT_S(remembered.size, remembered.set) >= mp__cpu_count())
        memset(remembered.set, 0xff, remembered.size);
}

void mp__cpu_roam(void) {
    if (remembered.set)
        (void)sched_setaffinity(0, remembered.size, remembered.set);
}

/* A processor counts as one that knows a process's memory until page tables of it go, and it is
 * interrupted for that: the first time it lets go of the memory, if it idles, the second time it is
 * struck off. */
static void be_forgotten_elsewhere(void) {
    for (int i = 0; i < 2; i++) {
        char *map = mmap(NULL, 2 * TABLE_SPAN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED)
            return;
        (void)madvise(map, 2 * TABLE_SPAN, MADV_NOHUGEPAGE);
        uintptr_t own = ((uintptr_t)map + TABLE_SPAN) & ~(uintptr_t)(TABLE_SPAN - 1);
        (void)*(volatile char *)own; /* in a table that nothing else needs */
        munmap(map, 2 * TABLE_SPAN);
    }
}

int mp__cpu_settle(int cpu) {
    cpu_set_t set;
    int here = sched_getcpu();
    if (!remembered.set || cpu < 0 || cpu >= CPU_SETSIZE || here == cpu ||
        !CPU_ISSET_S((size_t)cpu, remembered.size, remembered.set))
        return here;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0)
        return here;
    be_forgotten_elsewhere();
    mp__cpu_roam();
    return cpu;
}

/* The system refuses a set that is empty. */
void mp__cpu_leave(int cpu) {
    if (!remembered.set || cpu < 0 || sched_getcpu() != cpu)
        return;
    CPU_CLR_S((size_t)cpu, remembered.size, remembered.set);
    (void)sched_setaffinity(0, remembered.size, remembered.set);
    CPU_SET_S((size_t)cpu, remembered.size, remembered.set);
    mp__cpu_roam();
}
