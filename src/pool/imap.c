/* mp_pool_imap: chunks of inputs on their way, and the results one by one.
 * SPDX-License-Identifier: MIT
 *
 * No thread of its own: whoever asks for a result first draws inputs until as many chunks are on
 * their way as the window allows, so that nothing can wait for a slow reader but the workers, and
 * the inputs need no lock. Each chunk is a job of tasks; its results stay in it until they are
 * read. */
#include "pool/local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mp/imap.h"

#include "base/fail.h"
#include "pool/bar.h"
#include "shm/arena.h"
#include "shm/heap.h"

#define FIRST_INPUTS 256 /* bytes of the first chunk's copies, before there is experience */
#define NO_INDEX SIZE_MAX

struct imap_shared {
    mp__kind_word kind;           /* MP__KIND_IMAP */
    _Atomic uint32_t is_busy;     /* a call is under way, which perhaps calls the input function */
    mp__member_ref owner;         /* the parent */
    struct pool_local *local;     /* NULL: the pool was freed */
    struct imap_shared *next_one; /* in the pool's list; the pool's mutex */
    mp_apply_fn function;         /* the user's */
    mp_next_fn draw;              /* likewise */
    void *user;                   /* for draw */
    bool is_unordered;            /* of the options */
    size_t chunk;                 /* inputs of a job */
    size_t most_jobs;             /* window / chunk */
    size_t input_bytes;           /* what the copies of a chunk took lately */

    _Atomic bool is_at_end;                 /* draw is called no more */
    int end_code;                           /* why, to be told once; 0 nothing to tell */
    char end_detail[MP__POOL_DETAIL_BYTES]; /* and its sentence */
    uint64_t drawn;                         /* inputs so far */
    size_t job_count;                       /* on their way, and the current one */
    struct job_shared *first, *last;        /* on their way, in the order of submission */
    struct job_shared *current;             /* whose results are being read; NULL: none */
    uint64_t position;                      /* the next of them */
    size_t index;                           /* of the result read last, or NO_INDEX */
    struct mp__bar *bar;                    /* on the terminal; NULL: none, or ended */
    uint64_t read_count, failed_count; /* results that were read, those among them that failed */
};

/* A job to be. */
struct chunk {
    struct task_shared *tasks;   /* room for imap->chunk */
    size_t count;                /* drawn */
    struct input_shared *inputs; /* what they point to; the newest first */
    size_t input_bytes;          /* of all of them */
};

static void stop(struct imap_shared *imap, int code, const char *detail) {
    atomic_store(&imap->is_at_end, true);
    imap->end_code = code;
    snprintf(imap->end_detail, sizeof imap->end_detail, "%s", detail);
}

static char *reserve(struct imap_shared *imap, struct chunk *chunk, size_t size) {
    struct input_shared *inputs = chunk->inputs;
    if (!inputs || inputs->capacity - inputs->used < size) {
        size_t capacity = inputs ? 2 * inputs->capacity : imap->input_bytes;
        if (capacity < size)
            capacity = size;
        inputs = mp__heap_alloc(sizeof *inputs + capacity);
        if (!inputs)
            return NULL;
        *inputs = (struct input_shared){.next = chunk->inputs, .capacity = capacity};
        chunk->inputs = inputs;
    }
    char *place = inputs->bytes + inputs->used;
    inputs->used += size;
    chunk->input_bytes += size;
    return place;
}

/* What lies in the arena stays where it is. */
static int add_input(struct imap_shared *imap, struct chunk *chunk, const void *data, size_t size) {
    struct task_shared *task = &chunk->tasks[chunk->count];
    if (size > 0 && !data)
        return mp__fail(MP_EINVAL, "mp_pool_imap: input %llu is NULL, but not its size",
                        (unsigned long long)imap->drawn);
    if (size > SIZE_MAX / 4)
        return mp__fail(-ENOMEM, "mp_pool_imap: input %llu is larger than memory",
                        (unsigned long long)imap->drawn);
    if (size > 0 && !mp__arena_contains(data, size)) {
        char *copy = reserve(imap, chunk, (size + 15) & ~(size_t)15);
        if (!copy)
            return -ENOMEM;
        data = memcpy(copy, data, size);
    }
    task->data = data;
    task->size = size;
    chunk->count++;
    imap->drawn++;
    return 0;
}

/* false: there is no more, for whatever reason. */
static bool draw_input(struct imap_shared *imap, struct chunk *chunk) {
    const void *data = NULL;
    size_t size = 0;
    int got = imap->draw(imap->user, &data, &size);
    if (got > 0) {
        int code = add_input(imap, chunk, data, size);
        if (code < 0)
            stop(imap, code, mp_error_detail());
        return code == 0;
    }
    char detail[MP__POOL_DETAIL_BYTES] = "";
    if (got < 0)
        mp__describe_returned(detail, sizeof detail, "the function that gives the inputs", got);
    stop(imap, got, detail);
    return false;
}

static void append(struct imap_shared *imap, struct job_shared *job) {
    job->errand.next_of_imap = NULL;
    if (imap->first)
        imap->last->errand.next_of_imap = job;
    else
        imap->first = job;
    imap->last = job;
    imap->job_count++;
}

static int submit(struct imap_shared *imap, const struct chunk *chunk) {
    struct job_shared *job;
    struct mp__submission order = {.name = "mp_pool_imap",
                                   .function = (mp__any_fn)imap->function,
                                   .shape = MP__JOB_TASKS,
                                   .is_wanted = true,
                                   .is_imap = true,
                                   .tasks = chunk->tasks,
                                   .inputs = chunk->inputs,
                                   .first_number = imap->drawn - chunk->count,
                                   .count = chunk->count};
    if (!imap->local)
        return mp__fail(MP_ECANCELED, "mp_pool_imap: the pool was freed");
    int code = mp__job_submit(&job, (mp_pool *)(void *)imap->local->shared, &order);
    if (code == 0)
        append(imap, job);
    return code;
}

static void drop(struct chunk *chunk) {
    mp__inputs_free(chunk->inputs);
    mp__heap_free(chunk->tasks);
}

static void draw_chunk(struct imap_shared *imap) {
    struct chunk chunk = {.tasks = mp__heap_zalloc(imap->chunk * sizeof *chunk.tasks)};
    int code = chunk.tasks ? 0 : -ENOMEM;
    while (code == 0 && chunk.count < imap->chunk && draw_input(imap, &chunk))
        ;
    if (chunk.input_bytes > 0)
        imap->input_bytes = chunk.input_bytes;
    if (chunk.count > 0)
        code = submit(imap, &chunk);
    if (code < 0)
        stop(imap, code, mp_error_detail());
    if (code < 0 || chunk.count == 0)
        drop(&chunk);
}

static void fill_window(struct imap_shared *imap) {
    while (!atomic_load(&imap->is_at_end) && imap->job_count < imap->most_jobs)
        draw_chunk(imap);
}

/* Work is begun in the order of submission: behind a job that nobody has begun none has ended. */
static struct job_shared *find_ended(const struct imap_shared *imap) {
    for (struct job_shared *job = imap->first; job; job = job->errand.next_of_imap) {
        if (!mp__job_is_pending(job))
            return job;
        if (!imap->is_unordered || atomic_load(&job->batch.cursor) == 0)
            return NULL;
    }
    return NULL;
}

static struct job_shared *await_ended(const struct imap_shared *imap, mp__time deadline) {
    struct job_shared *job;
    while (!(job = find_ended(imap))) {
        struct mp__gate *gate = &imap->first->gate;
        if (imap->is_unordered)
            gate = &imap->local->shared->imap_gate;
        uint32_t ticket = mp__gate_prepare(gate);
        if ((job = find_ended(imap))) {
            mp__gate_cancel(gate, ticket);
            break;
        }
        if (mp__gate_wait(gate, ticket, deadline) < 0)
            return find_ended(imap);
    }
    return job;
}

static void take_out(struct imap_shared *imap, struct job_shared *job) {
    struct job_shared *before = NULL;
    for (struct job_shared *at = imap->first; at != job; at = at->errand.next_of_imap)
        before = at;
    if (before)
        before->errand.next_of_imap = job->errand.next_of_imap;
    else
        imap->first = job->errand.next_of_imap;
    if (imap->last == job)
        imap->last = before;
    imap->current = job;
    imap->position = 0;
}

static void free_job(struct job_shared *job) {
    mp_async_result_free((mp_async_result *)(void *)job);
}

/* The answer that was read is not needed any more, nor is the job after its last one. */
static void forget_read(struct imap_shared *imap) {
    struct job_shared *job = imap->current;
    if (!job)
        return;
    if (atomic_load(&job->state) == MP__JOB_DONE && imap->position > 0)
        mp__heap_free(atomic_exchange(&job->tasks[imap->position - 1].block, NULL));
    if (imap->position < job->count)
        return;
    imap->current = NULL;
    imap->job_count--;
    free_job(job);
}

/* The task is asked too, whose state was set by who wrote the rest of it: the job's, perhaps, by
 * another process, of which ThreadSanitizer knows nothing. */
static int give_next(struct imap_shared *imap, const void **data, size_t *size) {
    const struct job_shared *job = imap->current;
    const struct task_shared *task = &job->tasks[imap->position++];
    bool is_done = atomic_load(&job->state) == MP__JOB_DONE && mp__task_has_ended(task);
    int code = is_done ? task->code : mp__job_code(job);
    imap->index = job->first_number + imap->position - 1;
    if (code < 0) {
        const char *sentence = is_done ? mp__task_sentence(task) : mp__job_detail(job);
        return mp__fail(code, "%s", sentence ? sentence : mp_strerror(code));
    }
    if (data)
        *data = mp__task_answer(task);
    if (size)
        *size = task->reply_size;
    return 0;
}

/* How many there will be is known when the last input was drawn. */
static void draw_bar(struct imap_shared *imap, int code) {
    imap->read_count++;
    imap->failed_count += code < 0;
    if (imap->bar)
        mp__bar_draw(imap->bar, imap->read_count, atomic_load(&imap->is_at_end) ? imap->drawn : 0,
                     imap->failed_count);
}

static void end_bar(struct imap_shared *imap) {
    if (imap->bar)
        mp__bar_end(imap->bar);
    mp__bar_free(imap->bar);
    imap->bar = NULL;
}

static int end(struct imap_shared *imap) {
    int code = imap->end_code;
    end_bar(imap);
    imap->end_code = 0;
    return code < 0 ? mp__fail(code, "%s", imap->end_detail)
                    : mp__fail(MP_EEND, "mp_imap_next: every result was read");
}

static int next_result(struct imap_shared *imap, const void **data, size_t *size,
                       mp__time deadline) {
    forget_read(imap);
    imap->index = NO_INDEX;
    fill_window(imap);
    if (!imap->current) {
        if (!imap->first)
            return end(imap);
        struct job_shared *job = await_ended(imap, deadline);
        if (!job)
            return MP_ETIMEDOUT;
        take_out(imap, job);
    }
    int code = give_next(imap, data, size);
    draw_bar(imap, code);
    return code;
}

static int check_imap(const mp_imap *imap, const char *function) {
    int code = mp__kind_check(imap, MP__KIND_IMAP, function, "imap");
    if (code == 0 && !mp__pool_is_ours(((const struct imap_shared *)(const void *)imap)->owner))
        code = mp__fail(MP_EFOREIGN, "%s: the imap belongs to another process's pool", function);
    return code;
}

static struct imap_shared *imap_of(mp_imap *imap) {
    return (struct imap_shared *)(void *)imap;
}

int mp_imap_next(mp_imap *imap, const void **data, size_t *size, double timeout) {
    mp__time deadline;
    int code = check_imap(imap, "mp_imap_next");
    if (code == 0)
        code = mp__deadline(&deadline, timeout);
    if (code < 0)
        return code;
    struct imap_shared *shared = imap_of(imap);
    if (atomic_exchange(&shared->is_busy, 1))
        return mp__fail(MP_ESTATE, "mp_imap_next: another call of this imap is under way");
    code = next_result(shared, data, size, deadline);
    atomic_store(&shared->is_busy, 0);
    if (code == MP_ETIMEDOUT && shared->index == NO_INDEX)
        return mp__fail(MP_ETIMEDOUT, "mp_imap_next: no result within %g seconds", timeout);
    return code;
}

size_t mp_imap_index(const mp_imap *imap) {
    if (check_imap(imap, "mp_imap_index") < 0)
        return NO_INDEX;
    return ((const struct imap_shared *)(const void *)imap)->index;
}

static int check_options(mp_imap **out, mp_apply_fn fn, mp_next_fn next,
                         const mp_imap_options *options) {
    if (!out)
        return mp__fail(MP_EINVAL, "mp_pool_imap: out is NULL");
    if (!fn || !next)
        return mp__fail(MP_EINVAL, "mp_pool_imap: the function %s is NULL",
                        fn ? "that gives the inputs" : "for the items");
    if (options->chunk > SIZE_MAX / 4096)
        return mp__fail(MP_EINVAL, "mp_pool_imap: a chunk of %zu is larger than memory",
                        options->chunk);
    return 0;
}

/* A window smaller than a chunk makes the chunks smaller. */
static void choose_sizes(struct imap_shared *imap, const mp_imap_options *options) {
    imap->chunk = options->chunk ? options->chunk : 1;
    if (options->window > 0 && options->window < imap->chunk)
        imap->chunk = options->window;
    imap->most_jobs = options->window / imap->chunk;
    if (options->window == 0)
        imap->most_jobs = 4 * (size_t)imap->local->shared->worker_count;
}

static void list_imap(struct imap_shared *imap) {
    struct pool_local *local = imap->local;
    pthread_mutex_lock(&local->mutex);
    imap->next_one = local->imaps;
    local->imaps = imap;
    pthread_mutex_unlock(&local->mutex);
}

static void unlist_imap(struct imap_shared *imap) {
    struct pool_local *local = imap->local;
    pthread_mutex_lock(&local->mutex);
    struct imap_shared **link = &local->imaps;
    while (*link != imap)
        link = &(*link)->next_one;
    *link = imap->next_one;
    pthread_mutex_unlock(&local->mutex);
}

int mp_pool_imap(mp_imap **out, mp_pool *pool, mp_apply_fn fn, mp_next_fn next,
                 const mp_imap_options *options) {
    static const mp_imap_options defaults;
    options = options ? options : &defaults;
    int code = mp__pool_check(pool, "mp_pool_imap");
    if (code == 0)
        code = check_options(out, fn, next, options);
    if (code == 0)
        code = mp__job_check_open(mp__pool_of(pool)->local, "mp_pool_imap");
    if (code < 0)
        return code;
    struct imap_shared *imap = mp__heap_zalloc(sizeof *imap);
    if (!imap)
        return -ENOMEM;
    imap->owner = mp__pool_of(pool)->owner;
    imap->local = mp__pool_of(pool)->local;
    imap->function = fn;
    imap->draw = next;
    imap->user = options->user;
    imap->is_unordered = options->unordered;
    imap->input_bytes = FIRST_INPUTS;
    imap->index = NO_INDEX;
    imap->bar = options->progress_bar ? mp__bar_new(0) : NULL;
    choose_sizes(imap, options);
    list_imap(imap);
    atomic_store(&imap->is_busy, 1);
    atomic_store(&imap->kind, MP__KIND_IMAP);
    fill_window(imap);
    atomic_store(&imap->is_busy, 0);
    *out = (mp_imap *)(void *)imap;
    return 0;
}

/* What is not begun is not done any more, and what runs is the last of its chunk. */
static void cancel_jobs(struct imap_shared *imap) {
    for (struct job_shared *job = imap->first; job;) {
        struct job_shared *next = job->errand.next_of_imap;
        if (imap->local)
            mp__job_abandon(imap->local, job, MP_ECANCELED, "the imap was freed");
        free_job(job);
        job = next;
    }
    if (imap->current)
        free_job(imap->current);
}

void mp_imap_free(mp_imap *imap) {
    if (!imap || check_imap(imap, "mp_imap_free") < 0)
        return;
    struct imap_shared *shared = imap_of(imap);
    if (atomic_exchange(&shared->is_busy, 1))
        return;
    cancel_jobs(shared);
    end_bar(shared);
    if (shared->local)
        unlist_imap(shared);
    atomic_store(&shared->kind, 0);
    mp__heap_free(shared);
}

bool mp__imap_wants_more(const struct pool_local *local) {
    for (const struct imap_shared *imap = local->imaps; imap; imap = imap->next_one)
        if (!atomic_load(&imap->is_at_end))
            return true;
    return false;
}

void mp__imap_detach_all(struct pool_local *local) {
    for (struct imap_shared *imap = local->imaps; imap; imap = imap->next_one)
        imap->local = NULL;
    local->imaps = NULL;
}
