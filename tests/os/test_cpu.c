/* Counting processors.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/cpu.h"

static void test_some_of_the_processors_are_usable(void **state) {
    (void)state;
    assert_in_range(mp__cpu_usable_count(), 1, mp__cpu_count());
    mp__cpu_pause();
}

static void test_affinity_to_one_processor_is_alone(void **state) {
    (void)state;
#ifdef MP__PORTABLE
    skip();
#endif
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    assert_int_equal(mp__cpu_usable_count(), 1);
    assert_true(mp__cpu_is_alone());
}

static void test_pinned_to_processors_in_turn(void **state) {
    (void)state;
    if (!mp__cpu_can_pin())
        skip();
    cpu_set_t all, one;
    bool is_alone = mp__cpu_is_alone();
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    for (unsigned number = 0; number < 5; number++) {
        mp__cpu_pin(number);
        assert_int_equal(sched_getaffinity(0, sizeof one, &one), 0);
        assert_int_equal(CPU_COUNT(&one), 1);
        unsigned before = 0, cpu = 0;
        for (; !CPU_ISSET(cpu, &one); cpu++)
            before += CPU_ISSET(cpu, &all) != 0;
        assert_int_equal(before, number % (unsigned)CPU_COUNT(&all));
        assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    }
    assert_true(mp__cpu_is_alone() == is_alone);
}

static void test_settled_on_processors_in_turn(void **state) {
    (void)state;
    if (!mp__cpu_can_pin())
        skip();
    cpu_set_t all, now;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    mp__cpu_remember();
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        int there = mp__cpu_settle(cpu);
        assert_true(CPU_ISSET(cpu, &all) ? there == cpu : CPU_ISSET(there, &all));
        assert_int_equal(sched_getaffinity(0, sizeof now, &now), 0);
        assert_true(CPU_EQUAL(&now, &all));
    }
    assert_true(CPU_ISSET(mp__cpu_settle(-1), &all));
}

static char tree[64]; /* a folder that stands for the system's files */

static const char *path_of(const char *name) {
    static char path[4][256];
    static unsigned next;
    char *out = path[next++ % 4];
    snprintf(out, sizeof path[0], "%s/%s", tree, name);
    return out;
}

static void put_file(const char *name, const char *text) {
    FILE *file = fopen(path_of(name), "w");
    MPT_CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* The mount shows what lies below `root`; `group` is the line of our process. */
static int look_up(const char *type, const char *options, const char *root, const char *group) {
    char line[512];
    snprintf(line, sizeof line, "9 1 0:1 / / rw - ext4 x rw\n30 20 0:9 %s %s/fs rw - %s x %s\n",
             root, tree, type, options);
    put_file("mountinfo", line);
    snprintf(line, sizeof line, "%s\n", group);
    put_file("cgroup", line);
    return mp__cpu_quota(path_of("cgroup"), path_of("mountinfo"));
}

static void make_tree(void) {
    strcpy(tree, "/tmp/libmp-test-XXXXXX");
    MPT_CHECK(mkdtemp(tree) != NULL);
    MPT_CHECK(mkdir(path_of("fs"), 0700) == 0 && mkdir(path_of("fs/a"), 0700) == 0 &&
              mkdir(path_of("fs/a/b"), 0700) == 0);
}

static void drop_tree(void) {
    static const char *const names[] = {"fs/cpu.max",
                                        "fs/a/cpu.max",
                                        "fs/a/b/cpu.max",
                                        "fs/a/cpu.cfs_quota_us",
                                        "fs/a/cpu.cfs_period_us",
                                        "cgroup",
                                        "mountinfo"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        (void)unlink(path_of(names[i]));
    MPT_CHECK(rmdir(path_of("fs/a/b")) == 0 && rmdir(path_of("fs/a")) == 0);
    MPT_CHECK(rmdir(path_of("fs")) == 0 && rmdir(tree) == 0);
}

static void test_quota_of_version_2_is_the_least_up_to_the_mount(void **state) {
    (void)state;
#ifdef MP__PORTABLE
    skip();
#endif
    make_tree();
    put_file("fs/a/b/cpu.max", "max 100000\n");
    assert_int_equal(look_up("cgroup2", "rw", "/", "0::/a/b"), INT_MAX);
    put_file("fs/a/b/cpu.max", "350000 100000\n");
    assert_int_equal(look_up("cgroup2", "rw", "/", "0::/a/b"), 4);
    put_file("fs/a/cpu.max", "150000 100000\n");
    assert_int_equal(look_up("cgroup2", "rw", "/", "0::/a/b"), 2);
    assert_int_equal(look_up("cgroup2", "rw", "/", "0::/"), INT_MAX);
    put_file("fs/cpu.max", "100 100000\n");
    assert_int_equal(look_up("cgroup2", "rw", "/", "0::/a"), 1);
    drop_tree();
}

static void test_quota_is_found_where_a_container_shows_it(void **state) {
    (void)state;
#ifdef MP__PORTABLE
    skip();
#endif
    make_tree();
    put_file("fs/cpu.max", "200000 100000\n");
    assert_int_equal(look_up("cgroup2", "rw", "/docker/c1", "0::/docker/c1"), 2);
    assert_int_equal(look_up("cgroup2", "rw", "/", "0::/../other"), 2);
    put_file("fs/a/cpu.max", "100000 100000\n");
    assert_int_equal(look_up("cgroup2", "rw", "/docker/c1", "0::/docker/c1/a"), 1);
    drop_tree();
}

static void test_quota_of_version_1_is_heeded(void **state) {
    (void)state;
#ifdef MP__PORTABLE
    skip();
#endif
    make_tree();
    put_file("fs/a/cpu.cfs_quota_us", "250000\n");
    put_file("fs/a/cpu.cfs_period_us", "100000\n");
    assert_int_equal(look_up("cgroup", "rw,cpu,cpuacct", "/", "4:cpu,cpuacct:/a"), 3);
    assert_int_equal(look_up("cgroup", "rw,cpuset", "/", "4:cpuset:/a"), INT_MAX);
    put_file("fs/a/cpu.cfs_quota_us", "-1\n");
    assert_int_equal(look_up("cgroup", "rw,cpu,cpuacct", "/", "4:cpu,cpuacct:/a"), INT_MAX);
    drop_tree();
}

static void test_files_that_are_not_there_tell_of_no_quota(void **state) {
    (void)state;
    assert_int_equal(mp__cpu_quota("/nowhere/cgroup", "/nowhere/mountinfo"), INT_MAX);
}

/* clang-format off: one case on a line */
MPT_MAIN(MPT_CASE(test_quota_of_version_2_is_the_least_up_to_the_mount),
         MPT_CASE(test_quota_is_found_where_a_container_shows_it),
         MPT_CASE(test_quota_of_version_1_is_heeded),
         MPT_CASE(test_files_that_are_not_there_tell_of_no_quota),
         MPT_CASE(test_pinned_to_processors_in_turn),
         MPT_CASE(test_some_of_the_processors_are_usable),
         MPT_CASE(test_settled_on_processors_in_turn),
         MPT_CASE(test_affinity_to_one_processor_is_alone))
