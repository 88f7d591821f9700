/* A process is killed at each kill point of the heap; what it held is freed and the heap is whole.
 * SPDX-License-Identifier: MIT */
#include "mpt.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "os/memory.h"
#include "shm/arena.h"
#include "shm/heap.h"

#define BLOCKS 700
#define VICTIM 2
#define HELPER 3
#define BYSTANDER 4

/* Where the victim links what it publishes, before it does so. */
struct shelf {
    _Atomic(void *) blocks[BLOCKS];
};
static struct shelf *shelf;

struct death {
    const char *point; /* where */
    unsigned turn;     /* the how many-th time */
    bool is_linking;   /* does the victim also publish? */
};

static bool is_dead_thread(uint32_t thread) {
    return thread == VICTIM || thread == HELPER;
}

static size_t size_at(size_t i) {
    static const size_t sizes[] = {24, 64, 64, 64, 700, 3000, 20000, 40000, 300000, 1 << 20};
    return i == 5 ? (size_t)9 << 20 : sizes[i % 10];
}

static void link_one(size_t i, void *block) {
    atomic_store(&shelf->blocks[i], block);
    mp__heap_publish(block);
}

static void unlink_one(size_t i, void *block) {
    mp__heap_take(block);
    atomic_store(&shelf->blocks[i], NULL);
}

static void *alloc_one(size_t i) {
    void *block = mp__heap_alloc(size_at(i));
    MPT_CHECK(block);
    memset(block, 1, 16);
    return block;
}

/* Everything the heap can be asked for: small, large and huge blocks, published and not, freed in
 * another order; by the owner of the slab and by others. */
static void use_heap(bool is_linking) {
    static void *held[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++)
        held[i] = alloc_one(i);
    for (size_t i = 0; i < BLOCKS; i += 2)
        mp__heap_free(held[i]);
    for (size_t i = 0; i < BLOCKS; i += 2)
        held[i] = alloc_one(i);
    for (size_t i = 0; is_linking && i < BLOCKS; i += 3)
        link_one(i, held[i]);
    for (size_t k = 0; k < BLOCKS; k++) {
        size_t i = k * 211 % BLOCKS;
        if (is_linking && i % 3 == 0)
            unlink_one(i, held[i]);
        mp__heap_free(held[i]);
    }
}

static void be_victim(void *arg) {
    struct death *death = arg;
    mp__heap_forked();
    mp__heap_join(VICTIM, VICTIM);
    mpt_die_at(death->point, death->turn);
    for (int round = 0; round < 3; round++) {
        use_heap(death->is_linking);
        mp__heap_leave();
        mp__heap_join(VICTIM, VICTIM);
    }
}

static void be_recoverer(void *arg) {
    struct death *death = arg;
    mp__heap_forked();
    mp__heap_join(HELPER, HELPER);
    mpt_die_at(death->point, death->turn);
    mp__heap_recover(VICTIM, is_dead_thread);
}

static void free_shelf(void) {
    for (size_t i = 0; i < BLOCKS; i++) {
        void *block = atomic_exchange(&shelf->blocks[i], NULL);
        if (block && mp__heap_is_block(block))
            mp__heap_free(block);
    }
}

/* What the dead ones had linked is still theirs to link to; all else is free, and the units too. */
static void check_nothing_is_left(const char *point) {
    struct mp__heap_figures figures;
    mp__heap_recover(VICTIM, is_dead_thread);
    mp__heap_recover(HELPER, is_dead_thread);
    MPT_OK(mp__heap_check());
    free_shelf();
    MPT_OK(mp__heap_check());
    mp__heap_figures(&figures);
    if (figures.blocks != 1 || figures.used_bytes != mp__heap_size(shelf))
        print_error("%s: %u blocks, %u bytes\n", point, (unsigned)figures.blocks,
                    (unsigned)figures.used_bytes);
    assert_int_equal(figures.blocks, 1);
    assert_int_equal(figures.used_bytes, mp__heap_size(shelf));
}

static void begin(void) {
    MPT_OK(mp__arena_open());
    mp__heap_join(1, 1);
    shelf = mp__heap_zalloc(40000); /* a run of its own: no slab stays in use */
    mp__heap_publish(shelf);
}

static const char *const points[] = {
    "heap.grow.marked",   "heap.grow.raised",    "heap.split.rest",    "heap.split.head",
    "heap.bin.linked",    "heap.bin.unlinked",   "heap.run.freed",     "heap.run.merged",
    "heap.trim.marked",   "heap.trim.released",  "heap.trim.freed",    "heap.settle.listed",
    "heap.disown.stored", "heap.slab.filled",    "heap.slab.made",     "heap.adopt.stored",
    "heap.alloc.tagged",  "heap.alloc.marked",   "heap.free.taken",    "heap.free.released",
    "heap.free.untagged", "heap.publish.stored", "heap.take.stored",   "heap.spare.marked",
    "heap.spare.filled",  "heap.spare.changed",  "heap.spare.cleared", "heap.spare.emptied",
};
#define POINTS (sizeof points / sizeof points[0])

/* The heap grows for the first victims only. */
static unsigned last_turn(const char *point) {
    return strncmp(point, "heap.grow", 9) == 0 ? 5 : 400;
}

/* Where the system takes no memory back, the heap does not try. */
static bool is_reachable(const char *point) {
    return mp__memory_is_returnable() ||
           (strncmp(point, "heap.trim", 9) != 0 && strcmp(point, "heap.free.taken") != 0 &&
            strcmp(point, "heap.free.released") != 0);
}

static void test_heap_is_whole_when_a_user_is_killed(void **state) {
    (void)state;
    begin();
    for (size_t i = 0; i < POINTS; i++)
        for (unsigned turn = 1; turn < last_turn(points[i]); turn = turn * 3 + 1) {
            struct death death = {points[i], turn, true};
            int code = mpt_join(mpt_fork(be_victim, &death));
            bool may_live = turn > 1 || !is_reachable(points[i]);
            if (code != -SIGKILL && !may_live)
                print_error("%s was not reached\n", points[i]);
            assert_true(code == -SIGKILL || (may_live && code == 0));
            check_nothing_is_left(points[i]);
        }
    mp__heap_free(shelf);
}

/* Deaths that leave something to do, and the points that the one who does it comes to. */
static void test_heap_is_whole_when_the_recoverer_is_killed(void **state) {
    (void)state;
    static const char *const first[] = {"heap.split.rest",    "heap.run.freed",
                                        "heap.slab.made",     "heap.trim.marked",
                                        "heap.settle.listed", "heap.spare.marked"};
    static const char *const second[] = {
        "heap.rebuild.merged", "heap.rebuild.run",      "heap.recover.untagged",
        "heap.recover.freed",  "heap.recover.disowned", "heap.settle.listed",
        "heap.run.merged",     "heap.bin.linked",
    };
    unsigned killed = 0;
    begin();
    for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
        for (size_t k = 0; k < sizeof second / sizeof second[0]; k++)
            for (unsigned turn = 1; turn < 50; turn = turn * 4 + 1) {
                struct death death = {first[i], 7, true}, again = {second[k], turn, false};
                mpt_join(mpt_fork(be_victim, &death));
                killed += mpt_join(mpt_fork(be_recoverer, &again)) == -SIGKILL;
                check_nothing_is_left(second[k]);
            }
    assert_true(killed > (mp__memory_is_returnable() ? 80 : 60));
    mp__heap_free(shelf);
}

/* Goes on until told to stop; nothing that happens to others may disturb it. */
static void be_bystander(void *arg) {
    _Atomic bool *is_over = arg;
    mp__heap_forked();
    mp__heap_join(BYSTANDER, BYSTANDER);
    while (!atomic_load(is_over)) {
        use_heap(false);
        MPT_OK(mp__heap_check());
    }
    mp__heap_leave();
}

static void test_others_go_on_when_users_are_killed(void **state) {
    (void)state;
    begin();
    _Atomic bool *is_over = mp__heap_zalloc(40000);
    pid_t bystander = mpt_fork(be_bystander, (void *)is_over);
    for (unsigned i = 0; i < 6 * POINTS; i++) {
        struct death death = {points[i % POINTS], 1 + i * 7 % 100, false};
        mpt_join(mpt_fork(be_victim, &death));
        mp__heap_recover(VICTIM, is_dead_thread);
        MPT_OK(mp__heap_check());
    }
    atomic_store(is_over, true);
    assert_int_equal(mpt_join(bystander), 0);
    mp__heap_free((void *)is_over);
    check_nothing_is_left("bystander");
    mp__heap_free(shelf);
}

MPT_MAIN(MPT_CASE(test_heap_is_whole_when_a_user_is_killed),
         MPT_CASE(test_heap_is_whole_when_the_recoverer_is_killed),
         MPT_CASE(test_others_go_on_when_users_are_killed))
