/* The storm's killer: SIGKILL, and SIGSTOP with a later SIGCONT, for anybody but the root.
 * SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/clock.h"
#include "storm.h"

enum { GROUP_MAX = 512 };

struct storm_toll storm_toll;

static struct {
    pthread_t thread;
    struct storm *storm;
    unsigned per_second;
    _Atomic bool is_over;
} killer;

static struct { /* stopped ones */
    pid_t pid;
    mp__time until;
} stopped[4];

static bool is_ours(struct storm *storm, pid_t pid) {
    return pid > 0 && pid != getpid() && getpgid(pid) == storm->group;
}

/* The number may have passed to a stranger: only members of our group are hit. */
static void hit(struct storm *storm, pid_t pid, int signal) {
    if (is_ours(storm, pid))
        kill(pid, signal);
}

static void resume(struct storm *storm, mp__time now) {
    for (size_t i = 0; i < sizeof stopped / sizeof stopped[0]; i++)
        if (stopped[i].pid && stopped[i].until <= now) {
            hit(storm, stopped[i].pid, SIGCONT);
            stopped[i].pid = 0;
        }
}

static void stop_one(struct storm_self *self, pid_t pid) {
    for (size_t i = 0; i < sizeof stopped / sizeof stopped[0]; i++)
        if (stopped[i].pid == 0) {
            stopped[i].pid = pid;
            stopped[i].until = mp__now() + (mp__time)storm_random(self, MP__SECOND / 4);
            hit(self->storm, pid, SIGSTOP);
            storm_toll.stops++;
            return;
        }
}

/* Spares, fork servers, pool workers, also seats. */
static pid_t choose_anybody(struct storm_self *self) {
    pid_t list[GROUP_MAX];
    unsigned count = storm_list_group(self->storm->group, list, GROUP_MAX);
    return count ? list[storm_random(self, count)] : 0;
}

/* One who is just now in an operation chosen beforehand: what takes long is not hit more often. */
static unsigned choose_seat(struct storm_self *self) {
    struct storm *storm = self->storm;
    uint32_t wanted = 1 + (uint32_t)storm_random(self, OP_POOL);
    unsigned seat = 0;
    for (unsigned i = 0; i < 2000; i++) {
        seat = 1 + (unsigned)storm_random(self, 2 * storm->workers);
        if (atomic_load(&storm->seats[seat].operation) == wanted)
            break;
    }
    for (uint64_t i = storm_random(self, storm_random(self, 20000)); i > 0; i--)
        __asm__ volatile("");
    return seat;
}

static void kill_one(struct storm_self *self) {
    struct storm *storm = self->storm;
    bool is_seat = storm_random(self, 6) > 0;
    pid_t pid = is_seat ? atomic_load(&storm->seats[choose_seat(self)].pid) : choose_anybody(self);
    if (!is_ours(storm, pid))
        return;
    if (storm_random(self, 4) == 0) {
        stop_one(self, pid);
        return;
    }
    hit(storm, pid, SIGKILL);
    if (is_seat)
        storm_toll.kills++;
    else
        storm_toll.other_kills++;
}

/* Calls nothing of libmp: it must go on when all others wait for one whom it has stopped. */
static void *kill_many(void *unused) {
    static struct storm_self self;
    self.storm = killer.storm;
    self.random = killer.storm->seed | 1;
    while (!atomic_load(&killer.is_over) && !atomic_load(&killer.storm->failed)) {
        resume(self.storm, mp__now());
        kill_one(&self);
        usleep((useconds_t)storm_random(&self, 2000000 / killer.per_second));
    }
    resume(self.storm, MP__NEVER);
    return unused;
}

void storm_killer_start(struct storm *storm, unsigned kills_per_second) {
    killer.storm = storm;
    killer.per_second = kills_per_second;
    STORM_CHECK(pthread_create(&killer.thread, NULL, kill_many, NULL) == 0);
}

void storm_killer_end(void) {
    atomic_store(&killer.is_over, true);
    pthread_join(killer.thread, NULL);
}
